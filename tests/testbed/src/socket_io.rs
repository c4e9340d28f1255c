//! A Socket.IO client: version 5 of its protocol over version 4 of Engine.IO, WebSocket alone, the namespace `/` alone.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

use crate::wait::in_time;

/// An open connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    asked: u32,
}

/// What comes from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Came {
    /// An event and what it says.
    Event(String, Value),
    /// The answer to a request.
    Answer(u32, Value),
    /// The socket is in.
    Joined,
    /// The socket is not let in.
    Refused(String),
    /// The server has ended the socket.
    Ended,
    /// The connection is closed.
    Closed,
}

impl Client {
    /// Opens a connection to the feed at this address.
    pub async fn open(address: &str) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let builder = ClientBuilder::new().uri(&url).expect("well-formed");
        let (socket, _) = in_time("a connection", builder.connect())
            .await
            .expect("connected");
        let mut client = Self { socket, asked: 0 };
        let open = client.text().await.expect("an open packet");
        assert!(open.starts_with("0{"), "{open}");
        client
    }

    /// Opens a connection and shows this token. The code of the refusal, where it is not let in.
    pub async fn join(address: &str, token: &str) -> Result<Self, String> {
        let mut client = Self::open(address).await;
        client.enter(&json!({"token": token})).await?;
        Ok(client)
    }

    /// Shows this in the handshake. The code of the refusal, where it is not let in.
    pub async fn enter(&mut self, auth: &Value) -> Result<(), String> {
        match self.knock(auth).await {
            Came::Joined => Ok(()),
            Came::Refused(code) => Err(code),
            other => panic!("{other:?}"),
        }
    }

    /// Shows this in the handshake: what comes of it.
    pub async fn knock(&mut self, auth: &Value) -> Came {
        self.send(format!("40{auth}")).await;
        loop {
            match self.came().await {
                Came::Event(..) => {}
                other => return other,
            }
        }
    }

    /// Sends an event and waits for its answer; what comes meanwhile is dropped.
    pub async fn ask(&mut self, event: &str, data: Value) -> Value {
        self.asked += 1;
        let number = self.asked;
        self.send(format!("42{number}{}", Value::Array(vec![event.into(), data])))
            .await;
        loop {
            match self.came().await {
                Came::Answer(of, answer) if of == number => return answer,
                Came::Closed | Came::Ended => panic!("the socket ended before the answer"),
                _ => {}
            }
        }
    }

    /// Asks for what it wants; panics where that is refused.
    pub async fn subscribe(&mut self, wanted: Value) -> Value {
        let answer = self.ask("subscribe", wanted).await;
        assert_eq!(answer["success"], json!(true), "{answer}");
        answer["data"].clone()
    }

    /// Sends an event and waits for nothing.
    pub async fn emit(&mut self, event: &str, data: Value) {
        self.send(format!("42{}", Value::Array(vec![event.into(), data])))
            .await;
    }

    /// The next event that something has happened for: none of the daemon's health, and no counters, which come by the clock.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            let (name, data) = self.event_or_counters().await;
            if name != "message:stats" {
                return (name, data);
            }
        }
    }

    /// The next event that is none of the daemon's health.
    pub async fn event_or_counters(&mut self) -> (String, Value) {
        loop {
            match self.came().await {
                Came::Event(name, _) if name == "system:health" => {}
                Came::Event(name, data) => return (name, data),
                Came::Answer(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until it is ended: the code that it was told, and whether the server has said so or the connection was lost.
    pub async fn end(&mut self) -> (Option<String>, bool) {
        let (mut code, mut is_said) = (None, false);
        loop {
            match self.came().await {
                Came::Event(name, data) if name == "feed:ended" => {
                    code = data["code"].as_str().map(str::to_owned);
                }
                Came::Ended => is_said = true,
                Came::Closed => return (code, is_said),
                _ => {}
            }
        }
    }

    /// What comes next.
    pub async fn came(&mut self) -> Came {
        loop {
            let Some(text) = self.text().await else {
                return Came::Closed;
            };
            if text == "2" {
                self.send("3".to_owned()).await;
            } else if let Some(came) = read(&text) {
                return came;
            }
        }
    }

    async fn send(&mut self, text: String) {
        // A connection that has ended is noticed by who reads.
        let _ = self.socket.send(Message::text(text)).await;
    }

    async fn text(&mut self) -> Option<String> {
        loop {
            let message = in_time("a message", self.socket.next()).await;
            match message {
                Some(Ok(message)) if message.is_text() => {
                    return message.as_text().map(str::to_owned);
                }
                Some(Ok(message)) if message.is_close() => return None,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// The head of the answer to a request for a WebSocket.
pub async fn upgrade(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = vec![0; 2_048];
    let read = stream.read(&mut answer).await.expect("read");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

fn read(text: &str) -> Option<Came> {
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    match text.get(..2)? {
        "40" => Some(Came::Joined),
        "41" => Some(Came::Ended),
        "44" => {
            let why = json(&text[2..]);
            Some(Came::Refused(why["message"].as_str().expect("a text").to_owned()))
        }
        "42" => {
            let event = json(&text[2..]);
            Some(Came::Event(
                event[0].as_str().expect("a name").to_owned(),
                event[1].clone(),
            ))
        }
        "43" => {
            let begin = text.find('[').expect("an array");
            let number = text[2..begin].parse().expect("a number");
            Some(Came::Answer(number, json(&text[begin..])[0].clone()))
        }
        _ => None,
    }
}
