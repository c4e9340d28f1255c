//! Backups of a stack at work, and stacks that go on from them: what was accepted before a backup is in it, and what was accepted later
//! is not.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testbed::caller::{Bases, Caller};
use testbed::wait::{DEADLINE, in_time, look_for};
use tests::flow::{Paired, exchange, link, pair};
use tests::phones::Phones;
use tests::process::Process;
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::{STACK, World};

/// The pause after a text that goes out.
const PAUSE: Duration = Duration::from_millis(25);

/// The pause after a text that comes in.
const PAUSE_BACK: Duration = Duration::from_millis(200);

/// The pause between two looks at the log, since a user may not ask often.
const LOOK: Duration = Duration::from_millis(250);

/// How many texts show that they flow.
const SOME: usize = 20;

/// Texts that go out begin with this.
const OUT: &str = "out";

/// A text that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Accepted {
    id: String,
    text: String,
}

/// Texts that go out and come in. Those that go out end with the first that is not accepted.
struct Traffic {
    over: CancellationToken,
    accepted: watch::Receiver<Vec<Accepted>>,
    out: AbortOnDropHandle<()>,
    back: AbortOnDropHandle<()>,
}

impl Traffic {
    fn begin(paired: &Paired, phones: &Phones) -> Self {
        let over = CancellationToken::new();
        let (tell, accepted) = watch::channel(Vec::new());
        let out = send(paired.key.clone(), paired.other.clone(), tell, over.clone());
        let back = send_back(
            phones.clone(),
            paired.other.clone(),
            paired.own.clone(),
            over.clone(),
        );
        Self {
            over,
            accepted,
            out: AbortOnDropHandle::new(tokio::spawn(out)),
            back: AbortOnDropHandle::new(tokio::spawn(back)),
        }
    }

    /// What is accepted, once that is so many more than now.
    async fn after(&mut self, more: usize) -> Vec<Accepted> {
        let wanted = self.accepted.borrow().len() + more;
        let enough = self.accepted.wait_for(|accepted| accepted.len() >= wanted);
        let enough = in_time("texts that are accepted", enough).await;
        enough.expect("texts go out").clone()
    }

    /// Ends it: all that was accepted.
    async fn end(self) -> Vec<Accepted> {
        self.over.cancel();
        self.out.await.expect("no panic");
        self.back.await.expect("no panic");
        self.accepted.borrow().clone()
    }
}

async fn send(key: Caller, to: String, tell: watch::Sender<Vec<Accepted>>, over: CancellationToken) {
    let mut n = 0;
    while !over.is_cancelled() {
        let text = format!("{OUT} {n}");
        let body = json!({"to": to, "text": text});
        let answer = key.try_request(Method::POST, "/api/messages/text", &body).await;
        let Some(answer) = answer.ok().filter(|answer| answer.status == 202) else {
            return;
        };
        let id = answer.data(202)["id"].as_str().expect("an id").to_owned();
        tell.send_modify(|accepted| accepted.push(Accepted { id, text }));
        n += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn send_back(phones: Phones, person: String, own: String, over: CancellationToken) {
    let mut n = 0;
    while !over.is_cancelled() {
        phones.send(&person, &own, &format!("back {n}")).await;
        n += 1;
        tokio::time::sleep(PAUSE_BACK).await;
    }
}

/// Runs this command of `waxwing-server`, `backup` or `restore`, on the state in a folder.
async fn server(data: &Path, command: &str, copy: &Path) {
    let arguments = ["server", "--data-dir"].map(OsStr::new);
    let output = Command::new(STACK)
        .args(arguments)
        .arg(data)
        .arg(command)
        .arg(copy)
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    let refusal = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{refusal}");
}

/// The instance's log of messages, out and in: their ids and directions.
async fn logged(paired: &Paired) -> BTreeSet<(String, String)> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/api/instances/{}/messages?limit=100{cursor}", paired.instance);
        let page = paired.user.get(&path).await;
        for entry in page.data(200).as_array().expect("a list") {
            let text = |name: &str| entry[name].as_str().expect("a text").to_owned();
            found.insert((text("id"), text("direction")));
        }
        let page = page.json();
        let Value::String(next) = &page["meta"]["pagination"]["nextCursor"] else {
            return found;
        };
        cursor = format!("&cursor={next}");
    }
}

/// An instance that is paired, whose key may ask as often as it likes.
async fn paired(world: &World, stack: &Process) -> Paired {
    let mut paired = pair(&Bases::one(&stack.api), &world.phones).await;
    let often = json!({"rateLimit": 1_000_000});
    paired.key = paired.user.key_with(&paired.instance, often).await;
    exchange(&paired, &world.phones).await;
    paired
}

