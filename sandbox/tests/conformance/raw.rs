//! A client that speaks the handshake and frames by hand, and can send what no library would.

use std::sync::Arc;

use buffa::Message as _;
use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use wacore::net::{Transport, TransportEvent, TransportFactory as _};
use wacore::store::traits::DeviceStore as _;
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_binary::{Node, marshal};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{NoiseCipher, XxHandshakeState};
use waproto::whatsapp as wa;
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::client::Backend;
use crate::net::DEADLINE;

/// A connection of which nothing has been said.
pub struct Wire {
    transport: Arc<dyn Transport>,
    events: Receiver<TransportEvent>,
    buffer: BytesMut,
}

/// One whose handshake is over.
pub struct RawClient {
    wire: Wire,
    cipher: NoiseCipher,
    counter: u32,
}

impl Wire {
    pub async fn connect(url: &str) -> Self {
        let factory = TokioWebSocketTransportFactory::new().with_url(url);
        let (transport, events) = factory.create_transport().await.expect("it connects");
        Self {
            transport,
            events,
            buffer: BytesMut::new(),
        }
    }

    /// Sends bytes as they are. The server may have closed the connection before it has them all.
    pub async fn send(&self, bytes: Vec<u8>) {
        let _ = self.transport.send(Bytes::from(bytes)).await;
    }

    /// Closes the connection in order.
    pub async fn disconnect(self) {
        self.transport.disconnect().await;
    }

    /// Waits until the server has closed the connection.
    pub async fn closed(&self) {
        let closed = async {
            while let Ok(event) = self.events.recv().await {
                if matches!(event, TransportEvent::Disconnected(_)) {
                    break;
                }
            }
        };
        tokio::time::timeout(DEADLINE, closed)
            .await
            .expect("the server closes the connection");
    }

    async fn frame(&mut self) -> BytesMut {
        loop {
            if let [a, b, c, rest @ ..] = self.buffer.as_ref() {
                let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
                if rest.len() >= length {
                    let mut frame = self.buffer.split_to(3 + length);
                    return frame.split_off(3);
                }
            }
            let event = tokio::time::timeout(DEADLINE, self.events.recv())
                .await
                .expect("a frame comes in time");
            match event.expect("the connection stands") {
                TransportEvent::DataReceived(bytes) => self.buffer.extend_from_slice(&bytes),
                TransportEvent::Connected => {}
                TransportEvent::Disconnected(reason) => panic!("closed instead of a frame: {reason}"),
            }
        }
    }
}

/// `payload` behind its length.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length");
    [&length.to_be_bytes()[1..], payload].concat()
}

impl RawClient {
    /// One that is about to show a QR code.
    pub async fn stranger(url: &str) -> Self {
        let registration = DevicePairingRegistrationData {
            e_regid: Some(vec![0, 0, 0, 1]),
            e_keytype: Some(vec![5]),
            e_ident: Some(vec![1; 32]),
            e_skey_id: Some(vec![0, 0, 1]),
            e_skey_val: Some(vec![2; 32]),
            e_skey_sig: Some(vec![3; 64]),
            ..Default::default()
        };
        let payload = wa::ClientPayload {
            device_pairing_data: registration.into(),
            ..Default::default()
        };
        let noise_key = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        Self::handshake(url, noise_key, &payload).await
    }

    /// The device that `backend` is the state of.
    pub async fn login(url: &str, backend: &Backend) -> Self {
        let device = backend.load().await.expect("the state loads").expect("a device");
        let jid = device.pn.expect("it is paired");
        let payload = wa::ClientPayload {
            username: Some(jid.user.parse().expect("a number")),
            device: Some(jid.device.into()),
            ..Default::default()
        };
        Self::handshake(url, device.noise_key, &payload).await
    }

    async fn handshake(url: &str, noise_key: KeyPair, payload: &wa::ClientPayload) -> Self {
        let mut wire = Wire::connect(url).await;
        let mut noise =
            XxHandshakeState::new(noise_key, payload.encode_to_vec(), &WA_CONN_HEADER).expect("a state");
        let hello = noise.build_client_hello().expect("a hello");
        wire.send([WA_CONN_HEADER.as_slice(), &framed(&hello)].concat())
            .await;
        let answer = wire.frame().await;
        let finish = noise
            .read_server_hello_and_build_client_finish(&answer)
            .expect("the server's hello");
        wire.send(framed(&finish)).await;
        let outcome = noise.finish().expect("the handshake ends");
        Self {
            wire,
            cipher: outcome.write_cipher,
            counter: 0,
        }
    }

    /// Sends a frame with this plaintext, flag byte included.
    pub async fn send_plain(&mut self, plaintext: &[u8]) {
        let frame = self.sealed(plaintext);
        self.wire.send(frame).await;
    }

    /// Sends a stanza.
    pub async fn send(&mut self, node: &Node) {
        self.send_plain(&marshal(node).expect("it encodes")).await;
    }

    /// Sends bytes that no key has sealed.
    pub async fn send_unsealed(&self, bytes: Vec<u8>) {
        self.wire.send(bytes).await;
    }

    /// A frame with this plaintext.
    pub fn sealed(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let sealed = self
            .cipher
            .encrypt_with_counter(self.counter, plaintext)
            .expect("it encrypts");
        self.counter += 1;
        framed(&sealed)
    }

    /// Waits until the server has closed the connection.
    pub async fn closed(&self) {
        self.wire.closed().await;
    }
}
