//! Any sequence of the library's calls agrees with its own store in memory: while calls to the table fail, take effect
//! unheard, or land after their successors, while reads that ask for no consistency see nothing, while sessions end and
//! processes die, and while a former owner goes on.
//!
//! A call that failed may have taken effect, in part or as a whole. So each fact must then be as before or as after
//! the call. Then the call is made again and must take effect as a whole, or it is given up and what is stored stays.

mod facts;
mod flaky;
mod ops;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use daemon::store::SessionStore;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shared::ids::InstanceId;
use shared::session_state::{Fence, TableSessionState};
use testbed::relay::{Fate, On, Relay, Rule};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wacore::store::Device;
use wacore::store::in_memory::InMemoryBackend;

use self::facts::Fact;
use self::flaky::{Fault, Faults, Flaky};
use self::ops::{MESSAGES, Op, at, op};
use crate::support::World;

/// One step of a run.
#[derive(Debug, Clone)]
enum Step {
    /// A call.
    Call(Op),
    /// A call of whose calls to the table one fails, after so many others.
    Fail {
        op: Op,
        after: u8,
        fault: Fault,
        is_retried: bool,
    },
    /// A call that is given up while its write is on its way, and does not arrive yet.
    Delay(Op),
    /// That write arrives.
    Land,
    /// The session ends in order, and another begins under the same lease.
    Reopen,
    /// The process dies, and another takes the shard.
    Die,
    /// The owner makes a call, and then the process that died first, but only stood still, makes another to the same
    /// entries.
    Former(Op),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::Throttled),
        Just(Fault::TimedOut),
        Just(Fault::Lost),
        any::<u8>().prop_map(Fault::Torn)
    ];
    prop_oneof![
        10 => op().prop_map(Step::Call),
        8 => (op(), 0..3_u8, fault, any::<bool>()).prop_map(|(op, after, fault, is_retried)| Step::Fail {
            op,
            after,
            fault,
            is_retried,
        }),
        3 => op().prop_map(Step::Delay),
        2 => Just(Step::Land),
        1 => Just(Step::Reopen),
        2 => Just(Step::Die),
        2 => op().prop_map(Step::Former),
    ]
}

/// A write that is on its way.
struct Delayed {
    operation: String,
    body: String,
    op: Op,
    /// Whether the same entry has been written since.
    is_overtaken: bool,
}

/// Our store and what must be in it, side by side.
struct Run {
    world: World,
    relay: Relay,
    /// Counts reads that do not ask for consistency. They see nothing.
    unseen: Rule,
    base: Device,
    fence: Fence,
    faults: Faults,
    store: Arc<SessionStore>,
    former: Option<Arc<SessionStore>>,
    /// The calls that took effect.
    log: Vec<Op>,
    /// When the messages first came. They keep that, however often they come again.
    came: BTreeMap<u8, DateTime<Utc>>,
    delayed: Option<Delayed>,
}

fn unseen(relay: &Relay) -> Rule {
    let reads = On::operations(["GetItem", "Query", "BatchGetItem"]).with("sess#");
    relay.always(reads.without("\"ConsistentRead\":true"), Fate::UNSEEN)
}

impl Run {
    async fn start() -> Self {
        let world = World::new().await;
        let relay = Relay::before(&world.database.endpoint).await;
        let (fence, faults) = (Fence::new(1), Faults::default());
        Self {
            unseen: unseen(&relay),
            base: Device::new(),
            store: open(&world, &relay, &fence, &faults),
            relay,
            world,
            fence,
            faults,
            former: None,
            log: Vec::new(),
            came: BTreeMap::new(),
            delayed: None,
        }
    }

    fn reopen(&mut self) {
        self.world.clock.advance(TimeDelta::seconds(1));
        self.store = open(&self.world, &self.relay, &self.fence, &self.faults);
    }

    /// The library's store after these calls.
    async fn reference(&self, log: &[Op]) -> InMemoryBackend {
        let reference = InMemoryBackend::default();
        for op in log {
            op.call(&reference, &self.base).await.expect("it never fails");
        }
        reference
    }

    async fn after(&self, op: &Op) -> InMemoryBackend {
        let reference = self.reference(&self.log).await;
        op.call(&reference, &self.base).await.expect("it never fails");
        reference
    }

    /// All of these facts are as they must be.
    async fn agree(&self, facts: &[Fact], why: &str) {
        let reference = self.reference(&self.log).await;
        for fact in facts {
            let (ours, theirs) = (fact.read(&*self.store).await, fact.read(&reference).await);
            assert_eq!(ours, theirs, "{fact:?} {why}");
        }
    }

