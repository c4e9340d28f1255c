//! Messages that wait for longer than a moment: they leave their lane to others, come back by themselves, and are taken
//! back at once.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use daemon::connection::{ReceiptKind, SendError, SessionEvent};
use daemon::fetch::Slowest;
use shared::domain::content::{Content, Media, Source};
use shared::domain::counting;
use shared::domain::event::{EventType, Wants};
use shared::domain::instance::Instance;
use shared::domain::job::{Job, Query, SendJob};
use shared::domain::message::{Change, Failure, FailureCode, Kind, State};
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::ids::MessageId;
use shared::queue::{OutgoingMessage, Queue as _};
use shared::reach::Reach;
use shared::sealed;
use shared::storage::messages::Transition;
use shared::storage::schedule::{Entry, Schedule};
use testbed::wait::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::network::Playing;
use crate::reachout::neighbours;
use crate::world::{NETWORK, SUBSCRIPTION, World};

const ALICE: &str = "15550100001";
const SHARD: Shard = Shard(0);

const AWAY: &str = "503 Service Unavailable";
pub const THERE: &str = "200 OK";
const GONE: &str = "404 Not Found";

/// A host that answers every request with this status, and counts them.
pub struct Host {
    pub url: String,
    status: Arc<Mutex<&'static str>>,
    asked: Arc<AtomicUsize>,
}

impl Host {
    pub async fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let url = format!("http://{}/a.bin", listener.local_addr().expect("bound"));
        let (status, asked) = (Arc::new(Mutex::new(status)), Arc::<AtomicUsize>::default());
        let (now, counts) = (Arc::clone(&status), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counts.fetch_add(1, Ordering::Relaxed);
                let status = *now.lock().expect("no holder panics");
                let mut request = vec![0; 8_192];
                let _ = socket.read(&mut request).await;
                let answer =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfile");
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, status, asked }
    }

    pub fn answers(&self, status: &'static str) {
        *self.status.lock().expect("no holder panics") = status;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The URL of a host that begins to send a file, and then drips its bytes for ever.
async fn dripping() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let url = format!("http://{}/a.bin", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 8_192];
                let _ = socket.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
                let mut sending = socket.write_all(head.as_bytes()).await;
                while sending.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    sending = socket.write_all(b"x").await;
                }
            });
        }
    });
    url
}

/// A document that is at this URL.
pub fn document(url: &str) -> Content {
    Content::Document(Media {
        source: Some(Source::Url(url.to_owned())),
        ..Media::default()
    })
}

impl World {
    /// A world whose daemons reach hosts on this machine, and put a message off as soon as its file cannot be had.
    pub async fn of_files() -> Self {
        let mut world = Self::new().await;
        world.files.reach = Reach::PRIVATE;
        world.files.patience = Some(Duration::ZERO);
        world
    }

    /// Accepts a document, as the API does.
    pub async fn accept_file(&self, instance: &Instance, to: &str, url: &str) -> MessageId {
        let job = self.job(instance, to, "").await;
        let content = document(url);
        let sealing = sealed::seal(&self.sealer, instance.id, &job.message, &content);
        let job = SendJob {
            kind: Kind::Document,
            content: sealing.await.expect("sealed"),
            ..job
        };
        self.record(&job).await;
        self.enqueue(instance, &job).await;
        job.message
    }

    /// The messages that are in the due index, and when each is due.
    pub async fn put_off(&self) -> Vec<(MessageId, DateTime<Utc>)> {
        let schedule = Schedule::new(self.table.clone());
        let end = self.now() + TimeDelta::days(9);
        let found = schedule.due(NETWORK, SHARD, end, 100).await.expect("read");
        let entries = found.into_iter().map(|found| found.entry.expect("whole"));
        entries.map(|entry| (entry.message, entry.at)).collect()
    }

    /// Waits until so many messages are put off, and their jobs have left the queue.
    pub async fn until_put_off(&self, count: usize) {
        until("messages that are put off", async || {
            (self.put_off().await.len() == count).then_some(())
        })
        .await;
        self.until_no_sends().await;
    }

    /// Tells the shard's owner that something is due now.
    async fn nudge_due(&self) {
        let due = OutgoingMessage::standard(payload::encode(&Query::Due { at: self.now() }));
        self.queue
            .send(&self.names.queries(0), due)
            .await
            .expect("queued");
    }

