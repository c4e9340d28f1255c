//! The line, before a queue that the test plays.

use std::sync::Mutex;

use async_trait::async_trait;
use shared::queue::{Depth, QueueAttributes, Receipt, ReceiveOptions, Received, SendOutcome};

use super::*;
use crate::meter::Total;

/// A queue whose requests wait for the test's answers.
#[derive(Debug)]
struct Scripted {
    asked: mpsc::UnboundedSender<Request>,
}

/// A request: its bodies, and where each one's answer goes.
#[derive(Debug)]
struct Request {
    bodies: Vec<String>,
    answer: oneshot::Sender<Vec<Result<SendOutcome, QueueError>>>,
}

impl Request {
    fn accept(self) {
        let results = self.bodies.iter().map(|body| Ok(taken(body))).collect();
        self.answer.send(results).expect("it is waited for");
    }

    /// Takes all but these.
    fn refuse(self, refused: &[&str], error: impl Fn() -> QueueError) {
        let results = self.bodies.iter().map(|body| {
            if refused.contains(&body.as_str()) {
                Err(error())
            } else {
                Ok(taken(body))
            }
        });
        self.answer.send(results.collect()).expect("it is waited for");
    }
}

fn taken(body: &str) -> SendOutcome {
    SendOutcome {
        message_id: body.to_owned(),
        duplicate: None,
    }
}

#[async_trait]
impl Queue for Scripted {
    async fn send(&self, _: &QueueName, _: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        unreachable!("events go in batches")
    }

    async fn send_batch(
        &self,
        _: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        let (answer, answered) = oneshot::channel();
        let bodies = messages.into_iter().map(|message| message.body).collect();
        self.asked
            .send(Request { bodies, answer })
            .expect("the test listens");
        answered.await.expect("the test answers")
    }

    async fn receive(&self, _: &QueueName, _: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        unreachable!("nothing is received here")
    }

    async fn extend(&self, _: &QueueName, _: &Receipt, _: Duration) -> Result<(), QueueError> {
        unreachable!("nothing is received here")
    }

    async fn delete(&self, _: &QueueName, _: &Receipt) -> Result<(), QueueError> {
        unreachable!("nothing is received here")
    }

    async fn depth(&self, _: &QueueName) -> Result<Depth, QueueError> {
        unreachable!("nobody asks")
    }

    async fn ensure(&self, _: &QueueName, _: QueueAttributes) -> Result<(), QueueError> {
        unreachable!("nobody asks")
    }
}

struct Scene {
    line: Line,
    requests: mpsc::UnboundedReceiver<Request>,
    answers: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    fn new() -> Self {
        let (asked, requests) = mpsc::unbounded_channel();
        let name = QueueName::new("events.fifo").expect("a name");
        let (line, moving) = Line::before(Arc::new(Scripted { asked }), name);
        tokio::spawn(moving);
        Self {
            line,
            requests,
            answers: Arc::default(),
        }
    }

    async fn put(&self, group: &str, body: &str) -> tokio::task::JoinHandle<Result<(), LineError>> {
        let message = OutgoingMessage::fifo(body, group, body);
        let queued = self.line.put(message).await.expect("there is room");
        let (answers, body) = (Arc::clone(&self.answers), body.to_owned());
        tokio::spawn(async move {
            let answer = queued.stored().await;
            answers.lock().expect("no holder panics").push(body);
            answer
        })
    }

    async fn request(&mut self) -> Request {
        let next = tokio::time::timeout(Duration::from_secs(10), self.requests.recv());
        next.await.expect("a request in time").expect("the line lives")
    }

    async fn bodies(&mut self) -> Vec<String> {
        let request = self.request().await;
        let bodies = request.bodies.clone();
        request.accept();
        bodies
    }
}

/// What whoever announced is told, in time.
async fn answer(told: tokio::task::JoinHandle<Result<(), LineError>>) -> Result<(), LineError> {
    let told = tokio::time::timeout(Duration::from_secs(10), told).await;
    told.expect("an answer in time").expect("no panic")
}

fn throttled() -> QueueError {
    QueueError::Throttled {
        source: "as the test wants it".into(),
    }
}

