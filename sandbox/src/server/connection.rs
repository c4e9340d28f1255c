//! One client's connection, from its first byte to its last.
//!
//! A fault of one connection ends that connection alone, with the reason in the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::BytesMut;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use wacore_binary::Node;
use wacore_noise::NoiseCipher;

use super::frames::{self, Frames};
use super::handshake::{self, Secured, Step};
use super::login::{self, Intent, Verdict};
use super::pace::Pace;
use super::refusals::Refusal;
use super::registry::{Client, Outgoing, Pairing};
use super::router::{Outcome, Router, Seat};
use super::writer;
use crate::error::Error;
use crate::faults::{Fate, Subject};
use crate::network::Network;
use crate::{pairing, wire};

/// How long a client may take to read the server's last word and close its side.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Stanzas of one client that may be in the store's queue at once. They share commits; the next ones wait in the socket.
const IN_STORE: usize = 128;

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
    #[error("more frames came than a client may send")]
    Flood,
    #[error("the connection broke: {0}")]
    Socket(#[from] axum::Error),
    #[error(transparent)]
    Work(#[from] Error),
}

impl End {
    /// A word for it, for counting.
    fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Dropped => "dropped",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::Malformed(_) => "malformed",
            Self::Handshake(_) => "handshake",
            Self::Cipher => "cipher",
            Self::Flood => "flood",
            Self::Socket(_) => "socket",
            Self::Work(Error::Codec { .. }) => "undecodable",
            Self::Work(_) => "work",
        }
    }

    /// What the log may say of it.
    fn for_log(&self) -> String {
        match self {
            Self::Work(error) => error.for_log(),
            _ => self.to_string(),
        }
    }
}

