//! The half of a connection that writes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures::SinkExt as _;
use futures::stream::SplitSink;
use tokio::sync::mpsc;
use wacore_noise::NoiseCipher;

use super::connection::End;
use super::frames;
use super::registry::{Client, Outgoing};

/// A write that takes longer than this means that the client does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends what is queued for `client`, until its connection is closed or its last stanza is out. Nothing goes out
/// before `delay` has passed.
pub(super) async fn run(
    mut sink: SplitSink<WebSocket, Message>,
    cipher: NoiseCipher,
    mut outgoing: mpsc::Receiver<Outgoing>,
    client: Arc<Client>,
    delay: Duration,
) -> Result<(), End> {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = client.close.cancelled() => {}
    }
    let mut counter = 0_u32;
    let result = loop {
        // What was queued before the connection is closed still goes out; `Last` then ends it.
        let next = tokio::select! {
            biased;
            next = outgoing.recv() => next,
            () = client.close.cancelled() => None,
        };
        let (payload, last) = match next {
            Some(Outgoing::Stanza(payload)) => (payload, false),
            Some(Outgoing::Last(payload)) => (payload, true),
            None => break Ok(()),
        };
        let sealed = cipher
            .encrypt_with_counter(counter, &payload)
            .map_err(|_| End::Cipher);
        counter += 1;
        let sent = match sealed {
            Ok(sealed) => {
                let mut bytes = Vec::with_capacity(sealed.len() + 3);
                match frames::append(&sealed, &mut bytes) {
                    Ok(()) => write_within(&mut sink, bytes, &client).await,
                    Err(malformed) => Err(malformed.into()),
                }
            }
            Err(end) => Err(end),
        };
        if last || sent.is_err() {
            break sent;
        }
    };
    client.close.cancel();
    // A courtesy: the client may be gone already.
    let _ = tokio::time::timeout(Duration::from_secs(1), sink.close()).await;
    result
}

async fn write_within(
    sink: &mut SplitSink<WebSocket, Message>,
    bytes: Vec<u8>,
    client: &Client,
) -> Result<(), End> {
    let write = tokio::time::timeout(WRITE_TIMEOUT, sink.send(Message::Binary(bytes.into())));
    // A closed connection does not wait out a client that has stopped reading.
    let patience = async {
        client.close.cancelled().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        written = write => match written {
            Ok(written) => Ok(written?),
            Err(_) => Err(End::Stalled),
        },
        () = patience => Err(End::Dropped),
    }
}