    /// Takes a message back that is put off, as the API does.
    pub async fn call_back(&self, instance: &Instance, message: MessageId) {
        let now = self.now();
        let change = Change {
            state: State::Cancelled,
            at: now,
            failure: None,
        };
        let changed = self.messages.change(instance.id, message, &change).await;
        let Transition::Made { before, kind, record } = changed.expect("stored") else {
            panic!("it waits");
        };
        let record = record.expect("readable");
        let at = record.put_off_at.expect("it is put off");
        let mut counters = counting::moved(kind, before, State::Cancelled, record.waits_since(), now);
        counters.extend(counting::back(before, Some(at), record.waits_since(), now));
        let counted = self.counters.count(instance.id, &counters, now).await;
        counted.expect("counted");
        let cancelled = Entry {
            at,
            message,
            instance: instance.id,
            subscription: Some(SUBSCRIPTION),
            expires_at: record.expires_at.expect("it expires"),
            job: None,
        };
        let schedule = Schedule::new(self.table.clone());
        let called = schedule.call_back(NETWORK, SHARD, cancelled, true, now).await;
        called.expect("stored");
        self.nudge_due().await;
    }
}

async fn takes(world: &World, session: &mut Playing, instance: &Instance, message: MessageId) {
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(instance, message, State::Sent).await;
}

fn restricted_for(world: &World, session: &Playing, hours: i64) {
    let end = world.now() + TimeDelta::hours(hours);
    let failure = Failure::of(FailureCode::ReachoutRestricted).until(Some(end));
    session.explain_next(Some(failure));
}

