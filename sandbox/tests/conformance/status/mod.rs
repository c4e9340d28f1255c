//! Statuses: what people show to those who know them.

mod clients;
mod phones;

use wacore::types::events::Event;
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp as wa;

use crate::client::TestClient;

/// Waits for a status that fits; answers its id, its author and itself.
async fn shown(
    client: &TestClient,
    what: &str,
    fits: impl Fn(&wa::Message) -> bool,
) -> (String, Jid, wa::Message) {
    client
        .wait(what, |event| match event {
            Event::Messages(batch) => batch.messages.iter().find_map(|one| {
                let source = &one.info.source;
                (source.chat.is_status_broadcast() && fits(&one.message)).then(|| {
                    (
                        one.info.id.clone(),
                        source.sender.clone(),
                        wa::Message::clone(&one.message),
                    )
                })
            }),
            _ => None,
        })
        .await
}

/// Waits for a status with this text; answers its id and author.
async fn text(client: &TestClient, text: &str) -> (String, Jid) {
    let (id, author, _) = shown(client, text, |message| written(message) == Some(text)).await;
    (id, author)
}

/// The texts of all statuses that a client got, in their order.
fn texts(client: &TestClient) -> Vec<String> {
    let in_batch = |event: &Event| match event {
        Event::Messages(batch) => {
            let statuses = batch
                .messages
                .iter()
                .filter(|one| one.info.source.chat.is_status_broadcast());
            let texts = statuses.filter_map(|one| written(&one.message).map(str::to_owned));
            Some(texts.collect::<Vec<_>>())
        }
        _ => None,
    };
    client.all(in_batch).concat()
}

fn written(message: &wa::Message) -> Option<&str> {
    message.extended_text_message.as_option()?.text.as_deref()
}
