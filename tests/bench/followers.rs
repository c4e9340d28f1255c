//! Followers of the realtime feed: sockets that do nothing but listen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use testbed::socket_io::{Came, Client};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Sockets of an event that came in. They end with this.
pub struct Followers {
    heard: Arc<Mutex<Vec<(String, Instant)>>>,
    lost: Arc<AtomicUsize>,
    _listening: JoinSet<()>,
}

impl Followers {
    /// Joins the feed at this address, once with each token.
    pub async fn join<'a>(address: &str, tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let (heard, lost) = (Arc::default(), Arc::default());
        let mut listening = JoinSet::new();
        for token in tokens {
            let mut client = Client::join(address, token).await.expect("let in");
            client.subscribe(json!({})).await;
            listening.spawn(listen(client, Arc::clone(&heard), Arc::clone(&lost)));
        }
        Self {
            heard,
            lost,
            _listening: listening,
        }
    }

    /// How many messages they have heard of, all together.
    pub fn count(&self) -> usize {
        self.heard.lock().expect("no holder panics").len()
    }

    /// Each event of a message that one of them has heard, and when. They begin anew.
    pub fn take(&self) -> Vec<(String, Instant)> {
        std::mem::take(&mut *self.heard.lock().expect("no holder panics"))
    }

    /// How many are not connected any more.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

async fn listen(mut client: Client, heard: Arc<Mutex<Vec<(String, Instant)>>>, lost: Arc<AtomicUsize>) {
    loop {
        match client.came().await {
            Came::Event(name, event) if name == "message:received" => {
                let now = Instant::now();
                let id = event["id"].as_str().expect("an id").to_owned();
                heard.lock().expect("no holder panics").push((id, now));
            }
            Came::Ended | Came::Closed => {
                lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            _ => {}
        }
    }
}
