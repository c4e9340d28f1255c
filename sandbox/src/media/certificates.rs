//! The certificates of the media host: a root that is made once and kept, and leaves that it signs.
//!
//! A client is given the root. A leaf lives for three months; its successor takes over a month before that, at the
//! next connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::store::Unit;

const KEY: &str = "media.root-private";
const CERTIFICATE: &str = "media.root";
const UNTIL: &str = "media.root-until";

const DAY_SECS: u64 = 24 * 60 * 60;
/// Clocks differ: everything is valid from a day before it was made.
const VALID_BEFORE_SECS: u64 = DAY_SECS;
const ROOT_LIFE_SECS: u64 = 20 * 365 * DAY_SECS;
const LEAF_LIFE_SECS: u64 = 90 * DAY_SECS;
const LEAF_RENEWED_SECS: u64 = 30 * DAY_SECS;

/// What signs the leaves.
#[derive(Clone)]
pub(super) struct Root {
    /// PKCS #8.
    key: Vec<u8>,
    certificate: CertificateDer<'static>,
    /// The end of its life, in Unix seconds.
    until: u64,
}

/// Loads the root, or makes a new one: at the first start, and when it ends before a new leaf would.
pub(super) fn load_or_make(unit: &Unit<'_>) -> Result<Root> {
    let now = unit.now_secs().unsigned_abs();
    if let (Some(key), Some(certificate), Some(until)) =
        (unit.meta(KEY)?, unit.meta(CERTIFICATE)?, unit.meta(UNTIL)?)
    {
        let until = until
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| Error::codec("the media host's root", "its end is not 8 bytes"))?;
        if now + LEAF_LIFE_SECS < until {
            return Ok(Root {
                key,
                certificate: certificate.into(),
                until,
            });
        }
    }
    let root = make_root(now).map_err(|error| Error::codec("the media host's root", error))?;
    unit.set_meta(KEY, &root.key)?;
    unit.set_meta(CERTIFICATE, &root.certificate)?;
    unit.set_meta(UNTIL, &root.until.to_be_bytes())?;
    Ok(root)
}

fn make_root(now_secs: u64) -> Result<Root, rcgen::Error> {
    let key = KeyPair::generate()?;
    let until = now_secs + ROOT_LIFE_SECS;
    let certificate = root_params(now_secs.saturating_sub(VALID_BEFORE_SECS), until)?.self_signed(&key)?;
    Ok(Root {
        key: key.serialize_der(),
        certificate: certificate.der().clone(),
        until,
    })
}

/// What the root says of itself. A leaf names its issuer by it.
fn root_params(from: u64, until: u64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = params("Sandbox media root", Vec::new(), (from, until))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(
    name: &str,
    names: Vec<String>,
    (from, until): (u64, u64),
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from);
    params.not_after = epoch + Duration::from_secs(until);
    Ok(params)
}

/// The host's side of TLS, with a leaf that is valid now.
pub(super) struct Certificates {
    root: Root,
    root_pem: String,
    names: Vec<String>,
    clock: Arc<dyn Clock>,
    current: Mutex<Option<Current>>,
}