#[tokio::test]
async fn a_file_that_cannot_be_had_leaves_the_lane_and_comes_later() {
    let (world, host) = (World::of_files().await, Host::answering(AWAY).await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let file = world.accept_file(&instance, ALICE, &host.url).await;
    world.until_put_off(1).await;
    assert_eq!(host.asked(), 1);
    let record = world.until_state(&instance, file, State::Queued).await;
    let at = record.put_off_at.expect("the record says where its job is");
    assert_eq!(world.put_off().await, [(file, at)]);
    let pause = at - world.now();
    assert!((44..=60).contains(&pause.num_seconds()), "{pause}");

    // Others of its lane, and later ones of its own chat, go on.
    let warm = neighbours(&instance).next().expect("one");
    for to in [warm.as_str(), ALICE] {
        let text = world.accept(&instance, to, "meanwhile").await;
        takes(&world, &mut session, &instance, text).await;
    }

    // Each time it waits for longer.
    world.clock.advance(pause);
    until("another try", async || (host.asked() == 2).then_some(())).await;
    until("a longer pause", async || {
        let put_off = world.put_off().await;
        let (_, again) = put_off.first().filter(|(_, again)| *again > at)?;
        let pause = *again - world.now();
        assert!((89..=120).contains(&pause.num_seconds()), "{pause}");
        Some(())
    })
    .await;
    host.answers(THERE);
    world.clock.advance(TimeDelta::minutes(2));
    takes(&world, &mut session, &instance, file).await;
    assert_eq!(host.asked(), 3);
    world.until_put_off(0).await;
    let counts = world.until_counted(&instance, |counts| counts.ended == 3).await;
    assert_eq!((counts.put_off, counts.back), (2, 2));
    assert_eq!(session.sent_besides(), []);
}

/// They wait already, and only they can make room.
#[tokio::test]
async fn what_was_put_off_comes_back_past_a_message_that_has_no_room() {
    let mut world = World::of_files().await;
    world.queue_limits.instance = 2;
    let host = Host::answering(AWAY).await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for _ in 0..2 {
        world.accept_file(&instance, ALICE, &host.url).await;
        let counting = world
            .counters
            .count_as_waiting(SUBSCRIPTION, instance.id, world.now());
        counting.await.expect("counted");
    }
    world.until_put_off(2).await;
    world.until_counted(&instance, |counts| counts.put_off == 2).await;
    host.answers(THERE);
    let files = world.put_off().await;
    // Those that are put off come back in a minute or so.
    let at = world.now() + TimeDelta::seconds(30);
    let scheduled = world.schedule(&instance, ALICE, "no room yet", at).await;
    let asked = host.asked();
    let (_, last) = files[1];
    world.clock.advance(last - world.now());
    world.nudge_due().await;
    for (file, _) in files {
        takes(&world, &mut session, &instance, file).await;
    }
    assert_eq!(host.asked(), asked + 2);
    takes(&world, &mut session, &instance, scheduled).await;
    world.until_nothing_scheduled().await;
    assert_eq!(session.sent_besides(), []);
}

/// It never says nothing for long, and its file would take hours.
#[tokio::test]
async fn a_host_that_drips_bytes_leaves_the_lane_to_others() {
    let mut world = World::of_files().await;
    world.files.slowest = Slowest {
        grace: Duration::from_millis(500),
        rate: 1_000_000,
    };
    let url = dripping().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let file = world.accept_file(&instance, ALICE, &url).await;
    world.until_put_off(1).await;
    let warm = neighbours(&instance).next().expect("one");
    for to in [warm.as_str(), ALICE] {
        let text = world.accept(&instance, to, "meanwhile").await;
        takes(&world, &mut session, &instance, text).await;
    }
    world.clock.advance(TimeDelta::hours(24));
    let record = world.until_state(&instance, file, State::Expired).await;
    assert_eq!(record.failure.expect("why").code, "MEDIA_UNREACHABLE");
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn a_media_host_that_is_away_puts_a_message_off_too() {
    let (world, host) = (World::of_files().await, Host::answering(THERE).await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let refusals = &session.line.clone().upload_refusals;
    let asked = Duration::from_mins(10);
    refusals
        .lock()
        .expect("no holder panics")
        .push(SendError::Throttled {
            after: Some(asked),
            source: "busy".into(),
        });
    let file = world.accept_file(&instance, ALICE, &host.url).await;
    world.until_put_off(1).await;
    let (_, at) = world.put_off().await[0];
    assert_eq!(at - world.now(), TimeDelta::minutes(10), "as WhatsApp asks");
    world.clock.advance(TimeDelta::minutes(10));
    takes(&world, &mut session, &instance, file).await;
}

#[tokio::test]
async fn a_message_whose_file_never_comes_expires_and_says_why() {
    let (world, host) = (World::of_files().await, Host::answering(AWAY).await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let file = world.accept_file(&instance, ALICE, &host.url).await;
    world.until_put_off(1).await;
    world.clock.advance(TimeDelta::hours(24));
    let record = world.until_state(&instance, file, State::Expired).await;
    let failure = record.failure.expect("why");
    assert_eq!(failure.code, "MEDIA_UNREACHABLE");
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn a_message_that_is_taken_back_while_it_is_put_off_is_gone_at_once() {
    let (world, host) = (World::of_files().await, Host::answering(AWAY).await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageStatus]))
        .await;
    let file = world.accept_file(&instance, ALICE, &host.url).await;
    world.until_put_off(1).await;
    host.answers(THERE);
    world.call_back(&instance, file).await;
    // Its time has not come, and nothing is left of it.
    let events = world.events(&instance, 1).await;
    assert_eq!(events[0].data["status"], "cancelled");
    world.until_put_off(0).await;
    let counts = world.until_counted(&instance, |counts| counts.back == 1).await;
    assert_eq!((counts.put_off, counts.ended), (1, 1));
    assert_eq!((host.asked(), session.sent_besides()), (1, vec![]));
}

/// It went out over a connection that ended, and then WhatsApp lets the account begin no chats.
#[tokio::test]
async fn a_message_that_may_be_out_is_revoked_when_it_is_taken_back() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session.refuse_next(SendError::Interrupted { may_be_out: true });
    let message = world.accept(&instance, ALICE, "who knows").await;
    session.refused().await;
    session
        .tell(SessionEvent::Disconnected {
            reason: "the stream ended".to_owned(),
            blames_wire: false,
        })
        .await;
    let mut next = daemon.session().await;
    restricted_for(&world, &next, 5);
    next.log_in().await;
    assert_eq!(next.sent().await.message, message);
    next.acknowledge(message, Some(463)).await;
    world.until_put_off(1).await;
    world.call_back(&instance, message).await;
    let revoke = next.sent().await;
    let Content::Revoke(revoked) = &revoke.content else {
        panic!("{revoke:?}");
    };
    assert_eq!(revoked.target.whatsapp_id, message.to_whatsapp());
    next.acknowledge(revoke.message, None).await;
    world.until_put_off(0).await;
    assert_eq!(next.sent_besides(), []);
    world.until_state(&instance, message, State::Cancelled).await;
}

/// The daemon ended with the message on the wire, and the file is gone when the next one wants to send it again.
#[tokio::test]
async fn a_message_that_may_have_arrived_does_not_fail_for_its_file() {
    let (world, host) = (World::of_files().await, Host::answering(THERE).await);
    let mut first = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut first).await;
    let file = world.accept_file(&instance, ALICE, &host.url).await;
    assert_eq!(session.sent().await.message, file);
    first.stop().await;
    host.answers(GONE);
    let mut second = world.daemon("b").await;
    let mut session = second.session().await;
    session.log_in().await;
    let record = world.until_state(&instance, file, State::Failed).await;
    let failure = record.failure.expect("why");
    assert_eq!(
        (failure.code.as_str(), failure.retryable),
        ("NO_ACKNOWLEDGEMENT", false)
    );
    session.receipt(file, ReceiptKind::Delivered, world.now()).await;
    let record = world.until_state(&instance, file, State::Delivered).await;
    assert_eq!(record.failure, None);
    assert_eq!(session.sent_besides(), []);

    // One that nobody has tried before fails for what it is.
    let other = world.accept_file(&instance, ALICE, &host.url).await;
    let record = world.until_state(&instance, other, State::Failed).await;
    assert_eq!(record.failure.expect("why").code, "MEDIA_UNREACHABLE");
}

/// The table takes items of 400 KB.
#[tokio::test]
async fn a_message_that_is_too_large_for_the_index_waits_in_its_lane() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    restricted_for(&world, &session, 5);
    let message = world.accept(&instance, ALICE, &"long ".repeat(90_000)).await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, Some(463)).await;
    until("the wait in the lane", async || {
        let hidden = shared::queue::deployment::SENDS_VISIBILITY;
        let sends = world.names.sends(0);
        (hidden < Duration::from_mins(1) && world.queue.was_hidden_for(&sends, Duration::from_mins(1)))
            .then_some(())
    })
    .await;
    let record = world.until_state(&instance, message, State::Queued).await;
    assert_eq!((record.put_off_at, world.put_off().await), (None, vec![]));
    let change = Change {
        state: State::Cancelled,
        at: world.now(),
        failure: None,
    };
    let changed = world.messages.change(instance.id, message, &change).await;
    assert!(matches!(changed.expect("stored"), Transition::Made { .. }));
    world.until_no_sends().await;
    assert_eq!(world.queue.received_again(&world.names.sends(0)), 0, "it stayed");
    assert_eq!(session.sent_besides(), []);
}

