//! The contents of messages and what it takes to fetch their files: where they rest, how, and until when.

use chrono::TimeDelta;
use daemon::connection::MediaError;
use shared::bucket::{Area, ObjectName};
use shared::domain::content::{Bytes, Content, Edit, Media, Revoke, Said, Source, Target, Whence};
use shared::domain::event::{EventType, Wants};
use shared::domain::instance::Instance;
use shared::domain::job::SendJob;
use shared::domain::message::{Change, FailureCode, State};
use shared::domain::person::Person;
use shared::ids::{MediaId, MessageId};
use shared::sealed;
use shared::storage::contents::{self, Contents};
use shared::storage::item::Item;
use shared::storage::keys;

use testbed::relay::{Fate, On, Relay};
use testbed::wait::until;

use crate::fetching::{comes, image, remote};
use crate::inbound::message;
use crate::network::Playing;
use crate::world::World;

const BOB: &str = "15550100001";

impl World {
    /// Sets for how many days an instance keeps contents, as the API does.
    async fn keep_for(&self, instance: &Instance, days: u8) {
        self.configure(instance, |settings| settings.content_days = days)
            .await;
    }

    /// What is kept of a message.
    async fn kept(&self, instance: &Instance, id: MessageId) -> Option<Said> {
        let table = Contents::new(self.table.clone());
        let kept = table.get(instance.id, id, self.now()).await.expect("read")?;
        let opened = contents::open(&self.sealer, instance.id, id, &kept.sealed).await;
        Some(opened.expect("it opens"))
    }

    /// Alice edits the message that came.
    async fn edits(&self, session: &Playing, text: &str) {
        let mut edit = message(self, "3AFF02");
        edit.content = Content::Edit(Edit {
            target: theirs(),
            text: text.to_owned(),
        });
        let committed = session.inbound.commit(std::slice::from_ref(&edit)).await;
        committed.expect("stored");
    }

    /// A job of this content, accepted and queued.
    async fn accepted(&self, instance: &Instance, content: Content) -> MessageId {
        let job = self.job(instance, BOB, "").await;
        let sealed = sealed::seal(&self.sealer, instance.id, &job.message, &content).await;
        let job = SendJob {
            kind: content.kind(),
            content: sealed.expect("sealed"),
            ..job
        };
        self.record(&job).await;
        self.enqueue(instance, &job).await;
        job.message
    }
}

/// The message that came, as Alice's later ones name it.
fn theirs() -> Target {
    Target {
        whatsapp_id: "3AFF01".to_owned(),
        from_me: false,
        author: Person::default(),
    }
}

fn expires(item: &Item) -> i64 {
    let exp = item["exp"].as_n().expect("a number");
    exp.parse().expect("a number")
}

fn sealed_bytes(item: &Item) -> &[u8] {
    item["sealed"].as_b().expect("bytes").as_ref()
}

/// What an item of a message's file has, which is one write unit.
#[tokio::test]
async fn what_it_takes_to_fetch_a_file_rests_sealed_for_thirty_days() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
    let id = comes(&world, &session, &instance, image()).await;
    // The same once more, as after a crash.
    assert_eq!(comes(&world, &session, &instance, image()).await, id);
    let told = world.events(&instance, 1).await;
    let file = MediaId::of_message(id);
    let told = serde_json::to_value(&told[0].data)
        .expect("plain data")
        .to_string();
    assert!(told.contains(&file.to_string()), "{told}");
    let item = world
        .item(&keys::media(instance.id, file))
        .await
        .expect("an item");
    assert_eq!(expires(&item), (world.now() + TimeDelta::days(30)).timestamp());
    let rests = sealed_bytes(&item);
    assert!(rests.len() < 900, "{} bytes", rests.len());
    assert!(!rests.windows(6).any(|window| window == b"/v/t62"));
    assert!(
        world.item(&keys::kept(instance.id, id)).await.is_none(),
        "nothing is kept"
    );
}

