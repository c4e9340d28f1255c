//! The half of a connection that writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures::SinkExt as _;
use futures::stream::SplitSink;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wacore_noise::NoiseCipher;

use super::connection::End;
use super::frames;
use super::registry::{Client, Outgoing};
use crate::network::Network;
use crate::wire;

/// Stanzas that a fault may hold back at once; what comes behind waits in the client's queue.
const HELD_BACK: usize = 512;

/// The most stanzas that go into the socket together.
const TOGETHER: usize = 64;

/// Sends what is queued for `client`, until its connection is closed or its last stanza is out. Nothing goes out
/// before `delay` has passed.
pub(super) async fn run(
    sink: SplitSink<WebSocket, Message>,
    cipher: NoiseCipher,
    outgoing: mpsc::Receiver<Outgoing>,
    client: Arc<Client>,
    network: Arc<Network>,
) -> Result<(), End> {
    tokio::select! {
        () = tokio::time::sleep(network.config.first_stanza_delay) => {}
        () = client.close.cancelled() => {}
    }
    let mut line = Line {
        sink,
        cipher,
        counter: 0,
        together: Vec::new(),
        rows: None,
        client,
        network,
    };
    let result = line.serve(outgoing).await;
    line.client.close.cancel();
    // A courtesy: the client may be gone already.
    let _ = tokio::time::timeout(Duration::from_secs(1), line.sink.close()).await;
    result
}

struct Line {
    sink: SplitSink<WebSocket, Message>,
    cipher: NoiseCipher,
    counter: u32,
    /// Sealed frames that are written next.
    together: Vec<Message>,
    /// The last row of the client's queue among them.
    rows: Option<i64>,
    client: Arc<Client>,
    network: Arc<Network>,
}

/// A stanza that a fault holds back.
struct Held {
    due: Instant,
    outgoing: Outgoing,
    copies: u8,
}

impl Line {
    async fn serve(&mut self, mut outgoing: mpsc::Receiver<Outgoing>) -> Result<(), End> {
        let mut held: VecDeque<Held> = VecDeque::new();
        let client = Arc::clone(&self.client);
        loop {
            // Stanzas that were queued before the connection closed still go out, but for those that a fault holds
            // back; `Last` then ends it.
            let due = held.front().map(|held| held.due);
            let ready = tokio::select! {
                biased;
                () = until(due) => held.pop_front(),
                next = outgoing.recv(), if held.len() < HELD_BACK => match next {
                    Some(next) => {
                        let next = self.judge(next, held.back());
                        if held.is_empty() && next.due <= Instant::now() {
                            Some(next)
                        } else {
                            held.push_back(next);
                            None
                        }
                    }
                    None => return Ok(()),
                },
                () = client.close.cancelled() => return Ok(()),
            };
            if let Some(ready) = ready {
                let mut is_last = self.put(ready)?;
                // What waits behind it goes with it.
                while !is_last && self.together.len() < TOGETHER && held.is_empty() {
                    let Ok(next) = outgoing.try_recv() else {
                        break;
                    };
                    let next = self.judge(next, None);
                    if next.due <= Instant::now() {
                        is_last = self.put(next)?;
                    } else {
                        held.push_back(next);
                    }
                }
                self.write().await?;
                if is_last {
                    return Ok(());
                }
            }
        }
    }

    /// When a stanza goes out and how often, by the faults in force. It never goes out before `last`, which is held
    /// back.
    fn judge(&self, outgoing: Outgoing, last: Option<&Held>) -> Held {
        let (Outgoing::Stanza(payload, _) | Outgoing::Last(payload)) = &outgoing;
        let fate = self.network.faults.outgoing(self.client.subject(), payload);
        let due = Instant::now() + fate.delay;
        Held {
            due: last.map_or(due, |last| due.max(last.due)),
            copies: fate.copies,
            outgoing,
        }
    }

    /// Seals a stanza, to be written; `true` after the last one.
    fn put(&mut self, held: Held) -> Result<bool, End> {
        let (payload, row, last) = match held.outgoing {
            Outgoing::Stanza(payload, row) => (payload, row, false),
            Outgoing::Last(payload) => (payload, None, true),
        };
        if held.copies > 0 {
            self.rows = self.rows.max(row);
        }
        for _ in 0..held.copies {
            let sealed = self
                .cipher
                .encrypt_with_counter(self.counter, &payload)
                .map_err(|_| End::Cipher)?;
            self.counter = self.counter.checked_add(1).ok_or(End::Cipher)?;
            let mut bytes = Vec::with_capacity(sealed.len() + 3);
            frames::append(&sealed, &mut bytes)?;
            self.together.push(Message::Binary(bytes.into()));
            self.network.stats.stanza_out(wire::tag(&payload));
        }
        Ok(last)
    }

    /// Writes what is sealed.
    async fn write(&mut self) -> Result<(), End> {
        // Before they are written: the client may speak of them before this goes on.
        if let Some(last) = self.rows.take() {
            self.client.sent.fetch_max(last, Ordering::AcqRel);
        }
        let Self {
            sink,
            together,
            client,
            network,
            ..
        } = self;
        let write = async {
            for message in together.drain(..) {
                sink.feed(message).await?;
            }
            sink.flush().await
        };
        let write = tokio::time::timeout(network.config.limits.write_timeout, write);
        // A closed connection does not wait out a client that has stopped reading.
        let grace = async {
            client.close.cancelled().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            written = write => match written {
                Ok(written) => Ok(written?),
                Err(_) => Err(End::Stalled),
            },
            () = grace => Err(End::Dropped),
        }
    }
}

/// Waits for an instant; without one, for ever.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
