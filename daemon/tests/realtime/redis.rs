//! A Redis that the test plays: as much of its protocol (RESP) as publishing and subscribing takes, and it can go away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, watch};

type Subscribers = Arc<Mutex<HashMap<u64, Arc<AsyncMutex<OwnedWriteHalf>>>>>;

/// A Redis that listens.
pub struct Redis {
    pub url: String,
    /// Whether it is there.
    here: watch::Sender<bool>,
}

impl Redis {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("redis://{}", listener.local_addr().expect("bound"));
        let (here, is_here) = watch::channel(true);
        tokio::spawn(async move {
            let subscribers = Subscribers::default();
            let mut next = 0;
            while let Ok((stream, _)) = listener.accept().await {
                if !*is_here.borrow() {
                    continue;
                }
                next += 1;
                let (id, subscribers, mut until) = (next, subscribers.clone(), is_here.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = serve(id, stream, &subscribers) => {}
                        _ = until.wait_for(|here| !here) => {}
                    }
                    subscribers.lock().expect("no holder panics").remove(&id);
                });
            }
        });
        Self { url, here }
    }

    /// Goes away: connections end, and others find nobody.
    pub fn goes(&self) {
        self.here.send_replace(false);
    }

    /// Is there again.
    pub fn comes_back(&self) {
        self.here.send_replace(true);
    }
}

async fn serve(id: u64, stream: TcpStream, subscribers: &Subscribers) -> std::io::Result<()> {
    let (reading, writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    let writing = Arc::new(AsyncMutex::new(writing));
    loop {
        let command = command(&mut reading).await?;
        let name = command[0].to_ascii_uppercase();
        let answer = match name.as_str() {
            "PUBLISH" => {
                let others: Vec<_> = subscribers
                    .lock()
                    .expect("no holder panics")
                    .values()
                    .cloned()
                    .collect();
                let message = array(&["message", &command[1], &command[2]]);
                for other in &others {
                    other.lock().await.write_all(message.as_bytes()).await?;
                }
                format!(":{}\r\n", others.len())
            }
            "SUBSCRIBE" => {
                subscribers
                    .lock()
                    .expect("no holder panics")
                    .insert(id, writing.clone());
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