/// Nobody could fetch it, and what a sender may make large is not stored.
#[tokio::test]
async fn a_file_of_which_is_said_what_no_app_says_has_no_id() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let mut odd = remote();
    odd.direct_path = format!("/{}", "x".repeat(100_000));
    let media = Media {
        source: Some(Source::Remote(Box::new(odd))),
        ..image()
    };
    let id = comes(&world, &session, &instance, media).await;
    assert!(world.messages.get(instance.id, id).await.expect("read").is_some());
    let file = MediaId::of_message(id);
    assert!(world.item(&keys::media(instance.id, file)).await.is_none());
}

#[tokio::test]
async fn what_came_is_kept_for_as_long_as_the_instance_says() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 14).await;
    let id = comes(&world, &session, &instance, image()).await;
    let item = world.item(&keys::kept(instance.id, id)).await.expect("an item");
    assert_eq!(expires(&item), (world.now() + TimeDelta::days(14)).timestamp());
    assert!(!sealed_bytes(&item).windows(4).any(|window| window == b"look"));
    let said = world.kept(&instance, id).await.expect("kept");
    let media = said.content.media().expect("a file");
    assert_eq!(media.text.as_deref(), Some("look"));
    let Some(Source::Remote(kept)) = &media.source else {
        panic!("it says where it is");
    };
    let whence = Whence {
        whatsapp_id: "3AFF01".to_owned(),
        chat: "200000000000001@lid".to_owned(),
        from_me: false,
        participant: None,
    };
    assert_eq!(kept.whence, Some(whence));
    assert!(kept.thumbnail == remote().thumbnail, "apps show it at once");
    // Whenever the table removes it.
    world.clock.advance(TimeDelta::days(14));
    assert_eq!(world.kept(&instance, id).await, None);
    assert!(world.item(&keys::kept(instance.id, id)).await.is_some());

    // What is shown once is not kept, but that it is.
    let once = Media {
        view_once: true,
        ..image()
    };
    let mut incoming = message(&world, "3AFF02");
    incoming.content = Content::Image(once);
    session
        .inbound
        .commit(std::slice::from_ref(&incoming))
        .await
        .expect("stored");
    let parts = [
        &*instance.id.to_string(),
        "200000000000001@lid",
        "200000000000001@lid",
        "3AFF02",
    ];
    let id = MessageId::derived_in_order(incoming.received_at, &parts);
    let stub = Media {
        view_once: true,
        ..Media::default()
    };
    assert_eq!(world.kept(&instance, id).await, Some(Content::Image(stub).into()));
}

#[tokio::test]
async fn what_was_sent_is_kept_as_it_reads_and_until_it_is_taken_back() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let unkept = world.accept(&instance, BOB, "before").await;
    session.sent().await;
    session.acknowledge(unkept, None).await;
    world.until_state(&instance, unkept, State::Sent).await;
    world.keep_for(&instance, 7).await;
    let kept = world.accept(&instance, BOB, "hello").await;
    session.sent().await;
    assert_eq!(world.kept(&instance, kept).await, None, "it is not sent yet");
    session.acknowledge(kept, None).await;
    world.until_state(&instance, kept, State::Sent).await;
    assert_eq!(world.kept(&instance, unkept).await, None);
    assert_eq!(world.kept(&instance, kept).await, Some(Said::text("hello")));

    let target = Target {
        whatsapp_id: kept.to_whatsapp(),
        from_me: true,
        author: Person::default(),
    };
    let edit = Content::Edit(Edit {
        target: target.clone(),
        text: "hello again".to_owned(),
    });
    for (content, left) in [
        (edit, Some(Said::text("hello again"))),
        (Content::Revoke(Revoke { target }), None),
    ] {
        let change = world.accepted(&instance, content).await;
        session.sent().await;
        session.acknowledge(change, None).await;
        world.until_state(&instance, change, State::Sent).await;
        assert_eq!(world.kept(&instance, kept).await, left);
    }
}

/// Whoever forwards a message at once, or edits it, finds it though a read may not see it yet.
#[tokio::test]
async fn what_is_kept_is_found_at_once() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 14).await;
    let id = comes(&world, &session, &instance, image()).await;
    let unseen = On::operation("GetItem")
        .with(format!("kept#{}", instance.id))
        .without(r#""ConsistentRead":true"#);
    let unseen = relay.always(unseen, Fate::UNSEEN);
    let table = Contents::new(daemon.deps.table.clone());
    let found = table.get_recent(instance.id, id, world.now()).await;
    assert!(found.expect("read").is_some());
    assert_eq!(unseen.hits(), 1, "it was not seen");
    world.edits(&session, "look again").await;
    assert_eq!(unseen.hits(), 1, "an edit reads what is there now");
    let said = world.kept(&instance, id).await.expect("kept");
    let media = said.content.media().expect("a file");
    assert_eq!(media.text.as_deref(), Some("look again"));
}

