//! What programs in Rust let people do. The admin API is the same functions over HTTP, and has its tests elsewhere in
//! this suite.

mod groups;
mod network;
mod people;
mod stanzas;

use sandbox::script::NewPhone;
use sandbox::{Phone, Sandbox};

use crate::client::TestClient;
use crate::net::start;

/// A network with a client, that client's phone, and another phone.
struct Scene {
    sandbox: Sandbox,
    client: TestClient,
    own: Phone,
    ada: Phone,
}

impl Scene {
    async fn new() -> Self {
        let sandbox = start(None).await;
        let client = TestClient::start(
            &sandbox.ws_url(),
            std::sync::Arc::new(wacore::store::in_memory::InMemoryBackend::new()),
        )
        .await;
        let linked = sandbox
            .scan(&client.qr().await, None)
            .await
            .expect("it is linked");
        client.connected().await;
        let ada = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        Self {
            own: sandbox.phone(linked.phone),
            sandbox,
            client,
            ada,
        }
    }

    async fn end(self) {
        self.client.stop().await;
        self.sandbox.shutdown().await;
    }
}