    async fn step(&mut self, step: Step) {
        self.world.clock.advance(TimeDelta::seconds(1));
        match step {
            Step::Call(op) => self.call(op).await,
            Step::Fail {
                op,
                after,
                fault,
                is_retried,
            } => self.fail(op, after, fault, is_retried).await,
            Step::Delay(op) => self.delay(op).await,
            Step::Land => self.land().await,
            Step::Reopen => {
                self.store.store_deferred().await.expect("stored");
                self.reopen();
                self.agree(&Fact::all(), "in the next session").await;
            }
            Step::Die => self.die().await,
            Step::Former(op) => self.overtake_former(op).await,
        }
    }

    /// A call that must succeed, and say what the library's own store says.
    async fn call(&mut self, op: Op) {
        let ours = op.call(&*self.store, &self.base).await.expect("nothing fails");
        let reference = self.reference(&self.log).await;
        let theirs = op.call(&reference, &self.base).await.expect("it never fails");
        assert_eq!(ours, theirs, "{op:?}");
        self.keep_times(&op);
        self.took_effect(op).await;
    }

    /// Each message that was buffered has the time at which it first came.
    fn keep_times(&mut self, op: &Op) {
        let Op::Buffer(values) = op else {
            return;
        };
        for id in values.keys() {
            let came = self.store.received_at("chat", "sender", at(&MESSAGES, *id));
            let came = came.expect("it is buffered");
            let first = *self.came.entry(*id).or_insert(came);
            assert_eq!(came, first, "message {id} came before");
        }
    }

    async fn took_effect(&mut self, op: Op) {
        let facts = op.facts();
        if let Some(delayed) = &mut self.delayed
            && op.contrary().is_some()
        {
            let written = delayed.op.facts();
            delayed.is_overtaken |= facts.iter().any(|fact| written.contains(fact));
        }
        self.log.push(op.clone());
        self.agree(&facts, "after a call").await;
        // As they rest, too: they were just read.
        self.keep_times(&op);
    }

    async fn fail(&mut self, op: Op, after: u8, fault: Fault, is_retried: bool) {
        self.faults.arm(after, fault);
        let ours = op.call(&*self.store, &self.base).await;
        let has_failed = self.faults.disarm();
        if let (true, Op::TakeSent(_), Ok(taken)) = (has_failed, &op, &ours) {
            return self.left(op, taken, fault).await;
        }
        assert_eq!(ours.is_err(), has_failed, "{op:?}: a failure is told");
        if !has_failed {
            return self.took_effect(op).await;
        }
        let is_lost = self.store.inbound_lost().is_cancelled();
        assert_eq!(is_lost, matches!(op, Op::Buffer(_)), "{op:?}");
        if is_lost {
            let late = Op::SaveDevice(1).call(&*self.store, &self.base).await;
            assert!(late.is_err(), "the session stores nothing more");
            self.reopen();
        }
        self.be_before_or_after(&op).await;
        match op.wholes().filter(|_| !is_retried) {
            Some(wholes) => self.give_up(wholes).await,
            None => self.retry(op).await,
        }
    }

    /// Each fact is as it was before the call, or as it is after it.
    async fn be_before_or_after(&self, op: &Op) {
        let (before, after) = (self.reference(&self.log).await, self.after(op).await);
        for fact in op.facts() {
            let ours = fact.read(&*self.store).await;
            let allowed = [fact.read(&before).await, fact.read(&after).await];
            assert!(
                allowed.contains(&ours),
                "{fact:?} after {op:?}: {ours}, of {allowed:?}"
            );
        }
    }

    /// The call is made again, and takes effect as a whole.
    async fn retry(&mut self, op: Op) {
        let ours = op.call(&*self.store, &self.base).await.expect("nothing fails");
        let reference = self.reference(&self.log).await;
        let theirs = op.call(&reference, &self.base).await.expect("it never fails");
        assert_eq!(ours, theirs, "{op:?}");
        self.keep_times(&op);
        self.took_effect(op).await;
    }

    /// A sent message was taken, and its deletion failed. It is taken once more, if it may be there, and then it is gone.
    async fn left(&mut self, op: Op, taken: &str, fault: Fault) {
        let reference = self.reference(&self.log).await;
        let theirs = op.call(&reference, &self.base).await.expect("it never fails");
        assert_eq!(taken, theirs, "{op:?}");
        let again = op.call(&*self.store, &self.base).await.expect("nothing fails");
        let may_be_there = matches!(fault, Fault::Throttled | Fault::TimedOut);
        let expected = if may_be_there { taken } else { "None" };
        assert_eq!(again, expected, "{op:?} after {fault:?}");
        self.took_effect(op).await;
    }

    /// The call is not made again: what of it is stored stays, and the rest is not.
    async fn give_up(&mut self, wholes: Vec<Op>) {
        for whole in wholes {
            let after = self.after(&whole).await;
            let mut is_done = true;
            for fact in whole.facts() {
                is_done &= fact.read(&*self.store).await == fact.read(&after).await;
            }
            if is_done {
                self.took_effect(whole).await;
            } else {
                self.agree(&whole.facts(), "after a call without effect").await;
            }
        }
    }