/// A process ended between the entry and the job's end, and the message was put off anew.
#[tokio::test]
async fn an_entry_that_the_record_does_not_name_is_dropped() {
    let (world, host) = (World::of_files().await, Host::answering(AWAY).await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let file = world.accept_file(&instance, ALICE, &host.url).await;
    world.until_put_off(1).await;
    let schedule = Schedule::new(world.table.clone());
    let found = schedule
        .due(NETWORK, SHARD, world.now() + TimeDelta::days(1), 1)
        .await;
    let entry = found.expect("read").remove(0).entry.expect("whole");
    let stale = Entry {
        at: entry.at - TimeDelta::seconds(30),
        ..entry.clone()
    };
    schedule.put(NETWORK, SHARD, &stale).await.expect("stored");
    world.clock.advance(stale.at - world.now());
    world.nudge_due().await;
    until("the end of the stale entry", async || {
        (world.put_off().await == [(file, entry.at)]).then_some(())
    })
    .await;
    world.until_no_sends().await;
    assert_eq!(host.asked(), 1, "it was not tried for that");
    host.answers(THERE);
    world.clock.advance(entry.at - world.now());
    takes(&world, &mut session, &instance, file).await;
    assert!(matches!(
        payload::decode(&entry.job.expect("a job").body),
        Ok(Job::Send(_))
    ));
}
