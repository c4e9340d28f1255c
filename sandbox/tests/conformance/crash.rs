//! A killed network comes back as it was.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use wacore::download::MediaType;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::{SendOptions, UploadOptions};

use crate::client::TestClient;
use crate::media;
use crate::net::{Admin, DEADLINE, start};
use crate::web::Web;

/// A free port that is one after a kill, too: it is below those that systems give to connections. Each process looks for its
/// own elsewhere, and no two tests are given the same.
fn port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let begin = 10_000 + u16::try_from(std::process::id() % 20_000).expect("small");
    loop {
        let port = begin + GIVEN.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_768, "no port is free");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The `sandbox` binary, killed when the test is done with it.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    async fn start(data_dir: &Path, port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sandbox"))
            .args(["--port", &port.to_string(), "--media-port", "0", "--data-dir"])
            .arg(data_dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stdout = child.stdout.take().expect("its output");
        let line = tokio::task::spawn_blocking(move || BufReader::new(stdout).lines().next());
        let line = tokio::time::timeout(DEADLINE, line)
            .await
            .expect("it starts in time")
            .unwrap()
            .unwrap()
            .unwrap();
        let addr = line
            .split("//")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .and_then(|addr| addr.parse().ok());
        Self {
            child,
            addr: addr.expect("it says where it listens"),
        }
    }

    fn url(&self) -> String {
        format!("ws://{}/ws/chat", self.addr)
    }

    /// `SIGKILL`.
    fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_clients_resume_and_phones_decrypt_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = port();
    let mut network = Process::start(directory.path(), port).await;
    let admin = Admin(network.addr);
    let (alice, a) = TestClient::paired(&network.url(), admin, None).await;
    let (bob, b) = TestClient::paired(&network.url(), admin, None).await;
    let phone = admin.phone().await;
    alice.send(&phone, "3EB0000000000F01", "before").await;
    alice.receipt("3EB0000000000F01", &ReceiptType::Delivered).await;
    alice.send(&b, "3EB0000000000F02", "hi bob").await;
    bob.text("hi bob").await;
    // Bob is away when the network dies; what was acked for him must not die with it.
    let bob = bob.stop().await;
    alice.send(&b, "3EB0000000000F03", "acked for bob").await;
    assert_eq!(alice.acked("3EB0000000000F03").await, None);
    network.kill();

    // Alice stays as she is and finds the network again by herself.
    let network = Process::start(directory.path(), port).await;
    let admin = Admin(network.addr);
    let connected = |phones: &serde_json::Value| phones[0]["companions"][0]["connected"] == true;
    admin.until("/admin/phones", connected).await;
    assert_eq!(admin.inbox(&phone, 1).await[0]["text"], "before");
    let bob = TestClient::start(&network.url(), bob).await;
    bob.text("acked for bob").await;
    bob.send(&a, "3EB0000000000F04", "still here").await;
    alice.text("still here").await;
    alice
        .client()
        .wait_for_connected(DEADLINE)
        .await
        .expect("alice is ready");
    alice.send(&phone, "3EB0000000000F05", "after").await;
    assert_eq!(admin.inbox(&phone, 2).await[1]["text"], "after");
    let body = format!(r#"{{"to": "{a}", "kind": "text", "text": "from the phone"}}"#);
    admin
        .ok("POST", &format!("/admin/phones/{phone}/send"), &body)
        .await;
    alice.text("from the phone").await;
    let handshakes = admin.ok("GET", "/admin/stats", "").await["handshakes"].clone();
    assert_eq!(
        (handshakes["xx"].as_u64(), handshakes["fallbacks"].as_u64()),
        (Some(0), Some(0)),
        "all resumed by IK"
    );
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_many_texts_loses_none_that_was_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut network = Process::start(directory.path(), 0).await;
    let admin = Admin(network.addr);
    let (client, _) = TestClient::paired(&network.url(), admin, None).await;
    let phone = admin.phone().await;
    let ids: Vec<String> = (0..2_000).map(|n| format!("3EB000000002{n:04}")).collect();
    let sending = async {
        for id in &ids {
            let options = SendOptions::default().with_message_id(id);
            let message = wa::Message {
                conversation: Some(id.clone()),
                ..Default::default()
            };
            let (client, to) = (client.client(), Jid::pn(&phone));
            // It fails once the network is gone.
            let _ = client.send_message_with_options(&to, message, options).await;
        }
        std::future::pending::<()>().await;
    };
    let killing = async {
        client.acked(&ids[100]).await;
        network.kill();
    };
    tokio::select! {
        () = sending => {}
        () = killing => {}
    }
    let log = client.log();
    client.stop().await;
    let acked = log.acked();
    assert!(acked.len() > 100);

    let network = Process::start(directory.path(), 0).await;
    let admin = Admin(network.addr);
    let path = format!("/admin/phones/{phone}/inbox");
    let shown = |inbox: &serde_json::Value| -> Vec<String> {
        let entries = inbox.as_array().expect("an inbox").iter();
        entries
            .map(|entry| entry["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    let has_all = |inbox: &serde_json::Value| {
        let shown: HashSet<String> = shown(inbox).into_iter().collect();
        acked.iter().all(|id| shown.contains(id))
    };
    let shown = shown(&admin.until(&path, has_all).await);
    // The others were lost or stored, but none is out of order or there twice.
    assert!(shown.is_sorted_by(|one, next| one < next), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_media_are_there_and_phones_fetch_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = port();
    let mut network = Process::start(directory.path(), port).await;
    let admin = Admin(network.addr);
    let root = admin.ok("GET", "/admin/ca.pem", "").await;
    let root = root.as_str().expect("PEM").to_owned();
    let web = Web::trusting(&root);
    let (client, _) = TestClient::paired_with(&network.url(), admin, None, web.clone()).await;
    let phone = admin.phone().await;
    let plain = media::bytes(300_000, 1);
    let uploaded = client
        .client()
        .upload(plain.clone(), MediaType::Image, UploadOptions::new())
        .await
        .expect("an upload");
    client
        .send_message(
            &phone,
            "3EB0000000000F11",
            media::carrying(MediaType::Image, &uploaded),
        )
        .await;
    assert_eq!(client.acked("3EB0000000000F11").await, None);
    // The network dies at whatever point of the phone's fetching it has got to.
    network.kill();

    let network = Process::start(directory.path(), port).await;
    let admin = Admin(network.addr);
    assert_eq!(admin.ok("GET", "/admin/ca.pem", "").await, root.as_str());
    let entry = media::fetched(admin, &phone, "3EB0000000000F11").await;
    assert_eq!(entry["mediaSha256"], media::sha256(&plain).as_str());
    client
        .client()
        .wait_for_connected(DEADLINE)
        .await
        .expect("the client is back");
    // The host has another port now, and the client asks where it is.
    client
        .client()
        .refresh_media_conn(true)
        .await
        .expect("an authorisation");
    let message = media::carrying(MediaType::Image, &uploaded);
    let downloaded = media::download(&client, &message).await;
    assert_eq!(downloaded.expect("a download"), plain);
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_keeps_everything_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let (client, own) = TestClient::paired(&sandbox.ws_url(), Admin(sandbox.addr()), None).await;
    let backend = client.stop().await;
    let root = Admin(sandbox.addr()).ok("GET", "/admin/root-pub", "").await;
    sandbox.shutdown().await;

    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    assert_eq!(admin.ok("GET", "/admin/root-pub", "").await, root);
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    assert_eq!(
        admin.ok("GET", "/admin/phones", "").await[0]["phone"],
        own.as_str()
    );
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let sandbox = start(None).await;
    let second = sandbox::Sandbox::start(sandbox::Config::new(sandbox.addr())).await;
    let error = second.expect_err("the port is taken").to_string();
    assert!(error.contains(&sandbox.addr().port().to_string()), "{error}");
    sandbox.shutdown().await;
}
