//! The bare library: a client in a process of its own that keeps nothing, as fast as it can be had. By itself it measures
//! the sandbox: how many texts a second it takes to phones, and whether that holds as inboxes grow.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sandbox::script::{Entry, NewPhone, PageQuery};
use sandbox::{Config, Phone, Sandbox};
use serde_json::{Value, json};
use shared::clock::{Clock as _, SystemClock};
use testbed::wait::{in_time, until};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cpu::cpu;
use crate::report::count;

/// The client's binary, which is built beside this one.
const PROGRAM: &str = "whatsapp-rust-peer";

/// How long no text may come to its phone before those that lack are given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether all texts have come. Seldom: a look takes time that the texts need.
const LOOK: Duration = Duration::from_millis(250);

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Size {
    /// Texts, of one client
    #[arg(long, default_value_t = 100_000)]
    texts: usize,
    /// People whom it writes to, in turn
    #[arg(long, default_value_t = 1)]
    people: usize,
    /// Texts that are under way at once
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// Parts of equal length, each with a row of its own
    #[arg(long, default_value_t = 10)]
    parts: usize,
    /// Keep the sandbox's state in memory
    #[arg(long)]
    ephemeral: bool,
}

/// Measures; answers whether each text arrived once.
pub async fn run(size: &Size) -> bool {
    let data = tempfile::tempdir().expect("a directory");
    let mut config = Config::new("127.0.0.1:0".parse().expect("an address"));
    if !size.ephemeral {
        config = config.with_data_dir(data.path());
    }
    let sandbox = Sandbox::start(config).await.expect("a sandbox");
    let own = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
    let client = Arc::new(Bare::link(&sandbox, own.number()).await);
    let mut people = Vec::new();
    for _ in 0..size.people.max(1) {
        let phone = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        // The session is made by a first text, which does not count.
        client.text(phone.number(), "first").await;
        until("the first text", async || {
            (!inbox(&phone).await.is_empty()).then_some(())
        })
        .await;
        people.push(phone);
    }

    let before = (cpu(&[client.id()]), cpu(&[std::process::id()]));
    let began = SystemClock.now();
    let mut writing = JoinSet::new();
    for part in 0..size.at_once.max(1) {
        let (client, texts, at_once) = (Arc::clone(&client), size.texts, size.at_once.max(1));
        let numbers: Vec<String> = people.iter().map(|phone| phone.number().to_owned()).collect();
        writing.spawn(async move {
            for n in (part..texts).step_by(at_once) {
                client.text(&numbers[n % numbers.len()], &n.to_string()).await;
            }
        });
    }
    writing.join_all().await;
    let sent_in = SystemClock.now() - began;
    let entries = arrived(&people, size.texts + people.len()).await;
    let after = (cpu(&[client.id()]), cpu(&[std::process::id()]));

    let is_whole = is_whole(&entries, size.texts);
    print(&entries, began, size);
    let each =
        |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() * 1_000.0 / count(size.texts);
    println!(
        "on the wire within {:.1} s; CPU ms a text: client {:.3}, sandbox with this bench {:.3}",
        sent_in.as_seconds_f64(),
        each(before.0, after.0),
        each(before.1, after.1),
    );
    sandbox.shutdown().await;
    is_whole
}

/// All that a phone's person sees, read in pages.
pub async fn inbox(phone: &Phone) -> Vec<Entry> {
    after(phone, &mut None).await
}

/// What came after a place, which is moved behind it.
pub async fn after(phone: &Phone, last: &mut Option<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let query = PageQuery {
            after: last.clone(),
            ..PageQuery::default()
        };
        let page = phone.inbox_page(query).await.expect("an inbox");
        let Some(newest) = page.entries.last() else {
            return entries;
        };
        *last = Some(newest.id.clone());
        entries.extend(page.entries);
        if page.next.is_none() {
            return entries;
        }
    }
}

