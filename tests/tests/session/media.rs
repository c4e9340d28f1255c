//! The sandbox's media host, as the daemon's HTTP client sees it.

use std::net::{Ipv4Addr, SocketAddr};

use daemon::whatsapp::Http;
use sandbox::Sandbox;
use wacore::net::{HttpClient as _, HttpRequest};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_trusts_the_media_host_by_the_sandboxs_root() {
    let config = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let sandbox = Sandbox::start(config).await.expect("a sandbox");
    let request = HttpRequest::get(format!("{}/nothing", sandbox.media_url()));
    let trusting = Http::new(Some(sandbox.ca_pem())).expect("a client");
    let answer = trusting.execute(request.clone()).await.expect("trusted");
    assert_eq!(answer.status_code, 404);
    let stranger = Http::new(None).expect("a client");
    assert!(
        stranger.execute(request).await.is_err(),
        "nobody else vouches for it"
    );
    sandbox.shutdown().await;
}
