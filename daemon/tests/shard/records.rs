//! Records of messages whose jobs come together are read in one request.

use shared::domain::instance::Instance;
use shared::domain::job::Job;
use shared::domain::message::State;
use shared::domain::payload;
use shared::domain::shard::lane;
use shared::ids::MessageId;
use testbed::relay::{Fate, On, Relay, Reply, Rule};
use testbed::wait::{in_time, until};

use crate::daemons::Daemon;
use crate::network::Playing;
use crate::world::World;

/// Records that are read with others.
fn together() -> On {
    On::operation("BatchGetItem").with("msgs#")
}

/// Records that are read by themselves.
fn alone() -> On {
    On::operation("GetItem").with("msgs#")
}

/// Numbers whose chats are in one lane.
fn neighbours<const N: usize>(instance: &Instance) -> [String; N] {
    let lane_of = |number: &String| lane(instance.id, &number.parse().expect("a number"));
    let mut numbers = (1..9_999)
        .map(|n| format!("155501{n:05}"))
        .filter(|number| lane_of(number).ends_with("#1"));
    std::array::from_fn(|_| numbers.next().expect("there are eight lanes"))
}

/// An instance one of whose lanes gets its jobs together: they are queued while a job of theirs is on the wire.
struct Scene {
    world: World,
    session: Playing,
    instance: Instance,
    /// A chat that holds the lane, and others in it.
    holder: String,
    others: [String; 3],
}

impl Scene {
    async fn on(table: &Relay, world: World) -> (Self, Daemon) {
        let mut daemon = world.daemon_on("a", table.endpoint()).await;
        let (instance, session) = world.connected(&mut daemon).await;
        let [holder, others @ ..] = neighbours::<4>(&instance);
        let scene = Self {
            world,
            session,
            instance,
            holder,
            others,
        };
        (scene, daemon)
    }

    /// Puts a message on the wire that holds the lane until it is acknowledged.
    async fn hold(&mut self) -> MessageId {
        let held = self.world.accept(&self.instance, &self.holder, "wait").await;
        assert_eq!(self.session.sent().await.message, held);
        held
    }

    /// A text to each of the others.
    async fn accept(&self) -> [MessageId; 3] {
        let mut accepted = [MessageId::from_bytes([0; 16]); 3];
        for (message, to) in accepted.iter_mut().zip(&self.others) {
            *message = self.world.accept(&self.instance, to, "hello").await;
        }
        accepted
    }

    /// The next messages on the wire, each of which is acknowledged: so many, by their ids.
    async fn sent(&mut self, count: usize) -> Vec<MessageId> {
        let mut sent = Vec::new();
        for _ in 0..count {
            let message = self.session.sent().await.message;
            self.session.acknowledge(message, None).await;
            sent.push(message);
        }
        sent.sort_unstable();
        sent
    }

    /// Waits until all jobs are done. Nothing else was sent.
    async fn until_done(&mut self) {
        self.world.until_no_sends().await;
        assert_eq!(self.session.sent_besides(), []);
    }
}

fn sorted<const N: usize>(mut messages: [MessageId; N]) -> [MessageId; N] {
    messages.sort_unstable();
    messages
}

#[tokio::test]
async fn one_request_reads_the_records_of_several_instances() {
    let world = World::new().await;
    let (one, two) = (world.instance("one").await, world.instance("two").await);
    let mut messages = Vec::new();
    for (instance, to) in [
        (&one, "15550100001"),
        (&one, "15550100002"),
        (&one, "15550100003"),
        (&two, "15550100001"),
    ] {
        messages.push(world.accept(instance, to, "hello").await);
    }
    let table = Relay::before(&world.database.endpoint).await;
    let reads = table.hold(together());
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let held = in_time("their records", reads.arrived()).await;
    for message in &messages {
        assert!(
            held.call.body.contains(&message.to_string()),
            "{}",
            held.call.body
        );
    }
    held.pass();
    let (mut sessions, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let mut session = daemon.session().await;
        session.log_in().await;
        let count = if session.instance == one.id { 3 } else { 1 };
        for _ in 0..count {
            let message = session.sent().await.message;
            session.acknowledge(message, None).await;
            sent.push(message);
        }
        // It goes on.
        sessions.push(session);
    }
    sent.sort_unstable();
    messages.sort_unstable();
    assert_eq!(sent, messages);
    world.until_no_sends().await;
}

