//! Bytes that are no handshake and no frames.

use wacore_binary::consts::WA_CONN_HEADER;

use super::{Pair, ended};
use crate::net::start;
use crate::raw::{RawClient, Wire, framed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_handshake_is_cut_off() {
    let sandbox = start(None).await;
    let mut pair = Pair::start(&sandbox).await;
    let rubbish = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [WA_CONN_HEADER.as_slice(), &[0xff, 0xff, 0xff]].concat(),
        [WA_CONN_HEADER.as_slice(), &[0, 0, 4, 1, 2, 3, 4]].concat(),
        [WA_CONN_HEADER.as_slice(), &[0, 0, 0]].concat(),
        // A client hello without a key, with one that is too short, and with rubbish for an IK payload.
        [WA_CONN_HEADER.as_slice(), &framed(&[0x12, 0])].concat(),
        [WA_CONN_HEADER.as_slice(), &framed(&[0x12, 3, 0x0a, 1, 7])].concat(),
        // Routing data without an end, and more than a handshake may hold.
        b"ED\x00\x01\xff\xff\xff".to_vec(),
        vec![b'W'; 1 << 20],
        b"WA\x06\x02".to_vec(),
    ];
    let count = rubbish.len();
    for bytes in rubbish {
        let wire = Wire::connect(&sandbox.ws_url()).await;
        wire.send(bytes).await;
        wire.closed().await;
        pair.talk().await;
    }
    // All but those whose protobuf does not make a hello are no frames at all.
    ended(&sandbox, "handshake", 4).await;
    ended(&sandbox, "malformed", count as u64 - 4).await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_too_long_or_not_sealed_are_cut_off() {
    let sandbox = start(None).await;
    let mut pair = Pair::start(&sandbox).await;
    for bytes in [vec![0xff, 0xff, 0xff, 1], framed(&[7; 40]), framed(&[])] {
        let client = RawClient::stranger(&sandbox.ws_url()).await;
        client.send_unsealed(bytes).await;
        client.closed().await;
        pair.talk().await;
    }
    // A frame that was sealed for another place in the stream.
    let mut client = RawClient::stranger(&sandbox.ws_url()).await;
    let (_lost, second) = (client.sealed(&[0]), client.sealed(&[0]));
    client.send_unsealed(second).await;
    client.closed().await;
    ended(&sandbox, "malformed", 1).await;
    ended(&sandbox, "cipher", 3).await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}
