//! The library's probe of the buffer for incoming messages.

use testbed::relay::{On, Relay};
use wacore::store::traits::{ProtocolStore as _, SignalStore as _};

use crate::support::{World, session_record};

const CHAT: &str = "0@s.whatsapp.net";
const PROBE: &str = "__wa_durability_probe_1_0__";

#[tokio::test]
async fn a_probe_is_stored_read_and_deleted_without_the_table() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let calls = relay.watch(On::any());
    let store = world.store_behind(&relay, 1);
    store
        .store_pending_inbound(CHAT, CHAT, PROBE, b"probe")
        .await
        .unwrap();
    let read = store.get_pending_inbound(CHAT, CHAT, PROBE).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"probe"[..]));
    store.delete_pending_inbound(CHAT, CHAT, PROBE).await.unwrap();
    assert_eq!(calls.hits(), 0);
    let read = store.get_pending_inbound(CHAT, CHAT, PROBE).await.unwrap();
    assert_eq!(read, None, "it is gone");
    assert!(!store.inbound_lost().is_cancelled());
}

/// Senders choose the ids of their messages.
#[tokio::test]
async fn a_message_that_has_the_id_of_a_probe_is_buffered_as_any_other() {
    let world = World::new().await;
    for (chat, sender, id) in [("c", "c", PROBE), (CHAT, "s", PROBE), (CHAT, CHAT, "3AFF01")] {
        let store = world.store(1);
        store
            .store_pending_inbound(chat, sender, id, b"text")
            .await
            .unwrap();
        let next = world.store(1);
        let read = next.get_pending_inbound(chat, sender, id).await.unwrap();
        assert_eq!(read.as_deref(), Some(&b"text"[..]), "{chat} {sender} {id}");
        next.delete_pending_inbound(chat, sender, id).await.unwrap();
        let read = world
            .store(1)
            .get_pending_inbound(chat, sender, id)
            .await
            .unwrap();
        assert_eq!(read, None, "{chat} {sender} {id}");
    }
}

#[tokio::test]
async fn a_probe_finds_out_that_the_store_takes_no_writes() {
    let world = World::new().await;
    let shut = world.store(1);
    shut.store_pending_inbound(CHAT, CHAT, PROBE, b"probe")
        .await
        .unwrap();
    shut.shut();
    assert!(shut.delete_pending_inbound(CHAT, CHAT, PROBE).await.is_err());
    let again = shut.store_pending_inbound(CHAT, CHAT, PROBE, b"probe").await;
    assert!(again.is_err());

    let (late, record) = (world.store(1), session_record(1, 0));
    world.store(2).put_session("1@lid", &record).await.unwrap();
    assert!(late.put_session("1@lid", &record).await.is_err());
    let fenced = late.store_pending_inbound(CHAT, CHAT, PROBE, b"probe").await;
    assert!(fenced.is_err());
}