/// What was read two seconds before its message goes to the wire is read again, so a machine that stands still takes another
/// round.
#[tokio::test]
async fn what_was_read_with_others_is_not_read_again() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let (mut scene, _daemon) = Scene::on(&table, world).await;
    let [batches, singles] = [together(), alone()].map(|on| table.watch(on));
    until("a round with one request for three records", async || {
        let held = scene.hold().await;
        let before = [&batches, &singles].map(Rule::hits);
        let accepted = scene.accept().await;
        scene.session.acknowledge(held, None).await;
        assert_eq!(scene.sent(3).await, sorted(accepted));
        scene.until_done().await;
        let after = [&batches, &singles].map(Rule::hits);
        (after == [before[0] + 1, before[1]]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_record_that_was_left_unread_is_read_by_itself() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let (mut scene, _daemon) = Scene::on(&table, world).await;
    for fate in [
        Fate::UNREAD,
        Fate::LEFT,
        Fate::refused(Reply::Code(400, "ValidationException")),
    ] {
        let held = scene.hold().await;
        let [first, second, last] = scene.accept().await;
        // Taken for missing, it would go out: a job without a record is sent.
        scene.world.take_back(&scene.instance, last).await;
        let planned = table.plan(together(), [fate]);
        scene.session.acknowledge(held, None).await;
        assert_eq!(scene.sent(2).await, sorted([first, second]));
        scene.until_done().await;
        assert!(planned.is_done());
        let record = scene
            .world
            .until_state(&scene.instance, last, State::Failed)
            .await;
        assert_eq!(record.failure.expect("why").code, "NOT_ACCEPTED");
    }
}

#[tokio::test]
async fn a_message_whose_jobs_come_together_is_sent_once() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let (mut scene, _daemon) = Scene::on(&table, world).await;
    let held = scene.hold().await;
    let twice = scene.world.job(&scene.instance, &scene.others[0], "once").await;
    scene.world.record(&twice).await;
    scene.world.enqueue(&scene.instance, &twice).await;
    let body = payload::encode(&Job::Send(twice.clone()));
    scene
        .world
        .enqueue_raw(&scene.instance, &twice.to, body, "again")
        .await;
    let other = scene
        .world
        .accept(&scene.instance, &scene.others[1], "hello")
        .await;
    scene.session.acknowledge(held, None).await;
    assert_eq!(scene.sent(2).await, sorted([twice.message, other]));
    scene.until_done().await;
}

/// How long a job takes decides how many are read ahead, so a machine that stands still takes another round.
#[tokio::test]
async fn jobs_of_a_chat_have_their_records_read_ahead_and_none_twice() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let (mut scene, _daemon) = Scene::on(&table, world).await;
    let batches = table.watch(together());
    let to = scene.others[0].clone();
    until("a round with one request for records of a chat", async || {
        let held = scene.hold().await;
        let before = batches.hits();
        let first = scene.world.accept(&scene.instance, &to, "one").await;
        let twice = scene.world.job(&scene.instance, &to, "two").await;
        scene.world.record(&twice).await;
        scene.world.enqueue(&scene.instance, &twice).await;
        let body = payload::encode(&Job::Send(twice.clone()));
        let (world, again) = (&scene.world, format!("again-{}", twice.message));
        world.enqueue_raw(&scene.instance, &twice.to, body, &again).await;
        let last = scene.world.accept(&scene.instance, &to, "three").await;
        scene.session.acknowledge(held, None).await;
        for message in [first, twice.message, last] {
            assert_eq!(scene.session.sent().await.message, message, "in order, and once");
            scene.session.acknowledge(message, None).await;
        }
        scene.until_done().await;
        (batches.hits() == before + 1).then_some(())
    })
    .await;
}