struct Current {
    renew_at: u64,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Leaves for `localhost`, 127.0.0.1 and `names`.
    pub(super) fn new(root: Root, names: impl Iterator<Item = String>, clock: Arc<dyn Clock>) -> Self {
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        for name in names {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        Self {
            root_pem: pem(&root.certificate),
            root,
            names: all,
            clock,
            current: Mutex::default(),
        }
    }

    /// The root's certificate in PEM.
    pub(super) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// What a connection that begins now is served with.
    pub(super) fn current(&self) -> Result<Arc<ServerConfig>> {
        let now = (self.clock.now_ms() / 1000).unsigned_abs();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &*current
            && now < current.renew_at
        {
            return Ok(Arc::clone(&current.config));
        }
        let config = self
            .leaf(now)
            .map_err(|error| Error::codec("the media host's certificate", error))?;
        let config = Arc::new(config);
        *current = Some(Current {
            renew_at: now + LEAF_LIFE_SECS - LEAF_RENEWED_SECS,
            config: Arc::clone(&config),
        });
        Ok(config)
    }

    fn leaf(&self, now: u64) -> anyhow::Result<ServerConfig> {
        let until = (now + LEAF_LIFE_SECS).min(self.root.until);
        let root_key = KeyPair::try_from(self.root.key.as_slice())?;
        let issuer = Issuer::new(root_params(0, self.root.until)?, root_key);
        let from = now.saturating_sub(VALID_BEFORE_SECS);
        let mut params = params("Sandbox media host", self.names.clone(), (from, until))?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &issuer)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone(), self.root.certificate.clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// A certificate in PEM (RFC 7468).
fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime, pem::PemObject as _};

    use super::*;
    use crate::store::testing::Bench;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now_ms(&self) -> i64 {
            self.0.load(Ordering::Relaxed) * 1000
        }
    }

    /// Whether a client that knows `root` alone accepts the leaf as `name` at `now`.
    fn accepted(root: &str, config: &ServerConfig, name: &str, now: u64) -> bool {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
            .unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let hello = chain(config);
        verifier
            .verify_server_cert(
                &hello[0],
                &hello[1..],
                &ServerName::try_from(name.to_owned()).unwrap(),
                &[],
                UnixTime::since_unix_epoch(Duration::from_secs(now)),
            )
            .is_ok()
    }

    /// The chain that a handshake shows.
    fn chain(config: &ServerConfig) -> Vec<CertificateDer<'static>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = rustls::ServerConnection::new(Arc::new(config.clone())).unwrap();
        while client.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                client.read_tls(&mut wire).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        client
            .peer_certificates()
            .unwrap()
            .iter()
            .map(|one| one.clone().into_owned())
            .collect()
    }

    /// Looks at the chain without judging it: that is the test's part.
    #[derive(Debug)]
    struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

    impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn a_leaf_is_good_for_its_names_under_its_root_alone() {
        let clock = Arc::new(Hand(AtomicI64::new(NOW.cast_signed())));
        let names = || ["media.test".to_owned()].into_iter();
        let ours = Certificates::new(make_root(NOW).unwrap(), names(), clock.clone());
        let other = Certificates::new(make_root(NOW).unwrap(), names(), clock);
        let config = ours.current().unwrap();
        for name in ["localhost", "127.0.0.1", "media.test"] {
            assert!(accepted(ours.root_pem(), &config, name, NOW), "{name}");
        }
        assert!(!accepted(ours.root_pem(), &config, "elsewhere.test", NOW));
        assert!(!accepted(other.root_pem(), &config, "localhost", NOW));
    }

    #[test]
    fn a_leaf_is_replaced_before_it_ends() {
        let clock = Arc::new(Hand(AtomicI64::new(NOW.cast_signed())));
        let ours = Certificates::new(make_root(NOW).unwrap(), std::iter::empty(), clock.clone());
        let first = ours.current().unwrap();
        assert!(Arc::ptr_eq(&first, &ours.current().unwrap()));
        let later = NOW + LEAF_LIFE_SECS - LEAF_RENEWED_SECS;
        clock.0.store(later.cast_signed(), Ordering::Relaxed);
        let second = ours.current().unwrap();
        let after = NOW + LEAF_LIFE_SECS + DAY_SECS;
        assert!(!accepted(ours.root_pem(), &first, "localhost", after));
        assert!(accepted(ours.root_pem(), &second, "localhost", after));
    }

    #[test]
    fn the_root_is_made_once() {
        let mut bench = Bench::new();
        let first = bench.run(|unit| load_or_make(unit));
        let second = bench.run(|unit| load_or_make(unit));
        assert_eq!(first.certificate, second.certificate);
    }
}
