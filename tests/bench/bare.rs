//! The bare library: a client in a process of its own that keeps nothing, as fast as it can be had.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use sandbox::Sandbox;
use serde_json::{Value, json};
use testbed::wait::in_time;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::Instant;

/// The client's binary, which is built beside this one.
const PROGRAM: &str = "whatsapp-rust-peer";

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
