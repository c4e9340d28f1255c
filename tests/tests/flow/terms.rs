//! What messages say is gone when the longest term is over, though nobody is there to remove it: from the table, the
//! queues and the bucket.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use daemon::whatsapp::NETWORK;
use sandbox::{Config, Sandbox};
use serde_json::{Value, json};
use shared::bucket::{Area, Length, ObjectName};
use shared::clock::{Clock, SystemClock};
use shared::domain::instance::MAX_CONTENT_DAYS;
use shared::domain::message::RECORD_TERM;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{Queue as _, QueueNames};
use shared::storage::Table;
use testbed::clock::MovedClock;
use testbed::queues::queues;
use testbed::table::{Database, items};
use testbed::world::Keys;
use tests::flow::{Paired, pair};
use tests::folder::files;
use tests::inside::{Inside, Stores, instance, listen};
use tests::phones::Phones;

use crate::marks::{comes_with_file, fetched, keep_contents, mark, say_everything, until_out};

const SHARDS: u32 = 2;

/// A day more than anything that messages leave behind may stay: the record of one that is due in a month.
const LONGEST: TimeDelta = TimeDelta::days(RECORD_TERM.num_days() + 30 + 1);

/// Items that have what messages say, and those beside them, by [`class`]. Each is there before.
const OF_MESSAGES: [&str; 10] = [
    "ask",
    "due",
    "idem",
    "kept",
    "media",
    "msgs",
    "rcpt in",
    "sess in",
    "sess poll",
    "sess sent",
];

/// More of these, of which a good day has none.
const RARE: [&str; 3] = ["rcpt wa", "sess bk", "sess ms"];

/// Items that may stay: accounts and what they set, who is who and was in a group, counts, and the session of WhatsApp's own
/// protocol. None has a word of a message.
const OTHERS: [&str; 38] = [
    "audit",
    "book",
    "code",
    "ctr",
    "daemons",
    "dek",
    "email",
    "inst dek",
    "inst key",
    "inst meta",
    "invite",
    "key",
    "leases",
    "lock",
    "meta",
    "people",
    "rate",
    "read",
    "rcpt roster",
    "session",
    "sub",
    "sess ask",
    "sess ask-latest",
    "sess asv",
    "sess dev",
    "sess device",
    "sess grp",
    "sess id",
    "sess lid",
    "sess mac",
    "sess own",
    "sess pn",
    "sess pre",
    "sess s",
    "sess sk",
    "sess skd",
    "sess spk",
    "sess tc",
];

/// What kind of item has this key: by its partition and, where different ones share that, its sort key too.
fn class((partition, sort): &(String, String)) -> String {
    let first = |key: &str| key.split('#').next().unwrap_or_default().to_owned();
    match first(partition) {
        shared if ["inst", "rcpt", "sess"].contains(&shared.as_str()) => format!("{shared} {}", first(sort)),
        alone => alone,
    }
}

async fn classes(table: &Table) -> BTreeSet<String> {
    items(table).await.keys().map(class).collect()
}

/// The areas of the bucket that have objects.
fn areas(bucket: &Path) -> BTreeSet<&'static str> {
    let names = files(bucket).into_iter().map(|file| {
        let name = file.strip_prefix(bucket).expect("below it").display().to_string();
        let name: ObjectName = name.parse().expect("an object's");
        name.area().prefix()
    });
    names.collect()
}

/// The queues that have something.
async fn filled(queue: &EmbeddedQueue, names: &QueueNames) -> BTreeSet<String> {
    let mut filled = BTreeSet::new();
    for (name, _) in names.all(SHARDS) {
        let depth = queue.depth(&name).await.expect("read");
        if depth.visible + depth.in_flight + depth.delayed > 0 {
            filled.insert(name.to_string());
        }
    }
    filled
}

/// A document that is too large to travel in its job.
fn document(to: &str) -> Value {
    json!({"to": to, "base64": STANDARD.encode(mark().repeat(1_000)), "fileName": "notes.txt"})
}

