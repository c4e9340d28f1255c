//! An endpoint that hears what comes and does what the test says: HTTP by hand, so that it can do it wrongly.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use testbed::wait::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What an endpoint does with a request.
#[derive(Debug, Clone)]
pub enum Does {
    /// It answers with this status and these headers.
    Answers(u16, Vec<(&'static str, String)>),
    /// It answers 200 after so long.
    Waits(Duration),
    /// It takes the request and never answers.
    Hangs,
    /// It answers a byte now and then.
    Trickles,
    /// It resets the connection.
    Resets,
    /// It answers 200, and a body of 10 GB.
    Floods,
    /// It answers 200 with this many bytes of headers.
    Brags(usize),
    /// It answers something that is no HTTP.
    Babbles,
    /// It promises to keep the connection, and closes it.
    Breaks,
}

impl Does {
    /// It answers with this status.
    pub const fn status(status: u16) -> Self {
        Self::Answers(status, Vec::new())
    }
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Heard {
    /// The id of the event.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// The event.
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an event is JSON")
    }

    /// What the message says that it tells of.
    pub fn text(&self) -> String {
        let event = self.event();
        event["data"]["text"].as_str().expect("a text").to_owned()
    }
}

type Script = dyn Fn(&Heard) -> Does + Send + Sync;

/// An endpoint on this machine. It ends with its runtime.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<Mutex<Connections>>,
    script: Arc<Mutex<Arc<Script>>>,
}

/// How often an endpoint was connected to, and how many of its connections have not ended.
#[derive(Debug, Default)]
struct Connections {
    all: usize,
    open: usize,
}

impl Receiver {
    /// One that always does this.
    pub async fn that(does: Does) -> Self {
        Self::with(move |_| does.clone()).await
    }

    /// One that does by what it hears.
    pub async fn with(script: impl Fn(&Heard) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let receiver = Self {
            address: listener.local_addr().expect("bound"),
            heard: Arc::default(),
            connections: Arc::default(),
            script: Arc::new(Mutex::new(Arc::new(script))),
        };
        let (heard, connections) = (Arc::clone(&receiver.heard), Arc::clone(&receiver.connections));
        let script = Arc::clone(&receiver.script);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                {
                    let mut connections = connections.lock().expect("whole");
                    connections.all += 1;
                    connections.open += 1;
                }
                let serving = serve(socket, Arc::clone(&heard), Arc::clone(&script));
                let connections = Arc::clone(&connections);
                tokio::spawn(async move {
                    serving.await;
                    connections.lock().expect("whole").open -= 1;
                });
            }
        });
        receiver
    }

    /// From now on it does this.
    pub fn now(&self, does: Does) {
        *self.script.lock().expect("whole") = Arc::new(move |_: &Heard| does.clone());
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What it has heard.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("whole").clone()
    }

    /// The texts of the messages that it was told of.
    pub fn texts(&self) -> Vec<String> {
        self.heard().iter().map(Heard::text).collect()
    }

    /// How often it was connected to.
    pub fn connections(&self) -> usize {
        self.connections.lock().expect("whole").all
    }

    /// How many of the connections to it have not ended.
    pub fn open(&self) -> usize {
        self.connections.lock().expect("whole").open
    }

    /// Waits until it was told so many events.
    pub async fn until_heard(&self, count: usize) {
        until("the events", async || (self.heard().len() >= count).then_some(())).await;
    }
}

async fn serve(
    mut socket: TcpStream,
    heard: Arc<Mutex<Vec<Heard>>>,
    script: Arc<Mutex<Arc<Script>>>,
) -> Option<()> {
    let request = read(&mut socket).await?;
    heard.lock().expect("whole").push(request.clone());
    let script = Arc::clone(&script.lock().expect("whole"));
    let mut does = script(&request);
    if let Does::Waits(time) = does {
        tokio::time::sleep(time).await;
        does = Does::status(200);
    }
    match does {
        Does::Answers(status, headers) => {
            let mut answer = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 2\r\n");
            for (name, value) in headers {
                answer.extend([name, ": ", value.as_str(), "\r\n"]);
            }
            answer.push_str("\r\nok");
            socket.write_all(answer.as_bytes()).await.ok()?;
            // It keeps the connection, as servers do.
            let _ = socket.read(&mut [0; 64]).await;
        }
        Does::Waits(_) | Does::Hangs => {
            // It notices when the other side gives up.
            let _ = socket.read(&mut [0; 64]).await;
        }
        Does::Trickles => {
            for byte in "HTTP/1.1 200 OK\r\nx-slow: "
                .bytes()
                .chain(std::iter::repeat(b'x'))
            {
                socket.write_all(&[byte]).await.ok()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Does::Resets => {
            // Unread bytes make the kernel reset it; there are none, so it is asked for.
            socket.set_zero_linger().ok()?;
        }
        Does::Floods => {
            socket
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
                .await
                .ok()?;
            let piece = vec![b'x'; 64 * 1_024];
            loop {
                socket.write_all(&piece).await.ok()?;
            }
        }
        Does::Brags(bytes) => {
            socket.write_all(b"HTTP/1.1 200 OK\r\n").await.ok()?;
            let line = format!("x-boast: {}\r\n", "x".repeat(1_000));
            for _ in 0..bytes / line.len() {
                socket.write_all(line.as_bytes()).await.ok()?;
            }
            socket.write_all(b"content-length: 0\r\n\r\n").await.ok()?;
        }
        Does::Babbles => socket.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n").await.ok()?,
        Does::Breaks => {
            let answer = b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer).await.ok()?;
        }
    }
    Some(())
}

/// The next request; `None` where the connection ends.
async fn read(socket: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("a head is text");
    let mut lines = text.split("\r\n");
    assert_eq!(lines.next(), Some("POST /hook HTTP/1.1"));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_ascii_lowercase(), value.to_owned())
    });
    let headers: BTreeMap<_, _> = headers.collect();
    let length: usize = headers["content-length"].parse().expect("a length");
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        if socket.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Heard { headers, body })
}
