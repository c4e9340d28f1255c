//! One client's connection, from its first byte to its last.
//!
//! What is wrong with one connection ends that connection, with its reason in the log, and no other.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use bytes::BytesMut;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use wacore_noise::NoiseCipher;

use super::frames::{self, Frames};
use super::handshake::{self, Secured, Step};
use super::login::{self, Intent, Verdict};
use super::refusals::Refusal;
use super::registry::{Client, Outgoing, Pairing};
use super::router::{Router, Seat};
use super::writer;
use crate::error::Error;
use crate::network::Network;
use crate::{pairing, wire};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the client closed it")]
    Closed,
    #[error("the server closed it")]
    Dropped,
    #[error("no frame came in time")]
    Silent,
    #[error("the client did not take what was sent")]
    Stalled,
    #[error(transparent)]
    Malformed(#[from] frames::Malformed),
    #[error(transparent)]
    Handshake(#[from] handshake::Failure),
    #[error("a frame does not decrypt")]
    Cipher,
    #[error("the connection broke: {0}")]
    Socket(#[from] axum::Error),
    #[error(transparent)]
    Work(#[from] Error),
}

/// Serves a client until it or the server goes.
pub(crate) async fn serve(network: Arc<Network>, socket: WebSocket) {
    let id = network.registry.next_client();
    let close = network.stop.child_token();
    let (client, outgoing) = Client::new(id, close);
    let (sink, stream) = socket.split();
    let mut connection = Connection {
        network,
        client,
        sink,
        reader: Reader {
            stream,
            frames: Frames::new(),
        },
    };
    let stop = connection.client.close.clone();
    let handshake = tokio::time::timeout(
        connection.network.config.handshake_timeout,
        connection.handshake(),
    );
    let secured = tokio::select! {
        secured = handshake => secured.unwrap_or(Err(End::Silent)),
        () = stop.cancelled() => Err(End::Dropped),
    };
    let end = match secured {
        Ok(secured) => connection.converse(secured, outgoing).await,
        Err(end) => end,
    };
    match end {
        End::Closed | End::Dropped => debug!(client = id, reason = %end, "disconnected"),
        _ => info!(client = id, reason = %end, "disconnected"),
    }
}

struct Connection {
    network: Arc<Network>,
    client: Arc<Client>,
    sink: SplitSink<WebSocket, Message>,
    reader: Reader,
}

struct Reader {
    stream: SplitStream<WebSocket>,
    frames: Frames,
}

impl Reader {
    async fn frame(&mut self) -> Result<BytesMut, End> {
        loop {
            if let Some(frame) = self.frames.next()? {
                return Ok(frame);
            }
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => self.frames.push(&bytes),
                Some(Ok(Message::Close(_))) | None => return Err(End::Closed),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(End::Socket(error)),
            }
        }
    }
}

impl Connection {
    async fn handshake(&mut self) -> Result<Secured, End> {
        let hello = self.reader.frame().await?;
        match handshake::respond(&self.network.identity, &hello)? {
            Step::Done(reply, secured) => {
                self.write(&reply).await?;
                Ok(*secured)
            }
            Step::Wait(reply, waiting) => {
                self.write(&reply).await?;
                let finish = self.reader.frame().await?;
                Ok(waiting.finish(&finish)?)
            }
        }
    }

    async fn write(&mut self, payload: &[u8]) -> Result<(), End> {
        let mut bytes = Vec::with_capacity(payload.len() + 3);
        frames::append(payload, &mut bytes)?;
        Ok(self.sink.send(Message::Binary(bytes.into())).await?)
    }

    /// The secured part: one task writes, this one reads, and both end together.
    async fn converse(self, secured: Secured, outgoing: mpsc::Receiver<Outgoing>) -> End {
        let Self {
            network,
            client,
            sink,
            mut reader,
        } = self;
        let Secured {
            pattern,
            client: noise_key,
            payload,
            write,
            read,
        } = secured;
        debug!(client = client.id, ?pattern, "secured");
        network.stats.handshake(pattern, reader.frames.routed());
        reader.frames.set_limit(frames::LIMIT);
        let writer = tokio::spawn(network.tasks.track_future(writer::run(
            sink,
            write,
            outgoing,
            Arc::clone(&client),
            network.config.first_stanza_delay,
        )));
        let seat = match seat(&network, &client, noise_key, &payload).await {
            Ok(seat) => seat,
            Err(error) => {
                client.close.cancel();
                return End::Work(error);
            }
        };
        let router = Router::new(Arc::clone(&network), Arc::clone(&client), seat);
        let end = receive(&router, &client, &mut reader, &read).await;
        client.close.cancel();
        router.leave();
        // The writer ends by the cancellation at the latest.
        match writer.await {
            Ok(Err(stalled)) if matches!(end, End::Dropped) => stalled,
            _ => end,
        }
    }
}

/// Logs the client in or begins its pairing.
async fn seat(
    network: &Arc<Network>,
    client: &Arc<Client>,
    noise_key: [u8; 32],
    payload: &waproto::whatsapp::ClientPayload,
) -> Result<Seat, Error> {
    let intent = login::intent(payload)?;
    if login::outdated(payload, network.config.min_client_version) {
        client.send_last(&Refusal::OUTDATED.failure(0))?;
        return Ok(Seat::Refused);
    }
    match intent {
        Intent::Register(registration, push_name) => {
            let pairing = Pairing {
                client: Arc::clone(client),
                noise_key,
                registration,
                push_name,
            };
            let task = pairing::offer(Arc::clone(network), pairing.clone());
            network.tasks.spawn(task);
            Ok(Seat::Pairing(pairing))
        }
        Intent::Login(address) => {
            let device = address.clone();
            let verdict = network
                .store
                .run(move |unit| login::login(unit, &device, &noise_key))
                .await?;
            let greeting = match verdict {
                Verdict::Welcome(greeting) => greeting,
                Verdict::Refused(failure) => {
                    client.send_last(&failure)?;
                    return Ok(Seat::Refused);
                }
            };
            network.registry.login(&address, client);
            for stanza in &greeting {
                client.send(stanza)?;
            }
            Ok(Seat::Device(address))
        }
    }
}

async fn receive(router: &Router, client: &Client, reader: &mut Reader, read: &NoiseCipher) -> End {
    let mut counter = 0_u32;
    let idle = router.network().config.idle_timeout;
    loop {
        let frame = tokio::select! {
            () = client.close.cancelled() => return End::Dropped,
            frame = tokio::time::timeout(idle, reader.frame()) => frame,
        };
        let mut frame = match frame {
            Ok(Ok(frame)) => frame,
            Ok(Err(end)) => return end,
            Err(_) => return End::Silent,
        };
        if read.decrypt_in_place_with_counter(counter, &mut frame).is_err() {
            return End::Cipher;
        }
        let Some(next) = counter.checked_add(1) else {
            return End::Cipher;
        };
        counter = next;
        let node = match wire::decode(&frame) {
            Ok(node) => node,
            Err(error) => return End::Work(error),
        };
        router.network().stats.stanza_in();
        match router.take(&node).await {
            Ok(()) => {}
            Err(Error::Invalid(reason)) => {
                // The stanza is not answered; the client's own time-out covers it.
                warn!(client = client.id, tag = %node.tag, %reason, "a stanza that cannot be understood");
            }
            Err(error) => return End::Work(error),
        }
    }
}
