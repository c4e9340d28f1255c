//! Messages of every kind, between clients, and between clients and phones, and what one can do about them later.

mod auto_reply;
mod changes;
mod groups;
mod kinds;
mod polls;
mod receipts;
mod refusals;
mod requests;
mod stale;

use sandbox::Phone;
use sandbox::script::{Body, Entry, SendRequest};
use waproto::whatsapp as wa;

use crate::client::TestClient;
use crate::net::DEADLINE;

/// Waits for the entry with this id.
async fn entry(phone: &Phone, id: &str) -> Entry {
    entry_where(phone, id, |_| true).await
}

/// Waits until the entry with this id is as wanted.
async fn entry_where(phone: &Phone, id: &str, wanted: impl Fn(&Entry) -> bool) -> Entry {
    let found = phone
        .wait_for(|entry| entry.id == id && wanted(entry), DEADLINE)
        .await;
    found.unwrap_or_else(|error| panic!("{id}: {error}"))
}

/// A phone sends; answers the id.
async fn send(phone: &Phone, to: &str, body: Body) -> String {
    let sent = phone.send(SendRequest::new(to, body)).await;
    sent.expect("the phone sends").id
}

/// The message without what clients and phones add to every one of them.
fn bare(mut message: wa::Message) -> wa::Message {
    message.message_context_info = buffa::MessageField::none();
    message
}

/// Waits for a message of a client that fits; answers its id and itself.
async fn arrival(
    client: &TestClient,
    what: &str,
    fits: impl Fn(&wa::Message) -> bool,
) -> (String, wa::Message) {
    use wacore::types::events::Event;
    client
        .wait(what, |event| match event {
            Event::Messages(batch) => batch.messages.iter().find_map(|one| {
                fits(&one.message).then(|| (one.info.id.clone(), wa::Message::clone(&one.message)))
            }),
            _ => None,
        })
        .await
}