/// The texts of the instance that a phone shows, oldest first. Each came once.
async fn shown(phones: &Phones, paired: &Paired) -> Vec<String> {
    let inbox = phones.shown(&paired.other, &paired.own).await;
    let out = inbox
        .iter()
        .filter(|shown| shown.text.as_deref().is_some_and(|text| text.starts_with(OUT)));
    let texts = out.map(|shown| {
        assert_eq!(shown.copies, 1, "{shown:?}");
        shown.text.clone().unwrap_or_default()
    });
    texts.collect()
}

fn texts(accepted: &[Accepted]) -> Vec<String> {
    accepted.iter().map(|accepted| accepted.text.clone()).collect()
}

/// As after a loss: the copy is older than what WhatsApp knows. So the number is unlinked, and paired again, as `docs/self-host.md`
/// says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_stack_at_work_has_what_was_accepted_before_it_and_nothing_of_later() {
    let (world, folder) = (World::new().await, tempfile::tempdir().expect("a directory"));
    let [copy, restored] = ["copy", "restored"].map(|name| folder.path().join(name));
    let stack = world.start(&[]).await;
    let paired = paired(&world, &stack).await;
    let mut traffic = Traffic::begin(&paired, &world.phones);
    let came_in = look_for(LOOK, DEADLINE, async || {
        let logged = logged(&paired).await;
        let incoming = logged.iter().filter(|(_, direction)| direction == "incoming");
        (incoming.count() > 3).then_some(())
    });
    came_in.await.expect("texts come in");
    let before = traffic.after(SOME).await;
    let known = logged(&paired).await;
    assert!(known.len() > SOME);

    server(world.data.path(), "backup", &copy).await;
    // One may have been on its way.
    traffic.after(1).await;
    let not_later = traffic.after(0).await.len();
    traffic.after(SOME).await;
    let all = traffic.end().await;
    let later = &all[not_later..];
    assert!(later.len() >= SOME);
    let last = texts(&all).pop().expect("a text");
    world.phones.until_shown(&paired.other, &last).await;
    stack.stop().await;
    assert_eq!(shown(&world.phones, &paired).await, texts(&all));

    let path = format!("/admin/phones/{}/unlink", paired.own);
    world.phones.post(&path, &json!({})).await;
    server(&restored, "restore", &copy).await;
    let stack = world.start_on(&restored, &[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    paired.user.until_status(&paired.instance, "LOGGED_OUT").await;
    let there = logged(&paired).await;
    let missing: Vec<_> = known.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?} were logged before the backup");
    for Accepted { id, .. } in &before {
        let message = paired.key.get(&format!("/api/messages/{id}")).await;
        assert_eq!(message.status, 200, "{id} was accepted before the backup");
    }
    for Accepted { id, .. } in later {
        let message = paired.key.get(&format!("/api/messages/{id}")).await;
        assert_eq!(message.code(), "404 NOT_FOUND", "{id} was accepted after it");
    }
    link(&paired, &world.phones).await;
    exchange(&paired, &world.phones).await;
    // Whatever waited in the copy, nobody is shown a text twice.
    let all = texts(&all);
    let again = world.phones.inbox(&paired.other).await;
    let again = again.iter().filter_map(|shown| shown["text"].as_str());
    let again: Vec<&str> = again.filter(|text| text.starts_with(OUT)).collect();
    assert_eq!(again, all);
    stack.stop().await;
}

/// As on a move: the stack has stopped before the backup, and its sessions go on elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_is_stopped_at_work_and_moved_goes_on_with_its_sessions() {
    let (world, folder) = (World::new().await, tempfile::tempdir().expect("a directory"));
    let [copy, restored] = ["copy", "restored"].map(|name| folder.path().join(name));
    let stack = world.start(&[]).await;
    let paired = paired(&world, &stack).await;
    let mut traffic = Traffic::begin(&paired, &world.phones);
    traffic.after(SOME).await;
    stack.stop().await;
    let accepted = traffic.end().await;
    server(world.data.path(), "backup", &copy).await;
    server(&restored, "restore", &copy).await;

    let stack = world.start_on(&restored, &[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    let status = paired.user.until_status(&paired.instance, "CONNECTED").await;
    assert_eq!(status["qrAttempt"], Value::Null, "{status}");
    for Accepted { id, .. } in &accepted {
        paired.key.until_state(id, "delivered").await;
    }
    let (mut shown, accepted) = (shown(&world.phones, &paired).await, texts(&accepted));
    // The answer to the last one may have been cut off.
    assert!(shown.len() <= accepted.len() + 1, "{shown:?}");
    shown.truncate(accepted.len());
    assert_eq!(shown, accepted);
    exchange(&paired, &world.phones).await;
    stack.stop().await;
}
