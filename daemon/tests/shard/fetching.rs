//! Files that came with messages, on their way into the bucket.

use chrono::TimeDelta;
use daemon::connection::{FetchedMedia, MediaError};
use daemon::whatsapp::Writer;
use futures::StreamExt as _;
use shared::bucket::{Area, ObjectName};
use shared::domain::content::{Bytes, Content, File, Kind, Media, Remote, Revoke, Source, Target};
use shared::domain::instance::Instance;
use shared::domain::person::Person;
use shared::domain::question::{FetchMedia, MediaFetched, MediaPlace, Outcome, Question, Refusal};
use shared::ids::{MediaId, MessageId};
use shared::queue::Queue as _;
use shared::storage::keys;
use shared::storage::media::MediaTable;
use testbed::wait::until;

use crate::daemons::Daemon;
use crate::inbound::message;
use crate::network::{Playing, Wanted};
use crate::world::World;

/// Where the file of a message is.
pub fn remote() -> Remote {
    Remote {
        direct_path: "/v/t62/one".to_owned(),
        url: None,
        key: Bytes(vec![1; 32]),
        key_at: None,
        encrypted_sha256: Bytes(vec![2; 32]),
        sha256: Bytes(vec![3; 32]),
        size: 5,
        sidecar: None,
        thumbnail: Some(Bytes(vec![4; 5_000])),
        waveform: None,
        whence: None,
    }
}

/// A picture, as it comes in.
pub fn image() -> Media {
    Media {
        media: File {
            mime_type: Some("image/jpeg".to_owned()),
            ..File::default()
        },
        text: Some("look".to_owned()),
        view_once: false,
        source: Some(Source::Remote(Box::new(remote()))),
    }
}

/// The id of a message that comes in with this picture.
pub async fn comes(world: &World, session: &Playing, instance: &Instance, media: Media) -> MessageId {
    let mut incoming = message(world, "3AFF01");
    incoming.content = Content::Image(media);
    let committed = session.inbound.commit(std::slice::from_ref(&incoming)).await;
    committed.expect("stored");
    let jid = incoming.chat.to_jid();
    let instance = instance.id.to_string();
    let parts = [&*instance, &*jid, &*incoming.sender, "3AFF01"];
    MessageId::derived_in_order(incoming.received_at, &parts)
}

fn file(bytes: &[u8]) -> FetchedMedia {
    let mut writer = Writer::new(Kind::Image, None).expect("a file");
    writer.write(bytes).expect("written");
    FetchedMedia {
        spool: writer.finish().expect("written"),
        moved_to: None,
    }
}