/// An owner may keep contents again, and finds what was kept before as it reads now.
#[tokio::test]
async fn what_is_taken_back_is_forgotten_whatever_the_instance_keeps_now() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 14).await;
    let came = comes(&world, &session, &instance, image()).await;
    let sent = world.accept(&instance, BOB, "hello").await;
    session.sent().await;
    session.acknowledge(sent, None).await;
    world.until_state(&instance, sent, State::Sent).await;
    world.keep_for(&instance, 0).await;
    world.edits(&session, "look again").await;
    let said = world.kept(&instance, came).await.expect("kept");
    let text = said.content.media().and_then(|media| media.text.as_deref());
    assert_eq!(text, Some("look again"));

    let mut taken_back = message(&world, "3AFF03");
    taken_back.content = Content::Revoke(Revoke { target: theirs() });
    let committed = session.inbound.commit(std::slice::from_ref(&taken_back)).await;
    committed.expect("stored");
    assert_eq!(world.kept(&instance, came).await, None);
    assert!(world.kept(&instance, sent).await.is_some());
    let target = Target {
        whatsapp_id: sent.to_whatsapp(),
        from_me: true,
        author: Person::default(),
    };
    let change = world
        .accepted(&instance, Content::Revoke(Revoke { target }))
        .await;
    session.sent().await;
    session.acknowledge(change, None).await;
    world.until_state(&instance, change, State::Sent).await;
    assert_eq!(world.kept(&instance, sent).await, None);
}

/// The revoke went out. That it could not be followed here does not send it again, and does not leave what it took back.
#[tokio::test]
async fn what_could_not_be_forgotten_is_forgotten_later() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 7).await;
    let sent = world.accept(&instance, BOB, "hello").await;
    session.sent().await;
    session.acknowledge(sent, None).await;
    world.until_state(&instance, sent, State::Sent).await;
    let forgets = On::operation("DeleteItem").with(format!("kept#{}", instance.id));
    let failing = relay.always(forgets, Fate::THROTTLED);
    let target = Target {
        whatsapp_id: sent.to_whatsapp(),
        from_me: true,
        author: Person::default(),
    };
    let change = world
        .accepted(&instance, Content::Revoke(Revoke { target }))
        .await;
    session.sent().await;
    session.acknowledge(change, None).await;
    world.until_state(&instance, change, State::Sent).await;
    assert!(failing.hits() > 0 && world.kept(&instance, sent).await.is_some());
    failing.end();
    until("it is forgotten", async || {
        world.clock.advance(TimeDelta::seconds(1));
        world.kept(&instance, sent).await.is_none().then_some(())
    })
    .await;
    world.until_no_sends().await;
    assert!(session.sent_besides().is_empty(), "it went out once");
}

/// A sender may make large what apps show before they have the file.
#[tokio::test]
async fn what_no_app_makes_so_large_is_not_kept_with_a_file() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 14).await;
    let mut large = remote();
    large.thumbnail = Some(Bytes(vec![1; 16 * 1_024 + 1]));
    large.sidecar = Some(Bytes(vec![1; 64 * 1_024 + 1]));
    large.waveform = Some(Bytes(vec![1; 257]));
    let media = Media {
        source: Some(Source::Remote(Box::new(large))),
        ..image()
    };
    let id = comes(&world, &session, &instance, media).await;
    let said = world.kept(&instance, id).await.expect("kept");
    let Some(Source::Remote(kept)) = said.content.media().and_then(|media| media.source.as_ref()) else {
        panic!("it says where it is");
    };
    assert!(kept.thumbnail.is_none() && kept.sidecar.is_none() && kept.waveform.is_none());
}

