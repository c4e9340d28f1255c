//! Questions to an instance's socket.

use std::time::Duration;

use chrono::TimeDelta;
use daemon::connection::AskError;

use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::question::{
    Answer, Ask, Block, Blocked, Found, LookUp, Looked, Outcome, Question, Refusal,
};
use shared::domain::recipient::Recipient;
use shared::ids::QuestionId;
use shared::queue::{OutgoingMessage, Queue as _};
use shared::sealed;
use shared::storage::answers::{Answers, Progress};
use shared::storage::keys;
use shared::storage::people::People;

use crate::network::Questioned;
use crate::world::World;
use testbed::relay::{Fate, On, Relay};
use testbed::wait::{in_time, until};

const ALICE: &str = "15550100001";

fn name(text: &str) -> Recipient {
    text.parse().expect("a name")
}

fn look_up() -> Ask {
    LookUp {
        contacts: vec![name(ALICE)],
    }
    .into()
}

fn block() -> Ask {
    Block {
        contact: name(ALICE),
        blocked: true,
    }
    .into()
}

fn alice() -> Person {
    Person {
        phone: Some(ALICE.to_owned()),
        lid: Some("200000000000001".to_owned()),
    }
}

fn found() -> Answer {
    Looked {
        found: vec![Found::There {
            person: alice(),
            business_name: Some("Engines of Alice".to_owned()),
        }],
    }
    .into()
}

fn blocked() -> Answer {
    Blocked { person: alice() }.into()
}

impl World {
    fn question(&self, instance: &Instance, ask: Ask) -> Question {
        Question {
            id: QuestionId::new(self.now()),
            instance: instance.id,
            answer_by: self.now() + TimeDelta::seconds(18),
            keep_until: self.now() + TimeDelta::minutes(10),
            ask,
        }
    }

    /// Puts a question into the shard's queue.
    async fn put(&self, instance: &Instance, question: &Question) {
        let body = payload::encode(&Query::Question(question.clone()));
        let queue = self.names.queries(instance.shard.0);
        let sent = self.queue.send(&queue, OutgoingMessage::standard(body));
        sent.await.expect("queued");
    }

    /// Asks the instance's socket.
    pub async fn ask(&self, instance: &Instance, ask: Ask) -> Question {
        let question = self.question(instance, ask);
        self.put(instance, &question).await;
        question
    }

    /// The same of somebody who waits no longer than this.
    pub async fn ask_within(&self, instance: &Instance, ask: Ask, patience: TimeDelta) -> Question {
        let question = Question {
            answer_by: self.now() + patience,
            ..self.question(instance, ask)
        };
        self.put(instance, &question).await;
        question
    }

    fn answers(&self) -> Answers {
        Answers::new(self.table.clone())
    }

    async fn progress(&self, question: &Question) -> Option<Progress> {
        let answers = self.answers();
        let found = answers.get(question.instance, question.id, self.now());
        found.await.expect("read")
    }

    async fn give_up(&self, question: &Question) -> Progress {
        let (keep_until, now) = (question.keep_until, self.now());
        let answers = self.answers();
        let given_up = answers.give_up(question.instance, question.id, keep_until, now);
        given_up.await.expect("stored")
    }

    pub async fn until_answered(&self, question: &Question) -> Outcome {
        let sealed = until("an answer", async || match self.progress(question).await {
            Some(Progress::Answered(sealed)) => Some(sealed),
            _ => None,
        })
        .await;
        let of = keys::answer(question.instance, question.id).path();
        let opened = sealed::open(&self.sealer, question.instance, &of, &sealed).await;
        opened.expect("it opens")
    }

