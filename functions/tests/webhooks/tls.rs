//! Endpoints whose TLS is not in order: the attempt fails with its reason, nothing of the event is sent, and it arrives once
//! they are mended.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use functions::webhook_delivery::Settings;
use functions::webhook_delivery::transport::Settings as Transport;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use shared::domain::delivery::{AttemptFault, DeliveryState};
use shared::reach::Reach;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

/// Whoever signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        Self {
            issuer: Issuer::new(params, key),
            pem: certificate.pem(),
        }
    }

    /// A server's side of TLS, with a certificate for this host until the end of this year.
    fn server(&self, host: &str, last_year: i32) -> Front {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Front::Speaks(TlsAcceptor::from(Arc::new(config.expect("they belong together"))))
    }
}

/// What stands before an endpoint.
#[derive(Clone)]
enum Front {
    /// TLS, which lets through whoever believes its certificate.
    Speaks(TlsAcceptor),
    /// It takes connections and never says anything.
    Silent,
    /// It takes all that it hears for HTTP.
    Plain,
}

/// An endpoint behind a front. It ends with its runtime.
struct Guarded {
    address: SocketAddr,
    front: Arc<Mutex<Front>>,
}

impl Guarded {
    async fn before(receiver: &Receiver, front: Front) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let guarded = Self {
            address: listener.local_addr().expect("bound"),
            front: Arc::new(Mutex::new(front)),
        };
        let (front, behind) = (Arc::clone(&guarded.front), receiver.address);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let front = front.lock().expect("whole").clone();
                tokio::spawn(meet(socket, front, behind));
            }
        });
        guarded
    }

    /// From now on this stands before it.
    fn now(&self, front: Front) {
        *self.front.lock().expect("whole") = front;
    }

    fn url(&self) -> String {
        format!("https://{}/hook", self.address)
    }
}

async fn meet(mut socket: TcpStream, front: Front, behind: SocketAddr) -> Option<()> {
    match front {
        Front::Speaks(acceptor) => {
            let mut socket = acceptor.accept(socket).await.ok()?;
            let mut inner = TcpStream::connect(behind).await.ok()?;
            copy_bidirectional(&mut socket, &mut inner).await.ok()?;
        }
        Front::Silent => while socket.read(&mut [0; 1_024]).await.ok()? > 0 {},
        Front::Plain => {
            while socket.read(&mut [0; 1_024]).await.ok()? > 0 {
                let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
                socket.write_all(answer).await.ok()?;
            }
        }
    }
    Some(())
}

/// The host of every URL here.
const HOST: &str = "127.0.0.1";

/// The attempt fails in this way, within its usual time or this one, and is made again when the contract says. By then
/// the endpoint is in order.
async fn fails(front: impl FnOnce(&Authority) -> Front, deadline: Option<Duration>, fault: AttemptFault) {
    let authority = Authority::new();
    let mut transport = Transport {
        roots: Some(authority.pem.clone()),
        ..Transport::new(Reach::LOOPBACK)
    };
    transport.deadline = deadline.unwrap_or(transport.deadline);
    let world = World::with(Settings {
        transport,
        ..settings()
    })
    .await;
    let receiver = Receiver::that(Does::status(200)).await;
    let endpoint = Guarded::before(&receiver, front(&authority)).await;
    let instance = world.hooked("sales", &endpoint.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    let attempts: Vec<_> = delivery
        .attempts
        .iter()
        .map(|attempt| (attempt.status, attempt.fault))
        .collect();
    assert_eq!(attempts, [(None, Some(fault))]);
    assert_eq!(delivery.progress.state, DeliveryState::Pending);
    let next = delivery.progress.next_attempt_at.expect("another attempt");
    let pause = next - delivery.attempts[0].at;
    assert!(
        (TimeDelta::seconds(5)..=TimeDelta::milliseconds(5_500)).contains(&pause),
        "{pause}"
    );
    assert_eq!(receiver.connections(), 0);
    assert_eq!(world.left().await, (0, 1), "it has left the line of its chat");

    endpoint.now(authority.server(HOST, 2999));
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(6)).await;
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    assert_eq!(receiver.heard()[0].id(), event.to_string());
    assert!(world.read(&instance).await.health.is_well());
}

#[tokio::test]
async fn a_certificate_that_has_expired() {
    let expired = |authority: &Authority| authority.server(HOST, 2020);
    fails(expired, None, AttemptFault::TlsFailed).await;
}

#[tokio::test]
async fn a_certificate_for_another_host() {
    let others = |authority: &Authority| authority.server("elsewhere.example", 2999);
    fails(others, None, AttemptFault::TlsFailed).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_known_has_signed() {
    let unknown = |_: &Authority| Authority::new().server(HOST, 2999);
    fails(unknown, None, AttemptFault::TlsFailed).await;
}

#[tokio::test]
async fn no_tls_at_all() {
    fails(|_| Front::Plain, None, AttemptFault::TlsFailed).await;
}

#[tokio::test]
async fn a_handshake_that_hangs() {
    let soon = Duration::from_secs(10);
    fails(|_| Front::Silent, Some(soon), AttemptFault::Timeout).await;
}
