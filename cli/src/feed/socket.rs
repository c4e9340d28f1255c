//! One connection to the feed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt as _, StreamExt as _};
use reqwest::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use reqwest::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{Client, StatusCode, Upgraded};
use ring::digest;
use serde_json::Value;
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};

use super::packet::{self, Packet};
use crate::address::Address;
use crate::client;

/// Where the feed is, below its address.
const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// How long it may take until the connection is open.
const OPENING: Duration = Duration::from_secs(15);

/// How long it may take to hand a message to the network.
const SENDING: Duration = Duration::from_secs(10);

/// The largest message that is taken, in bytes. An event has 16 KiB at most.
const LARGEST: usize = 1024 * 1024;

/// What RFC 6455 (1.3) has a server put behind the client's key before it takes the digest.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A connection.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Upgraded>,
    patience: Duration,
    asked: u64,
    text: String,
}

/// Why there is no connection, or none any longer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Something else than the feed answers.
    #[error("status {0}")]
    Status(StatusCode),
    /// There is no way, or it has ended.
    #[error("{0}")]
    Lost(String),
}

impl Broken {
    fn lost(words: impl Into<String>) -> Self {
        Self::Lost(words.into())
    }
}

impl Socket {
    /// Opens a connection to the feed at this address.
    pub async fn open(client: &Client, address: &Address) -> Result<Self, Broken> {
        let opening = tokio::time::timeout(OPENING, Self::open_by_and_by(client, address));
        opening.await.unwrap_or_else(|_| {
            Err(Broken::lost(format!(
                "{} did not answer in time",
                address.place()
            )))
        })
    }

    async fn open_by_and_by(client: &Client, address: &Address) -> Result<Self, Broken> {
        let stream = upgraded(client, address).await?;
        let limits = Limits::default().max_payload_len(Some(LARGEST));
        let mut socket = Self {
            stream: ClientBuilder::new().limits(limits).take_over(stream),
            patience: OPENING,
            asked: 0,
            text: String::new(),
        };
        let Packet::Open(open) = socket.next().await? else {
            return Err(Broken::lost("the feed did not begin as it should"));
        };
        socket.patience = open.patience();
        Ok(socket)
    }

    /// Asks to be let in with this token.
    pub async fn join(&mut self, token: &str) -> Result<(), Broken> {
        self.send(packet::join(token)).await
    }

    /// Asks something; the number of its answer.
    pub async fn ask(&mut self, name: &str, said: &Value) -> Result<u64, Broken> {
        self.asked += 1;
        self.send(packet::ask(self.asked, name, said)).await?;
        Ok(self.asked)
    }

    /// What comes next. Signs of life are given meanwhile; where none is asked for in time, the connection is lost.
    pub async fn next(&mut self) -> Result<Packet<'_>, Broken> {
        loop {
            let came = tokio::time::timeout(self.patience, self.stream.next()).await;
            let message = match came {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Err(Broken::lost(format!("the connection broke: {error}"))),
                Ok(None) => return Err(closed()),
                Err(_) => return Err(Broken::lost("the deployment gave no sign of life")),
            };
            if message.is_close() {
                return Err(closed());
            }
            let Some(text) = message.as_text() else {
                continue;
            };
            match Packet::read(text) {
                Ok(Packet::Ping) => self.send(packet::PONG.to_owned()).await?,
                Ok(Packet::Close) => return Err(closed()),
                Ok(Packet::Other) => {}
                Ok(_) => {
                    text.clone_into(&mut self.text);
                    break;
                }
                Err(error) => return Err(Broken::lost(error.to_string())),
            }
        }
        // Read again: what is read borrows the text, which must outlive the loop.
        Packet::read(&self.text).map_err(|error| Broken::lost(error.to_string()))
    }

    async fn send(&mut self, text: String) -> Result<(), Broken> {
        match tokio::time::timeout(SENDING, self.stream.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken::lost(format!("the connection broke: {error}"))),
            Err(_) => Err(Broken::lost("the deployment takes nothing")),
        }
    }
}

fn closed() -> Broken {
    Broken::lost("the deployment closed the connection")
}

/// The upgrade to WebSocket (RFC 6455, 4.1).
async fn upgraded(client: &Client, address: &Address) -> Result<Upgraded, Broken> {
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let request = client
        .get(address.at(PATH))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let lost = |error: reqwest::Error| Broken::lost(client::words(&error, &address.place()));
    let response = request.send().await.map_err(lost)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Broken::Status(response.status()));
    }
    if !accepts(response.headers(), &key) {
        return Err(Broken::lost("what answers speaks no WebSocket"));
    }
    response.upgrade().await.map_err(lost)
}

fn accepts(headers: &HeaderMap, key: &str) -> bool {
    let digest = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{GUID}").as_bytes(),
    );
    let wanted = STANDARD.encode(digest);
    headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes) == Some(wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, 1.3.
    #[test]
    fn a_server_has_to_accept_the_key_that_it_was_given() {
        let mut headers = HeaderMap::new();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert!(!accepts(&headers, key));
        let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        assert!(accepts(&headers, key));
        assert!(!accepts(&headers, "AAAAAAAAAAAAAAAAAAAAAA=="));
    }
}