/// Serves a client until it or the server goes. `entry` is given back once the handshake is over.
pub(crate) async fn serve(network: Arc<Network>, socket: WebSocket, entry: OwnedSemaphorePermit) {
    let id = network.registry.next_client();
    let (client, outgoing) = Client::new(id, network.generation());
    let (sink, stream) = socket.split();
    let pace = Pace::new(network.config.limits.frames_per_second, Instant::now());
    let mut connection = Connection {
        network,
        client,
        sink,
        reader: Reader {
            stream,
            frames: Frames::new(),
            pace,
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
    drop(entry);
    let network = Arc::clone(&connection.network);
    let end = match secured {
        Ok(secured) => connection.converse(secured, outgoing).await,
        Err(end) => end,
    };
    network.stats.closed(end.label());
    match end {
        End::Closed | End::Dropped => debug!(client = id, reason = %end, "disconnected"),
        _ => info!(client = id, reason = end.for_log(), "disconnected"),
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
    pace: Pace,
}

impl Reader {
    async fn frame(&mut self) -> Result<BytesMut, End> {
        // Of each WebSocket message the first frame goes with it; others count like messages.
        let mut paid = false;
        loop {
            if let Some(frame) = self.frames.next()? {
                if !paid && !self.pace.step(Instant::now()) {
                    return Err(End::Flood);
                }
                return Ok(frame);
            }
            let message = self.stream.next().await;
            if !self.pace.step(Instant::now()) {
                return Err(End::Flood);
            }
            paid = true;
            match message {
                Some(Ok(Message::Binary(bytes))) => self.frames.push(&bytes)?,
                Some(Ok(Message::Close(_))) | None => return Err(End::Closed),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(End::Socket(error)),
            }
        }
    }
}

impl Reader {
    /// Reads on for a moment after the server's last word. A socket that is closed with bytes unread is reset, and a
    /// reset can take that word from the client.
    async fn drain(&mut self) {
        let rest = async { while let Some(Ok(_)) = self.stream.next().await {} };
        // A client that goes on sending is cut off.
        let _ = tokio::time::timeout(LAST_WORD, rest).await;
    }
}

impl Connection {
    async fn handshake(&mut self) -> Result<Secured, End> {
        let hello = self.reader.frame().await?;
        if self.network.faults.refuses_handshake(self.client.subject()) {
            return Err(End::Dropped);
        }
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
            Arc::clone(&network),
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
        router.leave().await;
        // The writer ends by the cancellation at the latest.
        let written = writer.await;
        if matches!(end, End::Dropped) {
            reader.drain().await;
        }
        match written {
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
    let now_ms = network.config.clock.now_ms();
    match intent {
        Intent::Register(registration, push_name) => {
            if let Some(refusal) = network.faults.refuses_login(client.subject()) {
                client.send_last(&refusal.failure(now_ms))?;
                return Ok(Seat::Refused);
            }
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
            let subject = Subject {
                client: client.id,
                address: Some(&address),
            };
            if let Some(refusal) = network.faults.refuses_login(subject) {
                client.send_last(&refusal.failure(now_ms))?;
                return Ok(Seat::Refused);
            }
            network.registry.login(&address, client);
            for stanza in &greeting {
                client.send(stanza)?;
            }
            Ok(Seat::Device(address))
        }
    }
}

async fn receive(router: &Router, client: &Client, reader: &mut Reader, read: &NoiseCipher) -> End {
    let mut line = Waiting {
        router,
        client,
        outcomes: VecDeque::new(),
    };
    let end = line.receive(reader, read).await;
    // What was submitted happens whether the client is there or not; what follows from it is counted.
    while let Some(outcome) = line.outcomes.pop_front() {
        if let Err(Error::Stopped) = outcome.await {
            break;
        }
    }
    end
}

/// The stanzas of a client that are in the store's queue, first come first.
struct Waiting<'a> {
    router: &'a Router,
    client: &'a Client,
    outcomes: VecDeque<Outcome<'a>>,
}

impl Waiting<'_> {
    async fn receive(&mut self, reader: &mut Reader, read: &NoiseCipher) -> End {
        let mut counter = 0_u32;
        let idle = self.router.network().config.idle_timeout;
        loop {
            let has_room = self.outcomes.len() < IN_STORE;
            let frame = tokio::select! {
                () = self.client.close.cancelled() => return End::Dropped,
                settled = settled(&mut self.outcomes) => {
                    if let Err(end) = self.answer(settled).await {
                        return end;
                    }
                    continue;
                }
                frame = tokio::time::timeout(idle, reader.frame()), if has_room => frame,
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
                Ok(node) => Arc::new(node),
                Err(error) => return End::Work(error),
            };
            if let Err(end) = self.take(&node).await {
                return end;
            }
        }
    }

    /// Takes a stanza as the faults in force want it.
    async fn take(&mut self, node: &Arc<Node>) -> Result<(), End> {
        let (router, client) = (self.router, self.client);
        let network = router.network();
        network.stats.stanza_in(&node.tag);
        let (delay, fate) = network.faults.incoming(client.subject(), node);
        if !delay.is_zero() {
            self.settle().await?;
            tokio::select! {
                () = client.close.cancelled() => return Err(End::Dropped),
                () = tokio::time::sleep(delay) => {}
            }
        }
        match fate {
            Fate::Handle(times) => {
                for _ in 0..times {
                    self.handle(node).await?;
                }
                Ok(())
            }
            Fate::Lost => Ok(()),
            Fate::Refused(code) => {
                self.settle().await?;
                Ok(router.refuse(node, code)?)
            }
            Fate::End(ending) => {
                self.settle().await?;
                client.end(ending);
                // At the latest when the writer has written the last word.
                client.close.cancelled().await;
                Err(End::Dropped)
            }
        }
    }

    async fn handle(&mut self, node: &Arc<Node>) -> Result<(), End> {
        if let Some(outcome) = self.router.submit(node).await? {
            self.outcomes.push_back(outcome);
            return Ok(());
        }
        // Others see all that came before them, and are answered after it.
        self.settle().await?;
        understood(self.client, &node.tag, self.router.take(node).await)
    }

    /// Waits until all that was submitted is stored and answered.
    async fn settle(&mut self) -> Result<(), End> {
        while !self.outcomes.is_empty() {
            let settled = settled(&mut self.outcomes).await;
            self.answer(settled).await?;
        }
        Ok(())
    }

    /// Answers a stanza. A client that takes no answers is not heard meanwhile.
    async fn answer(&mut self, settled: Result<Option<Vec<u8>>, Error>) -> Result<(), End> {
        match settled {
            Ok(Some(payload)) => tokio::select! {
                () = self.client.close.cancelled() => Err(End::Dropped),
                is_taken = self.client.send_when_free(payload) => {
                    if is_taken { Ok(()) } else { Err(End::Dropped) }
                }
            },
            Ok(None) => Ok(()),
            Err(error) => understood(self.client, "message, receipt or ack", Err(error)),
        }
    }
}

/// What came of the first stanza that waits; without one, never.
async fn settled(outcomes: &mut VecDeque<Outcome<'_>>) -> Result<Option<Vec<u8>>, Error> {
    let Some(first) = outcomes.front_mut() else {
        return std::future::pending().await;
    };
    let settled = first.await;
    outcomes.pop_front();
    settled
}

/// Lets a stanza pass that cannot be understood.
fn understood(client: &Client, tag: &str, taken: Result<(), Error>) -> Result<(), End> {
    match taken {
        Err(Error::Invalid(reason)) => {
            // The stanza is not answered; the client's own time-out covers it.
            warn!(client = client.id, tag, %reason, "a stanza that cannot be understood");
            Ok(())
        }
        other => Ok(other?),
    }
}