/// Everything that can be said, done with and waiting: of each that the stores keep something of.
async fn say_all(inside: &Inside, paired: &Paired, phones: &Phones) {
    let key = &paired.key;
    keep_contents(paired, MAX_CONTENT_DAYS).await;
    let messages = say_everything(paired).await;
    until_out(paired, &messages).await;
    let repeatable = key.with_header("idempotency-key", "once");
    let once = repeatable
        .send("document", document(&paired.other))
        .await
        .data(202);
    until_out(paired, &[once["id"].as_str().expect("an id").to_owned()]).await;
    let poll = json!({"to": paired.own, "kind": "poll", "question": mark(), "options": [mark(), mark()]});
    let path = format!("/admin/phones/{}/send", paired.other);
    phones.post(&path, &poll).await;
    let file = comes_with_file(paired, phones).await;
    fetched(paired, &file).await;
    // A file that its caller never sends.
    let content = mark();
    let announced = json!({"fileName": "notes.txt", "mimeType": "text/plain", "size": content.len()});
    let announced = key.post("/api/media", announced).await.data(201);
    let upload = announced["id"].as_str().expect("an id");
    let name = ObjectName::new(Area::Upload, instance(paired).await, upload);
    let length = Length::Exactly(content.len() as u64);
    let whole = futures::stream::iter([Ok::<_, std::io::Error>(content.into())]);
    inside.buckets[0].put(&name, whole, length).await.expect("put");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_said_outlasts_the_longest_term() {
    let clock = MovedClock::default();
    let network = Config::new("127.0.0.1:0".parse().expect("an address"));
    let sandbox = Sandbox::start(network).await.expect("a sandbox");
    let database = Database::start_at(Arc::new(clock.clone())).await;
    let table = database.table();
    let (queue, names) = queues(Arc::new(clock.clone()), NETWORK, SHARDS).await;
    let (queue, keys) = (Arc::new(queue), Keys::new());
    let stores = Stores {
        api: table.clone(),
        daemon: table.clone(),
        queue: queue.clone(),
        names: names.clone(),
        shards: SHARDS,
        keys: &keys,
        clock: Arc::new(clock.clone()),
    };
    let inside = Inside::start(stores, &sandbox).await;
    let phones = Phones::new(&sandbox.admin_url());
    let paired = pair(&inside.bases, &phones).await;
    listen(&table, queue.as_ref(), instance(&paired).await).await;
    say_all(&inside, &paired, &phones).await;

    // These wait: for their network, and for their time.
    sandbox.shutdown().await;
    let mut later = document(&paired.other);
    later["scheduledAt"] = json!((SystemClock.now() + TimeDelta::days(29)).to_rfc3339());
    for body in [document(&paired.other), later] {
        paired.key.send("document", body).await.data(202);
    }
    paired.key.send_text(&paired.other, &mark()).await;
    let bucket = inside.buckets[0].clone();
    inside.stop().await;

    let folder = keys.directory().join("bucket/objects");
    let before = classes(&table).await;
    let missing: Vec<_> = OF_MESSAGES
        .iter()
        .filter(|class| !before.contains(**class))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {before:?}");
    let unknown: Vec<_> = before
        .iter()
        .filter(|class| {
            let mut known = OF_MESSAGES.iter().chain(&RARE).chain(&OTHERS);
            !known.any(|known| known == class)
        })
        .collect();
    assert!(unknown.is_empty(), "what do these hold? {unknown:?}");
    let used = [Area::Upload, Area::Outgoing, Area::Later, Area::Incoming].map(Area::prefix);
    assert_eq!(areas(&folder), used.into());
    let with_messages = filled(&queue, &names).await;
    let name = names.events().to_string();
    assert!(with_messages.contains(&name), "{with_messages:?}");
    assert!(
        with_messages.iter().any(|name| name.contains("sends")),
        "{with_messages:?}"
    );

    clock.advance(LONGEST);
    assert!(database.sweep() > 0);
    bucket.sweep().await.expect("swept");
    let left = classes(&table).await;
    let of_messages: Vec<_> = left
        .iter()
        .filter(|class| !OTHERS.contains(&class.as_str()))
        .collect();
    assert!(of_messages.is_empty(), "{of_messages:?} are left");
    assert!(left.contains("inst meta"), "the rest is there: {left:?}");
    assert_eq!(areas(&folder), BTreeSet::new());
    assert_eq!(filled(&queue, &names).await, BTreeSet::new());
}