    /// Waits until nothing is in the shard's second queue.
    async fn until_no_queries(&self) {
        until("the end of all queries", async || {
            let depth = self.queue.depth(&self.names.queries(0)).await.expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }
}

fn answer(asked: Questioned, with: Result<Answer, AskError>) {
    asked.answer.send(with).expect("the daemon waits for it");
}

/// As many as may wait of an instance, to sixteen people; nobody has any of them.
#[tokio::test]
async fn questions_are_answered_while_ten_thousand_texts_wait() {
    const TEXTS: u32 = 10_000;
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for n in 0..TEXTS {
        let to = format!("155501000{:02}", n % 16);
        let job = world.job(&instance, &to, "wait").await;
        world.enqueue(&instance, &job).await;
    }
    // Some are on the wire, and never acknowledged.
    session.sent().await;
    for ask in [look_up(), block(), look_up()] {
        let question = world.ask(&instance, ask.clone()).await;
        let asked = session.questioned().await;
        assert_eq!(asked.ask, ask);
        let told = if ask == block() { blocked() } else { found() };
        answer(asked, Ok(told.clone()));
        assert_eq!(world.until_answered(&question).await, Ok(told));
    }
    let sends = world.names.sends(instance.shard.0);
    let depth = world.queue.depth(&sends).await.expect("read");
    assert_eq!(depth.visible + depth.in_flight, u64::from(TEXTS));
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_and_what_is_said_of_people_is_learnt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.ask(&instance, look_up()).await;
    let asked = session.questioned().await;
    assert_eq!(asked.ask, look_up());
    answer(asked, Ok(found()));
    assert_eq!(world.until_answered(&question).await, Ok(found()));
    world.until_no_queries().await;
    let people = People::new(world.table.clone());
    for by in [ALICE, "lid:200000000000001"] {
        let met = until("a lesson", async || {
            people
                .get(instance.id, &name(by), world.now())
                .await
                .expect("read")
        })
        .await;
        assert_eq!(met.person, alice());
        let said = met
            .is_known_as(world.now() + TimeDelta::hours(23))
            .expect("believed");
        assert_eq!(said.business_name.as_deref(), Some("Engines of Alice"));
        assert_eq!(met.is_known_as(world.now() + TimeDelta::hours(24)), None);
    }

    // It is another question, and WhatsApp says another thing.
    let question = world.ask(&instance, look_up()).await;
    let absent = Answer::from(Looked {
        found: vec![Found::Absent],
    });
    answer(session.questioned().await, Ok(absent.clone()));
    assert_eq!(world.until_answered(&question).await, Ok(absent));
    until("the other lesson", async || {
        let met = people.get(instance.id, &name(ALICE), world.now()).await;
        let met = met.expect("read").expect("met");
        (met.is_known_to_be_absent(world.now()) && met.is_known_as(world.now()).is_none()).then_some(())
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_slow_question_delays_no_nudge_and_no_other_instance() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (slow, mut slow_session) = world.connected(&mut daemon).await;
    let quick = world.instance("quick").await;
    world.nudge(&quick).await;
    let mut quick_session = daemon.session().await;
    quick_session.log_in().await;
    world.until_status(&quick, Status::Connected).await;

    // More than may be asked at once, and none is answered.
    let mut questions = Vec::new();
    for _ in 0..8 {
        questions.push(world.ask(&slow, look_up()).await);
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(slow_session.questioned().await);
    }
    let question = world.ask(&quick, block()).await;
    answer(quick_session.questioned().await, Ok(blocked()));
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    // A nudge of the very instance that is slow to answer.
    world.want(&quick, Wanted::Disconnected).await;
    world.until_status(&quick, Status::Disconnected).await;
    assert_eq!(slow_session.questions().len(), 0, "no more than four at once");
    for asked in held {
        answer(asked, Ok(found()));
    }
    for _ in 0..4 {
        answer(slow_session.questioned().await, Ok(found()));
    }
    for question in &questions {
        assert_eq!(world.until_answered(question).await, Ok(found()));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_too_much_at_once_is_refused() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut questions = Vec::new();
    for _ in 0..33 {
        questions.push(world.ask(&instance, block()).await);
    }
    // Which one comes too late is the queue's to say: it has no order.
    let refused = until("a refusal", async || {
        for question in &questions {
            if let Some(Progress::Answered(_)) = world.progress(question).await {
                return Some(question.clone());
            }
        }
        None
    })
    .await;
    assert_eq!(world.until_answered(&refused).await, Err(Refusal::Busy));
    for _ in 0..32 {
        answer(session.questioned().await, Ok(blocked()));
    }
    for question in questions.iter().filter(|question| question.id != refused.id) {
        assert_eq!(world.until_answered(question).await, Ok(blocked()));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_instance_without_a_connection_answers_at_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let session = daemon.session().await;
    for ask in [look_up(), block()] {
        let question = world.ask(&instance, ask).await;
        assert_eq!(world.until_answered(&question).await, Err(Refusal::NotConnected));
    }
    world.until_no_queries().await;
    drop(session);
    daemon.stop().await;
}

#[tokio::test]
async fn what_whatsapp_says_no_to_is_told() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let refused = || AskError::Refused {
        code: Some(406),
        source: "406".into(),
    };
    for (ask, error, told) in [
        (block(), refused(), Refusal::Refused { code: Some(406) }),
        (block(), AskError::NotOnWhatsapp, Refusal::NotOnWhatsapp),
        (block(), AskError::NotConnected, Refusal::NotConnected),
        (block(), AskError::InDoubt, Refusal::InDoubt),
        // To ask again does no harm.
        (look_up(), AskError::InDoubt, Refusal::Unavailable),
    ] {
        let question = world.ask(&instance, ask).await;
        answer(session.questioned().await, Err(error));
        assert_eq!(world.until_answered(&question).await, Err(told));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn whatsapp_is_asked_nothing_more_for_as_long_as_it_wants() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let throttled = AskError::Throttled {
        after: Some(Duration::from_mins(10)),
        source: "429".into(),
    };
    let first = world.ask(&instance, look_up()).await;
    answer(session.questioned().await, Err(throttled));
    let told = world.until_answered(&first).await;
    assert_eq!(told, Err(Refusal::Throttled { seconds: Some(600) }));

    // A socket that is asked would be waited for.
    for ask in [look_up(), block()] {
        let question = world.ask(&instance, ask).await;
        let told = world.until_answered(&question).await;
        let Err(Refusal::Throttled { seconds: Some(left) }) = told else {
            panic!("{told:?}");
        };
        assert!((1..=600).contains(&left), "{left}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn all_of_a_long_list_is_learnt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let contacts: Vec<Recipient> = (0..50).map(|i| name(&format!("155501010{i:02}"))).collect();
    let found = contacts.iter().map(|contact| Found::There {
        person: Person::of(contact),
        business_name: None,
    });
    let found = found.collect();
    let ask = Ask::from(LookUp {
        contacts: contacts.clone(),
    });
    let question = world.ask(&instance, ask).await;
    answer(session.questioned().await, Ok(Looked { found }.into()));
    assert!(world.until_answered(&question).await.is_ok());
    let people = People::new(world.table.clone());
    for contact in &contacts {
        until("a lesson", async || {
            let known = people.get(instance.id, contact, world.now()).await;
            known.expect("read")?.is_known_as(world.now()).map(|_| ())
        })
        .await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_past_its_time_is_not_begun() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut late = Vec::new();
    for ask in [look_up(), block()] {
        let mut question = world.question(&instance, ask);
        question.answer_by = world.now();
        world.put(&instance, &question).await;
        late.push(question);
    }
    world.until_no_queries().await;
    assert!(session.questions().is_empty());
    for question in &late {
        assert_eq!(world.progress(question).await, None);
        assert_eq!(world.give_up(question).await, Progress::GivenUp, "not started");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_that_was_given_up_is_not_begun() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.question(&instance, block());
    assert_eq!(world.give_up(&question).await, Progress::GivenUp);
    world.put(&instance, &question).await;
    world.until_no_queries().await;
    assert!(session.questions().is_empty());
    assert_eq!(world.progress(&question).await, Some(Progress::GivenUp));

    // One that reads does no harm, and its answer comes too late.
    let question = world.question(&instance, look_up());
    assert_eq!(world.give_up(&question).await, Progress::GivenUp);
    world.put(&instance, &question).await;
    answer(session.questioned().await, Ok(found()));
    world.until_no_queries().await;
    assert_eq!(world.progress(&question).await, Some(Progress::GivenUp));
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_that_comes_twice_changes_something_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.question(&instance, block());
    world.put(&instance, &question).await;
    world.put(&instance, &question).await;
    let first = session.questioned().await;
    world.until_no_queries().await;
    assert!(session.questions().is_empty(), "it was begun once");
    // Whoever asked waits no longer, and cannot say that nothing was done.
    assert_eq!(world.give_up(&question).await, Progress::Begun);
    answer(first, Ok(blocked()));
    // A retry finds what came late.
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    world.put(&instance, &question).await;
    world.until_no_queries().await;
    assert!(session.questions().is_empty(), "nor when it is done");

    // One that reads is asked again, and the first answer counts.
    let question = world.question(&instance, look_up());
    world.put(&instance, &question).await;
    world.put(&instance, &question).await;
    let (first, second) = (session.questioned().await, session.questioned().await);
    answer(first, Ok(found()));
    assert_eq!(world.until_answered(&question).await, Ok(found()));
    let other = Answer::from(Looked {
        found: vec![Found::Unsaid],
    });
    answer(second, Ok(other));
    world.until_no_queries().await;
    assert_eq!(world.until_answered(&question).await, Ok(found()));
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_whose_beginning_cannot_be_stored_is_not_begun() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let failing = table.always(On::operation("PutItem").with("ask#"), Fate::FAILED);
    let question = world.ask(&instance, block()).await;
    world.until_no_queries().await;
    until("an attempt to begin it", async || {
        (failing.hits() >= 1).then_some(())
    })
    .await;
    // Before the table heals: an attempt may still be under way, and must find that nobody waits.
    assert_eq!(world.give_up(&question).await, Progress::GivenUp, "not started");
    assert!(session.questions().is_empty());
    failing.end();

    // The answer to the first attempt is lost: the repetition finds its own mark.
    let lost = table.plan(On::operation("PutItem").with("ask#"), [Fate::PASS.unanswered()]);
    let question = world.ask(&instance, block()).await;
    answer(session.questioned().await, Ok(blocked()));
    assert!(lost.is_done());
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    daemon.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_at_once_is_stored_later() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.ask(&instance, block()).await;
    let asked = session.questioned().await;
    // More than the SDK hides.
    let failing = table.plan(On::operation("PutItem").with("ask#"), [Fate::THROTTLED; 4]);
    answer(asked, Ok(blocked()));
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    assert!(failing.is_done());
    daemon.stop().await;
}

/// Every third call of the queue fails, half of them after they took effect: a question that changes something is begun only
/// where it is known to be deleted, and never twice.
#[tokio::test]
async fn a_queue_that_fails_at_times_lets_nothing_be_done_twice() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut questions = Vec::new();
    for n in 0..12 {
        let ask = Ask::from(Block {
            contact: name(&format!("155501001{n:02}")),
            blocked: true,
        });
        questions.push(world.ask(&instance, ask).await);
    }
    world.queue.fail_every(3);
    let mut asked = Vec::new();
    until("some failures", async || {
        for question in session.questions() {
            assert!(!asked.contains(&question.ask), "done twice");
            asked.push(question.ask.clone());
            answer(question, Ok(blocked()));
        }
        (world.queue.failed() >= 4 && asked.len() >= 6).then_some(())
    })
    .await;
    world.queue.fail_every(0);
    // What was begun is answered, and of the rest it is certain that it was not begun.
    for question in &questions {
        if asked.contains(&question.ask) {
            assert_eq!(world.until_answered(question).await, Ok(blocked()));
        }
    }
    // What is begun meanwhile is answered too: an orderly end waits for it.
    let answering = async {
        loop {
            for question in session.questions() {
                answer(question, Ok(blocked()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = daemon.stop() => {}
        () = answering => {}
    }
}

/// The shard falls when it has begun: whoever has it next does not begin again, and nobody says that nothing was done.
#[tokio::test]
async fn what_was_begun_when_a_shard_fell_stays_in_doubt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut old) = world.connected(&mut daemon).await;
    let changing = world.ask(&instance, block()).await;
    let begun = old.questioned().await;
    let reading = world.ask(&instance, look_up()).await;
    let read = old.questioned().await;
    daemon.panic();
    in_time("the end of the session", old.line.abandoned.cancelled()).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    assert!(begun.answer.send(Ok(blocked())).is_err(), "nobody waits for it");
    // Both come again: one that was read does so by itself, after the 30 s that it is hidden.
    world.put(&instance, &changing).await;
    world.put(&instance, &reading).await;
    let again = session.questioned().await;
    assert_eq!(again.ask, look_up());
    answer(again, Ok(found()));
    assert_eq!(world.until_answered(&reading).await, Ok(found()));
    assert!(session.questions().is_empty());
    assert_eq!(world.give_up(&changing).await, Progress::Begun);
    drop(read);
    daemon.stop().await;
}

#[tokio::test]
async fn a_shard_that_is_handed_over_finishes_what_is_begun_and_gives_the_rest_away() {
    let world = World::new().await;
    let mut first = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut first).await;
    let mut begun = Vec::new();
    for _ in 0..4 {
        let question = world.ask(&instance, block()).await;
        begun.push((question, session.questioned().await));
    }
    let waiting = world.ask(&instance, block()).await;
    let reading = world.ask(&instance, look_up()).await;
    until("both in hand", async || {
        let depth = world.queue.depth(&world.names.queries(0)).await.expect("read");
        (depth.in_flight == 2).then_some(())
    })
    .await;
    let stopping = tokio::spawn(first.stop());
    until("both given back", async || {
        let depth = world.queue.depth(&world.names.queries(0)).await.expect("read");
        (depth.visible == 2).then_some(())
    })
    .await;
    for (question, asked) in begun {
        answer(asked, Ok(blocked()));
        assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    }
    stopping.await.expect("no panic");
    assert!(session.questions().is_empty());
    drop(session);
    let mut second = world.daemon("b").await;
    second.until_holding(1).await;
    // Its connection is not there yet.
    assert_eq!(world.until_answered(&waiting).await, Err(Refusal::NotConnected));
    assert_eq!(world.until_answered(&reading).await, Err(Refusal::NotConnected));
    drop(second.session().await);
    second.stop().await;
}

#[tokio::test]
async fn a_question_at_which_the_library_panics_costs_itself_alone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    // More than are answered at once.
    let mut lost = Vec::new();
    for _ in 0..6 {
        lost.push(world.ask(&instance, block()).await);
        drop(session.questioned().await);
    }
    let question = world.ask(&instance, block()).await;
    answer(session.questioned().await, Ok(blocked()));
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    for question in &lost {
        assert_eq!(world.give_up(question).await, Progress::Begun);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_of_a_newer_version_is_left_for_a_newer_daemon() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.question(&instance, block());
    let body = payload::encode(&Query::Question(question.clone()));
    let mut newer: serde_json::Value = serde_json::from_str(&body).expect("ours");
    newer["v"] = serde_json::json!(99);
    newer["ask"]["type"] = serde_json::json!("dance");
    let queue = world.names.queries(0);
    let sent = world
        .queue
        .send(&queue, OutgoingMessage::standard(newer.to_string()));
    sent.await.expect("queued");
    until("its rest", async || {
        world
            .queue
            .was_hidden_for(&queue, Duration::from_mins(1))
            .then_some(())
    })
    .await;
    let depth = world.queue.depth(&queue).await.expect("read");
    assert_eq!((depth.visible, depth.in_flight), (0, 1));
    assert!(session.questions().is_empty());
    daemon.stop().await;
}
