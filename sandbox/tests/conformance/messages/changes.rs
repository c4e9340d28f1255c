//! Edits, revokes and reactions, from both sides.

use sandbox::script::{Body, Edit, Pin, Reaction, Revoke, SendRequest};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;
use whatsapp_rust::RevokeType;

use super::{arrival, entry, entry_where, send};
use crate::client::TestClient;
use crate::net::{Admin, start};

fn text(text: &str) -> wa::Message {
    wa::Message {
        conversation: Some(text.into()),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_changes_changes_in_the_inbox() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    let jid = Jid::pn(other.number());
    let id = "3EB0000000020001";
    client.send(other.number(), id, "first").await;
    entry(&other, id).await;

    client
        .client()
        .edit_message(jid.clone(), id, text("second"))
        .await
        .expect("an edit");
    // The sender's own phone sees it as well.
    for phone in [&other, &sandbox.phone(&own)] {
        let edited = entry_where(phone, id, |entry| entry.content.edited).await;
        assert_eq!(
            (edited.content.kind.as_str(), edited.content.text.as_deref()),
            ("text", Some("second"))
        );
        assert_eq!((edited.copies, edited.content.quoted), (1, None));
    }

    let key = wa::MessageKey {
        remote_jid: Some(jid.to_string()),
        from_me: Some(true),
        id: Some(id.into()),
        ..Default::default()
    };
    for emoji in ["👍", "❤"] {
        client
            .client()
            .send_reaction(jid.clone(), key.clone(), emoji)
            .await
            .expect("a reaction");
        let reacted = |entry: &sandbox::script::Entry| {
            entry.content.kind == "reaction" && entry.content.text.as_deref() == Some(emoji)
        };
        let reaction = other
            .wait_for(reacted, crate::net::DEADLINE)
            .await
            .expect("it shows");
        assert_eq!(reaction.content.quoted.as_deref(), Some(id));
        let standing = |entry: &sandbox::script::Entry| {
            let reactions = &entry.content.reactions;
            reactions.len() == 1 && reactions[0].text == emoji && reactions[0].from == own
        };
        entry_where(&other, id, standing).await;
    }

    client
        .client()
        .revoke_message(jid, id, RevokeType::Sender)
        .await
        .expect("a revoke");
    for phone in [&other, &sandbox.phone(&own)] {
        let revoked = entry_where(phone, id, |entry| entry.content.kind == "revoked").await;
        assert_eq!((revoked.content.text, revoked.content.reactions.len()), (None, 0));
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_changes_reaches_the_client() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    let sent = other
        .send(SendRequest::text(&own, "first"))
        .await
        .expect("it is sent");
    let target = sent.id;
    client.message(&target).await;

    let changed = |message: &wa::Message, kind: Type| {
        let protocol = message.protocol_message.as_option();
        protocol.is_some_and(|protocol| {
            protocol.r#type == Some(kind)
                && protocol.key.as_option().and_then(|key| key.id.as_deref()) == Some(target.as_str())
        })
    };
    let edit = |text: &str, sealed| {
        Body::Edit(Edit {
            message_id: target.clone(),
            text: text.into(),
            sealed,
        })
    };
    let new_text = |message: &wa::Message| {
        let protocol = message.protocol_message.as_option()?;
        protocol.edited_message.as_option()?.conversation.clone()
    };
    for (words, sealed) in [("second", false), ("third", true)] {
        send(&other, &own, edit(words, sealed)).await;
        let (_, message) = arrival(&client, words, |message| {
            new_text(message).as_deref() == Some(words)
        })
        .await;
        assert!(changed(&message, Type::MESSAGE_EDIT), "{words}");
        // The client's own phone decrypts it too.
        let own_phone = sandbox.phone(&own);
        let said = |entry: &sandbox::script::Entry| entry.content.text.as_deref() == Some(words);
        assert!(entry_where(&own_phone, &target, said).await.content.edited);
    }

    let reaction = Reaction {
        message_id: target.clone(),
        emoji: "🎉".into(),
    };
    let id = send(&other, &own, Body::Reaction(reaction)).await;
    let (message, _) = client.message(&id).await;
    assert_eq!(message.reaction_message.text.as_deref(), Some("🎉"));
    assert_eq!(message.reaction_message.key.id.as_deref(), Some(target.as_str()));

    let pin = Pin {
        message_id: target.clone(),
        ..Pin::default()
    };
    let id = send(&other, &own, Body::Pin(pin)).await;
    let (message, _) = client.message(&id).await;
    assert_eq!(
        message.pin_in_chat_message.key.id.as_deref(),
        Some(target.as_str())
    );

    let revoke = Revoke {
        message_id: target.clone(),
    };
    send(&other, &own, Body::Revoke(revoke)).await;
    arrival(&client, "a revoke", |message| changed(message, Type::REVOKE)).await;
    entry_where(&sandbox.phone(&own), &target, |entry| {
        entry.content.kind == "revoked"
    })
    .await;
    client.stop().await;
    sandbox.shutdown().await;
}