fn give(wanted: Wanted, with: Result<FetchedMedia, MediaError>) {
    wanted.answer.send(with).expect("the daemon waits for it");
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with outcomes")]
fn is_at(place: MediaPlace) -> Outcome {
    Ok(MediaFetched { place }.into())
}

struct Fetched {
    world: World,
    daemon: Daemon,
    instance: Instance,
    session: Playing,
    media: MediaId,
}

impl Fetched {
    /// A message has come with a picture.
    async fn new() -> Self {
        let world = World::new().await;
        let mut daemon = world.daemon("a").await;
        let (instance, session) = world.connected(&mut daemon).await;
        let message = comes(&world, &session, &instance, image()).await;
        Self {
            media: MediaId::of_message(message),
            world,
            daemon,
            instance,
            session,
        }
    }

    async fn ask(&self) -> Question {
        self.world
            .ask(&self.instance, FetchMedia { media: self.media }.into())
            .await
    }

    fn object(&self) -> ObjectName {
        ObjectName::new(Area::Incoming, self.instance.id, self.media)
    }

    async fn in_bucket(&self) -> Option<Vec<u8>> {
        let object = self.daemon.deps.bucket.get(&self.object()).await.expect("read")?;
        let pieces: Vec<_> = object.content.collect().await;
        let pieces: Vec<_> = pieces.into_iter().map(|piece| piece.expect("read")).collect();
        Some(pieces.concat())
    }
}

#[tokio::test]
async fn a_file_is_brought_into_the_bucket_once_however_often_it_is_asked_for() {
    let mut fetched = Fetched::new().await;
    let (first, second) = (fetched.ask().await, fetched.ask().await);
    let wanted = fetched.session.wanted().await;
    assert_eq!(wanted.came.remote.direct_path, "/v/t62/one");
    assert!(wanted.came.remote.thumbnail.is_none(), "it is not needed");
    assert_eq!(
        (&*wanted.came.whence.whatsapp_id, &*wanted.came.whence.chat),
        ("3AFF01", "200000000000001@lid")
    );
    give(wanted, Ok(file(b"hello")));
    for question in [first, second] {
        let outcome = fetched.world.until_answered(&question).await;
        assert_eq!(outcome, is_at(MediaPlace::Here));
    }
    assert_eq!(fetched.in_bucket().await.expect("there"), b"hello");
    let again = fetched.ask().await;
    let outcome = fetched.world.until_answered(&again).await;
    assert_eq!(outcome, is_at(MediaPlace::Here));
    assert!(!fetched.session.wants_more(), "it is there");
}

/// A question does not wait for a large file, which comes all the same.
#[tokio::test]
async fn a_file_goes_on_when_its_question_is_over() {
    let mut fetched = Fetched::new().await;
    let ask = FetchMedia { media: fetched.media };
    let in_haste = fetched
        .world
        .ask_within(&fetched.instance, ask.into(), TimeDelta::milliseconds(300));
    let in_haste = in_haste.await;
    let wanted = fetched.session.wanted().await;
    let outcome = fetched.world.until_answered(&in_haste).await;
    assert_eq!(outcome, is_at(MediaPlace::UnderWay));
    let patient = fetched.ask().await;
    give(wanted, Ok(file(b"hello")));
    let outcome = fetched.world.until_answered(&patient).await;
    assert_eq!(outcome, is_at(MediaPlace::Here));
    assert!(!fetched.session.wants_more(), "it was under way");
}

#[tokio::test]
async fn what_is_gone_and_what_may_pass_are_told_apart() {
    let mut fetched = Fetched::new().await;
    for (trouble, outcome) in [
        (MediaError::Gone, is_at(MediaPlace::Gone)),
        (MediaError::TooLarge, is_at(MediaPlace::TooLarge)),
        (MediaError::NotConnected, Err(Refusal::NotConnected)),
        (MediaError::Unavailable("later".into()), Err(Refusal::Unavailable)),
    ] {
        let question = fetched.ask().await;
        give(fetched.session.wanted().await, Err(trouble));
        assert_eq!(fetched.world.until_answered(&question).await, outcome);
    }
    assert_eq!(fetched.in_bucket().await, None);
    // None of it is for good.
    let question = fetched.ask().await;
    give(fetched.session.wanted().await, Ok(file(b"hello")));
    let outcome = fetched.world.until_answered(&question).await;
    assert_eq!(outcome, is_at(MediaPlace::Here));
}

/// Whoever deletes a file that is under way does not find it later.
#[tokio::test]
async fn a_file_that_is_deleted_meanwhile_does_not_stay() {
    let mut fetched = Fetched::new().await;
    let question = fetched.ask().await;
    let wanted = fetched.session.wanted().await;
    let table = MediaTable::new(fetched.world.table.clone());
    table
        .forget(fetched.instance.id, fetched.media)
        .await
        .expect("stored");
    give(wanted, Ok(file(b"hello")));
    let outcome = fetched.world.until_answered(&question).await;
    assert_eq!(outcome, is_at(MediaPlace::Gone));
    assert_eq!(fetched.in_bucket().await, None);
}

/// Whoever takes a message back takes its file back too.
#[tokio::test]
async fn a_file_of_a_message_that_is_taken_back_does_not_stay() {
    let mut fetched = Fetched::new().await;
    let question = fetched.ask().await;
    give(fetched.session.wanted().await, Ok(file(b"hello")));
    let outcome = fetched.world.until_answered(&question).await;
    assert_eq!(outcome, is_at(MediaPlace::Here));
    let mut revoke = message(&fetched.world, "3AFF02");
    revoke.content = Content::Revoke(Revoke {
        target: Target {
            whatsapp_id: "3AFF01".to_owned(),
            from_me: false,
            author: Person::default(),
        },
    });
    let committed = fetched
        .session
        .inbound
        .commit(std::slice::from_ref(&revoke))
        .await;
    committed.expect("stored");
    assert_eq!(fetched.in_bucket().await, None);
    let item = keys::media(fetched.instance.id, fetched.media);
    assert!(fetched.world.item(&item).await.is_none());
    let question = fetched.ask().await;
    let outcome = fetched.world.until_answered(&question).await;
    assert_eq!(outcome, is_at(MediaPlace::Gone));
}

/// A large file takes long, and whoever waits for one keeps nobody from asking.
#[tokio::test]
async fn who_waits_for_a_file_takes_no_place_of_another_question() {
    let mut fetched = Fetched::new().await;
    let mut patient = Vec::new();
    // As many as there are places, and one more.
    for _ in 0..33 {
        patient.push(fetched.ask().await);
    }
    let wanted = fetched.session.wanted().await;
    let queries = fetched.world.names.queries(0);
    until("all of them in hand", async || {
        let depth = fetched.world.queue.depth(&queries).await.expect("read");
        (depth.visible == 0).then_some(())
    })
    .await;
    give(wanted, Ok(file(b"hello")));
    for question in &patient {
        let outcome = fetched.world.until_answered(question).await;
        assert_eq!(outcome, is_at(MediaPlace::Here));
    }
}

/// The phone has uploaded it anew, and will not be asked again for that.
#[tokio::test]
async fn where_a_file_lies_by_now_is_remembered() {
    let mut fetched = Fetched::new().await;
    let question = fetched.ask().await;
    let moved = FetchedMedia {
        moved_to: Some("/v/t62/two".to_owned()),
        ..file(b"hello")
    };
    give(fetched.session.wanted().await, Ok(moved));
    fetched.world.until_answered(&question).await.expect("there");
    fetched.world.clock.advance(TimeDelta::days(7));
    let question = fetched.ask().await;
    let wanted = fetched.session.wanted().await;
    assert_eq!(wanted.came.remote.direct_path, "/v/t62/two");
    give(wanted, Ok(file(b"hello")));
    let outcome = fetched.world.until_answered(&question).await;
    assert_eq!(outcome, is_at(MediaPlace::Here));
}