#[tokio::test]
async fn a_lone_event_goes_at_once_and_others_gather_behind_it() {
    let mut scene = Scene::new();
    let began = Instant::now();
    scene.put("first", "first").await;
    let first = scene.request().await;
    assert_eq!(first.bodies, ["first"]);
    // Others of as many chats while that is on its way: two full requests at once.
    for n in 0..23 {
        scene.put(&format!("chat {n}"), &n.to_string()).await;
    }
    for _ in 0..2 {
        assert_eq!(scene.bodies().await.len(), MAX_BATCH);
    }
    // The rest goes when its first has waited long enough, though the first request has no answer yet.
    assert_eq!(scene.bodies().await, ["20", "21", "22"]);
    assert!(began.elapsed() >= PATIENCE);
    first.accept();
}

#[tokio::test]
async fn order_holds_within_a_chat() {
    let mut scene = Scene::new();
    scene.put("a", "a1").await;
    let first = scene.request().await;
    for (group, body) in [("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")] {
        scene.put(group, body).await;
    }
    assert_eq!(scene.bodies().await, ["b1", "b2"], "a waits for its first");
    first.accept();
    assert_eq!(scene.bodies().await, ["a2", "a3"]);
}

#[tokio::test]
async fn who_stands_behind_a_failure_in_its_chat_fails_with_it_and_nobody_else() {
    let mut scene = Scene::new();
    let one = scene.put("a", "a1").await;
    let first = scene.request().await;
    let two = scene.put("a", "a2").await;
    let other = scene.put("b", "b1").await;
    assert_eq!(scene.bodies().await, ["b1"]);
    first.refuse(&["a1"], throttled);
    let is_throttled = |answer| matches!(answer, Err(LineError::Queue(QueueError::Throttled { .. })));
    assert!(is_throttled(answer(one).await));
    assert!(matches!(answer(two).await, Err(LineError::Behind)));
    assert!(answer(other).await.is_ok());
    // Told again, in their order.
    let again = [scene.put("a", "a1").await, scene.put("a", "a2").await];
    let mut order = scene.bodies().await;
    while order.len() < 2 {
        order.extend(scene.bodies().await);
    }
    assert_eq!(order, ["a1", "a2"]);
    for told in again {
        assert!(answer(told).await.is_ok());
    }
    let events = scene.line.events();
    let counts = [&events.queued, &events.failed, &events.refused].map(Total::get);
    assert_eq!(counts, [3, 2, 0]);
    assert_eq!(events.waiting.get(), 0);
}

#[tokio::test]
async fn what_is_refused_for_good_holds_up_nothing_behind_it() {
    let mut scene = Scene::new();
    let odd = scene.put("a", "odd").await;
    let first = scene.request().await;
    let next = scene.put("a", "next").await;
    first.refuse(&["odd"], || QueueError::Invalid("odd".to_owned()));
    assert!(answer(odd).await.is_err());
    assert_eq!(scene.bodies().await, ["next"]);
    assert!(answer(next).await.is_ok());
    let large = OutgoingMessage::fifo("x".repeat(MAX_BODY_BYTES + 1), "a", "large");
    let refused = scene
        .line
        .put(large)
        .await
        .expect_err("before it stands in the line");
    assert!(matches!(refused, LineError::Queue(QueueError::TooLarge { .. })));
    let events = scene.line.events();
    let counts = [&events.queued, &events.failed, &events.refused].map(Total::get);
    assert_eq!(counts, [1, 0, 2]);
}

#[tokio::test]
async fn a_request_is_no_larger_than_the_queue_takes() {
    let mut scene = Scene::new();
    scene.put("first", "first").await;
    let first = scene.request().await;
    let half = |letter: &str| letter.repeat(MAX_BODY_BYTES / 2);
    for (group, body) in [("a", half("a")), ("b", half("b")), ("c", "c".to_owned())] {
        scene.put(group, &body).await;
    }
    assert_eq!(scene.bodies().await, [half("a"), half("b")]);
    first.accept();
    assert_eq!(scene.bodies().await, ["c"]);
}

#[tokio::test]
async fn the_end_waits_for_what_stands_in_the_line() {
    let mut scene = Scene::new();
    let told = scene.put("a", "a1").await;
    let Scene { line, .. } = &mut scene;
    let gone = std::mem::replace(&mut line.entries, mpsc::channel(1).0);
    drop(gone);
    assert_eq!(scene.bodies().await, ["a1"]);
    assert!(answer(told).await.is_ok());
    assert!(scene.requests.recv().await.is_none(), "the work has ended");
}