/// What came to these people, once so many have come or no more come.
async fn arrived(people: &[Phone], wanted: usize) -> Vec<Entry> {
    let mut places = vec![None; people.len()];
    let (mut all, mut newest) = (Vec::new(), Instant::now());
    loop {
        let before = all.len();
        for (phone, place) in people.iter().zip(&mut places) {
            all.extend(after(phone, place).await);
        }
        if all.len() > before {
            newest = Instant::now();
        }
        if all.len() >= wanted || newest.elapsed() > PATIENCE {
            return all;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether each text is there once, and came once.
fn is_whole(entries: &[Entry], texts: usize) -> bool {
    let mut times = vec![0; texts];
    for entry in entries {
        let number = entry
            .content
            .text
            .as_ref()
            .and_then(|text| text.parse::<usize>().ok());
        if let Some(times) = number.and_then(|number| times.get_mut(number)) {
            *times += entry.copies;
        }
    }
    let odd = times.iter().filter(|times| **times != 1).count();
    if odd > 0 {
        println!("{odd} of {texts} texts did not arrive once");
    }
    odd == 0
}

/// Prints how many texts a second arrived in each part.
fn print(entries: &[Entry], began: DateTime<Utc>, size: &Size) {
    let mut arrivals: Vec<DateTime<Utc>> = entries
        .iter()
        .map(|entry| entry.received_at.parse::<DateTime<Utc>>().expect("RFC 3339"))
        .filter(|at| *at >= began)
        .collect();
    arrivals.sort_unstable();
    println!("{:>10} {:>12}", "texts", "arrived/s");
    let (mut from, mut done) = (began, 0);
    for part in arrivals.chunks(size.texts.div_ceil(size.parts.max(1)).max(1)) {
        let to = part.last().copied().unwrap_or(from);
        done += part.len();
        println!(
            "{done:>10} {:>12.0}",
            count(part.len()) / (to - from).as_seconds_f64()
        );
        from = to;
    }
    let lasted = (from - began).as_seconds_f64();
    println!("{:>10} {:>12.0}", "all", count(arrivals.len()) / lasted);
}

/// The answers that are waited for, by their commands' numbers.
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// When texts came, by what they say.
type Came = Arc<Mutex<HashMap<String, Instant>>>;

/// A linked client. Killed when dropped.
pub struct Bare {
    child: Child,
    input: AsyncMutex<(u64, ChildStdin)>,
    waiting: Waiting,
    came: Came,
}

impl Bare {
    /// Starts a client and links it to this phone.
    pub async fn link(sandbox: &Sandbox, phone: &str) -> Self {
        Self::start(sandbox, phone, &[]).await
    }

    /// The same; it trusts the sandbox's media host by the root in this file.
    pub async fn link_with_media(sandbox: &Sandbox, phone: &str, root: &Path) -> Self {
        Self::start(sandbox, phone, &[OsStr::new("--media-root"), root.as_os_str()]).await
    }

    async fn start(sandbox: &Sandbox, phone: &str, more: &[&OsStr]) -> Self {
        let program = std::env::current_exe().expect("a path").with_file_name(PROGRAM);
        let mut child = Command::new(program)
            .args(["--url", &sandbox.ws_url()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the client starts");
        let input = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let linking = async {
            while let Some(line) = lines.next_line().await.expect("readable") {
                let told: Value = serde_json::from_str(&line).expect("an object a line");
                match told["event"].as_str() {
                    Some("qr") => {
                        let code = told["code"].as_str().expect("a code");
                        // A client shows the next code while the first is scanned.
                        let _ = sandbox.phone(phone).scan(code).await;
                    }
                    Some("connected") => return,
                    _ => {}
                }
            }
            panic!("the client has ended");
        };
        in_time("the client's link", linking).await;
        let (waiting, came) = (Waiting::default(), Came::default());
        tokio::spawn(listen(lines, Arc::clone(&waiting), Arc::clone(&came)));
        Self {
            child,
            input: AsyncMutex::new((0, input)),
            waiting,
            came,
        }
    }

    /// When each text came, by what it says.
    pub fn came(&self) -> HashMap<String, Instant> {
        self.came.lock().expect("no holder panics").clone()
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a text to this number; comes back when it is on the wire.
    pub async fn text(&self, to: &str, text: &str) {
        self.send(to, json!({"do": "text", "text": text})).await;
    }

    /// Sends the picture in this file; comes back when it is on the wire.
    pub async fn image(&self, to: &str, path: &Path, caption: &str) {
        let image = json!({"do": "image", "path": path, "mimeType": "image/png", "caption": caption});
        self.send(to, image).await;
    }

    async fn send(&self, to: &str, mut command: Value) {
        let (done, answer) = oneshot::channel();
        {
            let mut input = self.input.lock().await;
            input.0 += 1;
            let number = input.0;
            self.waiting
                .lock()
                .expect("no holder panics")
                .insert(number, done);
            command["number"] = json!(number);
            command["to"] = json!(format!("{to}@s.whatsapp.net"));
            let line = format!("{command}\n");
            input.1.write_all(line.as_bytes()).await.expect("it reads");
        }
        let answer = in_time("the client's answer", answer).await.expect("it answers");
        assert!(answer["error"].is_null(), "{answer}");
    }
}

/// Takes what the client says, until it ends.
async fn listen(mut lines: Lines<BufReader<ChildStdout>>, waiting: Waiting, came: Came) {
    while let Ok(Some(line)) = lines.next_line().await {
        let now = Instant::now();
        let Ok(told) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if let (Some("message"), Some(text)) = (told["event"].as_str(), told["text"].as_str()) {
            let mut came = came.lock().expect("no holder panics");
            came.entry(text.to_owned()).or_insert(now);
        }
        let number = told["answer"].as_u64();
        let waits = number.and_then(|number| waiting.lock().expect("no holder panics").remove(&number));
        if let Some(waits) = waits {
            // Whoever asked may have gone.
            let _ = waits.send(told);
        }
    }
}