/// Else the message would come again for ever, and all behind it.
#[tokio::test]
async fn a_content_that_does_not_read_holds_up_no_edit() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 14).await;
    let id = comes(&world, &session, &instance, image()).await;
    let broken = world.table.update(&keys::kept(instance.id, id));
    let broken = broken.update_expression("REMOVE sealed").send().await;
    broken.expect("stored");
    world.edits(&session, "look again").await;
}

/// A receipt may be faster than the daemon that takes the job over.
#[tokio::test]
async fn a_message_whose_state_is_stored_already_is_kept_too() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 7).await;
    let job = world.job(&instance, BOB, "hello").await;
    world.record(&job).await;
    let change = Change {
        state: State::Delivered,
        at: world.now(),
        failure: None,
    };
    world
        .messages
        .change(instance.id, job.message, &change)
        .await
        .expect("stored");
    world.enqueue(&instance, &job).await;
    world.until_no_sends().await;
    assert_eq!(
        world.kept(&instance, job.message).await,
        Some(Said::text("hello"))
    );
    drop(session);
}

/// Whoever takes the job over deletes the object, and does not know where at WhatsApp the file is.
#[tokio::test]
async fn what_is_kept_of_a_file_that_another_daemon_sent_leads_nowhere() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 7).await;
    let job = world.job(&instance, BOB, "").await;
    let object = ObjectName::new(Area::Outgoing, instance.id, job.message);
    let media = Media {
        source: Some(Source::Stored(object.clone())),
        text: Some("look".to_owned()),
        ..Media::default()
    };
    let content = Content::Image(media.clone());
    let sealed = sealed::seal(&world.sealer, instance.id, &job.message, &content).await;
    let job = SendJob {
        kind: content.kind(),
        content: sealed.expect("sealed"),
        file: Some(object),
        ..job
    };
    world.record(&job).await;
    let change = Change {
        state: State::Delivered,
        at: world.now(),
        failure: None,
    };
    let changed = world.messages.change(instance.id, job.message, &change).await;
    changed.expect("stored");
    world.enqueue(&instance, &job).await;
    world.until_no_sends().await;
    let left = Media {
        source: None,
        ..media
    };
    assert_eq!(
        world.kept(&instance, job.message).await,
        Some(Content::Image(left).into())
    );
    drop(session);
}

#[tokio::test]
async fn a_forwarded_file_goes_out_from_where_it_is() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let whence = Whence {
        whatsapp_id: "3AFF01".to_owned(),
        chat: "200000000000001@lid".to_owned(),
        from_me: false,
        participant: None,
    };
    let mut known = remote();
    known.whence = Some(whence);
    let content = Content::Image(Media {
        source: Some(Source::Remote(Box::new(known))),
        ..image()
    });
    for (found, path) in [
        (Ok("/v/t62/one".to_owned()), Some("/v/t62/one")),
        (Ok("/v/t62/two".to_owned()), Some("/v/t62/two")),
        (Err(MediaError::Gone), None),
    ] {
        session
            .line
            .found_files
            .lock()
            .expect("no holder panics")
            .push(found);
        let forward = world.accepted(&instance, content.clone()).await;
        let Some(path) = path else {
            let failed = world.until_state(&instance, forward, State::Failed).await;
            let failure = failed.failure.expect("a failure");
            assert_eq!(failure.code, FailureCode::MediaGone.as_str());
            continue;
        };
        let sent = session.sent().await;
        let media = sent.content.media().expect("a file");
        let Some(Source::Remote(there)) = &media.source else {
            panic!("it is not uploaded anew");
        };
        assert_eq!(there.direct_path, path);
        assert!(there.key == remote().key);
        session.acknowledge(forward, None).await;
        world.until_state(&instance, forward, State::Sent).await;
    }
}

/// Nothing is left of a deleted instance.
#[tokio::test]
async fn a_deleted_instance_keeps_nothing() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.keep_for(&instance, 7).await;
    let id = comes(&world, &session, &instance, image()).await;
    let (kept, file) = (
        keys::kept(instance.id, id),
        keys::media(instance.id, MediaId::of_message(id)),
    );
    assert!(world.item(&kept).await.is_some() && world.item(&file).await.is_some());
    world.instances.purge_content(instance.id).await.expect("purged");
    assert!(world.item(&kept).await.is_none() && world.item(&file).await.is_none());
}
