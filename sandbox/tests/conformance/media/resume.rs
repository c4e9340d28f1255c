//! An upload that broke off goes on where it stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wacore::download::MediaType;
use whatsapp_rust::UploadOptions;

use super::{bytes, paired};
use crate::net::{DEADLINE, start};
use crate::web::Web;

/// What the first attempt sends, of a little more than 6 MiB.
const BEGUN: usize = 2 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_sends_only_what_is_missing() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let web = Web::of(&sandbox);
    let (client, _) = paired(&sandbox, &web).await;
    let plain = bytes(6 * 1024 * 1024, 7);
    let key = [9; 32];
    let sealed =
        wacore::upload::encrypt_media_with_key(&plain, MediaType::Video, Some(&key)).expect("encrypted");
    let token = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sealed.file_enc_sha256)
    };
    let auth = client
        .client()
        .refresh_media_conn(false)
        .await
        .expect("an authorisation")
        .auth;
    let path = format!("/mms/video/{token}?auth={auth}&token={token}");

    let connection = begin(&sandbox, &path, &sealed.data_to_upload).await;
    // The host takes it in its own time.
    let (begun, wanted) = (Instant::now(), BEGUN.to_string());
    loop {
        let url = format!("{}{path}&resume=1", sandbox.media_url());
        let answer = web.request(Method::POST, &url).send().await.expect("an answer");
        let progress: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        if progress["resume"] == wanted.as_str() {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "{progress}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(connection);

    let upload = async || {
        let options = UploadOptions::new().with_media_key(key);
        client
            .client()
            .upload(plain.clone(), MediaType::Video, options)
            .await
    };
    let uploaded = upload().await.expect("an upload");
    let sent: u64 = web.exchanges().iter().map(|exchange| exchange.sent).sum();
    assert_eq!(sent, (sealed.data_to_upload.len() - BEGUN) as u64);
    let last = web.exchanges().pop().expect("the upload");
    assert!(
        last.url.contains(&format!("&file_offset={BEGUN}")),
        "{}",
        last.url
    );

    // What is there is not sent again, and its whole is right.
    let again = upload().await.expect("an upload");
    assert_eq!(again.direct_path, uploaded.direct_path);
    assert_eq!(
        web.exchanges().iter().map(|exchange| exchange.sent).sum::<u64>(),
        sent
    );
    let served = web
        .request(Method::GET, &uploaded.url)
        .send()
        .await
        .expect("an answer");
    assert_eq!(served.bytes().await.expect("a body"), sealed.data_to_upload);
    client.stop().await;
    sandbox.shutdown().await;
}

/// Announces a whole body and sends the first part of it. The connection breaks when it is dropped.
async fn begin(sandbox: &sandbox::Sandbox, path: &str, body: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(sandbox.ca_pem().as_bytes()).expect("PEM"))
        .expect("a root");
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let authority = sandbox.media_url().trim_start_matches("https://").to_owned();
    let stream = TcpStream::connect(&authority).await.expect("a connection");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("TLS");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("the head");
    stream.write_all(&body[..BEGUN]).await.expect("a part");
    stream.flush().await.expect("on its way");
    stream
}
