//! A Redis that the test plays: as much of its protocol (RESP) as publishing and subscribing takes, and it can go away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, watch};

/// A Redis that listens.
pub struct Redis {
    pub url: String,
    /// Whether it is there.
    here: watch::Sender<bool>,
    server: Arc<Server>,
}

#[derive(Default)]
struct Server {
    subscribers: Mutex<HashMap<u64, Subscriber>>,
    /// The channel and the text of all that was published.
    published: Mutex<Vec<(String, String)>>,
    /// How often it had nothing more to read, and so its peer waited for it.
    waits: AtomicUsize,
}

#[derive(Clone)]
struct Subscriber {
    channel: String,
    writing: Arc<AsyncMutex<OwnedWriteHalf>>,
}

impl Redis {
    /// One that is there.
    pub async fn start() -> Self {
        let redis = Self::away().await;
        redis.comes_back();
        redis
    }

    /// One that is away yet.
    pub async fn away() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("redis://{}", listener.local_addr().expect("bound"));
        let (here, is_here) = watch::channel(false);
        let server = Arc::new(Server::default());
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            let mut next = 0;
            while let Ok((stream, _)) = listener.accept().await {
                if !*is_here.borrow() {
                    continue;
                }
                next += 1;
                let (id, server, mut until) = (next, serving.clone(), is_here.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = server.serve(id, stream) => {}
                        _ = until.wait_for(|here| !here) => {}
                    }
                    server.subscribers().remove(&id);
                });
            }
        });
        Self { url, here, server }
    }

    /// Goes away: connections end, and others find nobody.
    pub fn goes(&self) {
        self.here.send_replace(false);
    }

    /// Is there again.
    pub fn comes_back(&self) {
        self.here.send_replace(true);
    }

    /// What was published of this type.
    pub fn told(&self, kind: &str) -> Vec<Value> {
        let published = self.server.published();
        let messages = published
            .iter()
            .filter_map(|(_, text)| serde_json::from_str::<Value>(text).ok());
        messages
            .filter(|envelope| envelope["message"]["type"] == kind)
            .collect()
    }

    /// The channel on which something was published first.
    pub fn channel(&self) -> String {
        let published = self.server.published();
        published.first().expect("something was published").0.clone()
    }

    /// How often somebody waited for an answer.
    pub fn waits(&self) -> usize {
        self.server.waits.load(Ordering::Relaxed)
    }

    /// Publishes something, as anybody may.
    pub async fn publish(&self, channel: &str, message: &Value) {
        self.server.publish(channel, &message.to_string()).await;
    }
}

impl Server {
    async fn serve(&self, id: u64, stream: TcpStream) -> std::io::Result<()> {
        let (reading, writing) = stream.into_split();
        let mut reading = BufReader::with_capacity(1 << 20, reading);
        let writing = Arc::new(AsyncMutex::new(writing));
        loop {
            if reading.buffer().is_empty() {
                self.waits.fetch_add(1, Ordering::Relaxed);
            }
            let command = command(&mut reading).await?;
            let name = command[0].to_ascii_uppercase();
            let answer = match name.as_str() {
                "PUBLISH" => {
                    let count = self.publish(&command[1], &command[2]).await;
                    format!(":{count}\r\n")
                }
                "SUBSCRIBE" => {
                    let channel = command[1].clone();
                    let writing = writing.clone();
                    self.subscribers().insert(id, Subscriber { channel, writing });
                    format!(
                        "*3\r\n$9\r\nsubscribe\r\n${}\r\n{}\r\n:1\r\n",
                        command[1].len(),
                        command[1]
                    )
                }
                _ => "+OK\r\n".to_owned(),
            };
            writing.lock().await.write_all(answer.as_bytes()).await?;
        }
    }

    async fn publish(&self, channel: &str, text: &str) -> usize {
        self.published().push((channel.to_owned(), text.to_owned()));
        let subscribers: Vec<_> = self.subscribers().values().cloned().collect();
        let message = array(&["message", channel, text]);
        let mut count = 0;
        for subscriber in subscribers.iter().filter(|it| it.channel == channel) {
            // One that has just gone is no fault of the publisher's.
            let written = subscriber
                .writing
                .lock()
                .await
                .write_all(message.as_bytes())
                .await;
            count += usize::from(written.is_ok());
        }
        count
    }

    fn subscribers(&self) -> MutexGuard<'_, HashMap<u64, Subscriber>> {
        self.subscribers.lock().expect("no holder panics")
    }

    fn published(&self) -> MutexGuard<'_, Vec<(String, String)>> {
        self.published.lock().expect("no holder panics")
    }
}

fn array(parts: &[&str]) -> String {
    let mut array = format!("*{}\r\n", parts.len());
    for part in parts {
        array.extend(["$", &part.len().to_string(), "\r\n", part, "\r\n"]);
    }
    array
}

/// The next command: an array of texts.
async fn command(reading: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> std::io::Result<Vec<String>> {
    let count = number(reading).await?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let length = number(reading).await?;
        let mut part = vec![0; length + 2];
        reading.read_exact(&mut part).await?;
        part.truncate(length);
        parts.push(String::from_utf8_lossy(&part).into_owned());
    }
    Ok(parts)
}

/// The number of a line such as `*3` or `$5`.
async fn number(reading: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> std::io::Result<usize> {
    let mut line = String::new();
    if reading.read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    line.trim()[1..]
        .parse()
        .map_err(|_| std::io::ErrorKind::InvalidData.into())
}
