//! The bare library: a client in a process of its own that keeps nothing, as fast as it can be had.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use sandbox::Sandbox;
use serde_json::{Value, json};
use testbed::wait::in_time;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

/// The client's binary, which is built beside this one.
const PROGRAM: &str = "whatsapp-rust-peer";

/// The answers that are waited for, by their commands' numbers.
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A linked client. Killed when dropped.
pub struct Bare {
    child: Child,
    input: AsyncMutex<(u64, ChildStdin)>,
    waiting: Waiting,
}

impl Bare {
    /// Starts a client and links it to this phone.
    pub async fn link(sandbox: &Sandbox, phone: &str) -> Self {
        let program = std::env::current_exe().expect("a path").with_file_name(PROGRAM);
        let mut child = Command::new(program)
            .args(["--url", &sandbox.ws_url()])
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
        let waiting = Waiting::default();
        let answers = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(told) = serde_json::from_str::<Value>(&line) else {
                    continue;
                };
                let number = told["answer"].as_u64();
                let waits =
                    number.and_then(|number| answers.lock().expect("no holder panics").remove(&number));
                if let Some(waits) = waits {
                    // Whoever asked may have gone.
                    let _ = waits.send(told);
                }
            }
        });
        Self {
            child,
            input: AsyncMutex::new((0, input)),
            waiting,
        }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a text to this number; comes back when it is on the wire.
    pub async fn text(&self, to: &str, text: &str) {
        let (done, answer) = oneshot::channel();
        {
            let mut input = self.input.lock().await;
            input.0 += 1;
            let number = input.0;
            self.waiting
                .lock()
                .expect("no holder panics")
                .insert(number, done);
            let to = format!("{to}@s.whatsapp.net");
            let line = json!({"number": number, "do": "text", "to": to, "text": text});
            let line = format!("{line}\n");
            input.1.write_all(line.as_bytes()).await.expect("it reads");
        }
        let answer = in_time("the client's answer", answer).await.expect("it answers");
        assert!(answer["error"].is_null(), "{answer}");
    }
}