    async fn delay(&mut self, op: Op) {
        let Some(op) = op.wholes().map(|mut wholes| wholes.swap_remove(0)) else {
            return;
        };
        if self.delayed.is_some() {
            return;
        }
        let catch = self
            .relay
            .hold(On::operations(["PutItem", "UpdateItem"]).with("sess#"));
        let (calling, store, base) = (op.clone(), Arc::clone(&self.store), self.base.clone());
        let mut call = tokio::spawn(async move { calling.call(&*store, &base).await });
        tokio::select! {
            held = catch.arrived() => {
                // Whoever called gives it up.
                call.abort();
                let _ = call.await;
                let (operation, body) = (held.call.operation.clone(), held.call.body.clone());
                held.release(Fate::BROKEN);
                self.delayed = Some(Delayed { operation, body, op, is_overtaken: false });
            }
            called = &mut call => {
                // It had nothing to write.
                called.expect("no panic").expect("nothing fails");
                self.relay.calm();
                let before = self.unseen.hits();
                assert_eq!(before, 0, "a read asked for no consistency");
                self.unseen = unseen(&self.relay);
                self.took_effect(op).await;
            }
        }
    }

    /// The write that is on its way lands, past everything.
    async fn land(&mut self) {
        let Some(delayed) = self.delayed.take() else {
            return;
        };
        make(&self.world.database.endpoint, &delayed.operation, &delayed.body).await;
        self.reopen();
        if delayed.is_overtaken {
            self.agree(&Fact::all(), "after a write that came too late").await;
        } else {
            self.give_up(vec![delayed.op]).await;
        }
    }

    /// Nothing of the process is left but what is stored. Its lease goes to another.
    async fn die(&mut self) {
        self.fence = Fence::new(self.fence.token() + 1);
        self.former = Some(Arc::clone(&self.store));
        self.reopen();
        self.agree(&Fact::all(), "in the next process").await;
    }

    async fn overtake_former(&mut self, op: Op) {
        let (Some(former), Some(contrary)) = (self.former.clone(), op.contrary()) else {
            return;
        };
        let facts = op.facts();
        self.call(op).await;
        let late = contrary.call(&*former, &self.base).await;
        assert!(late.is_err(), "{contrary:?} of a former owner");
        self.agree(&facts, "after a former owner's call").await;
    }

    async fn finish(mut self) {
        self.land().await;
        self.agree(&Fact::all(), "in the end").await;
        self.reopen();
        self.agree(&Fact::all(), "after the end").await;
        assert_eq!(self.unseen.hits(), 0, "a read asked for no consistency");
    }
}

fn open(world: &World, relay: &Relay, fence: &Fence, faults: &Faults) -> Arc<SessionStore> {
    let state = TableSessionState::new(
        testbed::table::patient(relay.endpoint()),
        Arc::new(world.sealer()),
        Arc::new(world.clock.clone()),
        InstanceId::from_bytes([1; 16]),
        fence.clone(),
    );
    let flaky = Flaky::new(Arc::new(state), faults.clone());
    Arc::new(SessionStore::new(Arc::new(flaky), Arc::new(world.clock.clone())))
}

/// Makes a call of which a copy was kept.
async fn make(endpoint: &str, operation: &str, body: &str) {
    let host = endpoint.trim_start_matches("http://");
    let signature = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/dynamodb/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature=0";
    let head = [
        "POST / HTTP/1.1".to_owned(),
        format!("Host: {host}"),
        format!("X-Amz-Target: DynamoDB_20120810.{operation}"),
        "X-Amz-Date: 20260101T000000Z".to_owned(),
        format!("Authorization: {signature}"),
        "Content-Type: application/x-amz-json-1.0".to_owned(),
        "Connection: close".to_owned(),
        format!("Content-Length: {}", body.len()),
    ];
    let request = format!("{}\r\n\r\n{body}", head.join("\r\n"));
    let mut stream = TcpStream::connect(host).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let is_answered = answer.contains(" 200 ") || answer.contains("ConditionalCheckFailedException");
    assert!(is_answered, "{answer}");
}

/// The same runs each time; `PROPTEST_RNG_SEED` chooses others.
fn config() -> ProptestConfig {
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2_026),
        chosen @ RngSeed::Fixed(_) => chosen,
    };
    ProptestConfig { rng_seed, ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_run_agrees_with_the_librarys_own_store(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("built");
        runtime.block_on(async {
            let mut run = Run::start().await;
            for step in steps {
                run.step(step).await;
            }
            run.finish().await;
        });
    }
}
