//! Who is writing.

use std::time::Duration;

use wacore::types::events::Event;
use wacore::types::presence::{ChatPresence, ChatPresenceMedia};
use wacore_binary::Jid;
use whatsapp_rust::features::{ChatStateType, GroupCreateOptions, GroupParticipantOptions};

use super::{Pair, does, good, lid};
use crate::client::TestClient;
use crate::net::{Admin, start, start_with};

/// What a client saw of people writing: who, what, by which means.
fn seen(client: &TestClient) -> Vec<(Jid, ChatPresence, ChatPresenceMedia)> {
    client.all(|event| match event {
        Event::ChatPresence(update) => Some((update.source.chat.clone(), update.state, update.media)),
        _ => None,
    })
}

async fn saw(client: &TestClient, count: usize) -> (Jid, ChatPresence, ChatPresenceMedia) {
    let begun = std::time::Instant::now();
    loop {
        let mut seen = seen(client);
        if seen.len() >= count {
            return seen.swap_remove(count - 1);
        }
        assert!(begun.elapsed() < crate::net::DEADLINE, "{count} wanted: {seen:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_recording_and_pausing_are_seen() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let alice = pair.alice.client();
    let b = Jid::pn(pair.b.as_str());
    let a = Jid::pn(pair.a.as_str());
    good("she writes", alice.chatstate().send_composing(&b)).await;
    assert_eq!(
        saw(&pair.bob, 1).await,
        (a.clone(), ChatPresence::Composing, ChatPresenceMedia::Text)
    );
    good("she records", alice.chatstate().send_recording(&b)).await;
    assert_eq!(
        saw(&pair.bob, 2).await,
        (a.clone(), ChatPresence::Composing, ChatPresenceMedia::Audio)
    );
    // By LID she is seen as a LID.
    let bob_lid = lid(admin, &pair.b).await;
    good(
        "she pauses",
        alice.chatstate().send(&bob_lid, ChatStateType::Paused),
    )
    .await;
    let (chat, state, _) = saw(&pair.bob, 3).await;
    assert_eq!((chat, state), (lid(admin, &pair.a).await, ChatPresence::Paused));
    // Bob's phone shows it too.
    let path = format!("/admin/phones/{}/typing", pair.b);
    let last = admin.until(&path, |seen| seen[0]["state"] == "paused").await;
    assert_eq!(last[0]["chat"], pair.a.as_str());
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_group_all_but_the_writer_see_it() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let outsider = admin.phone().await;
    let wa = pair.alice.client();
    let members = vec![GroupParticipantOptions::new(Jid::pn(pair.b.as_str()))];
    let options = GroupCreateOptions::new("Crew").with_participants(members);
    let group = good("the group", wa.groups().create_group(options))
        .await
        .metadata
        .id;
    // Who is not in the group is not heard in it.
    does(admin, &outsider, "typing", &format!(r#"{{"to": "{group}"}}"#)).await;
    good("she records", wa.chatstate().send_recording(&group)).await;
    let (chat, state, media) = saw(&pair.bob, 1).await;
    assert_eq!(
        (chat, state, media),
        (group.clone(), ChatPresence::Composing, ChatPresenceMedia::Audio)
    );
    let writer = pair.bob.all(|event| match event {
        Event::ChatPresence(update) => Some(update.source.sender.clone()),
        _ => None,
    });
    assert_eq!(writer, [lid(admin, &pair.a).await]);
    let path = format!("/admin/phones/{}/typing", pair.b);
    let last = admin.until(&path, |seen| seen[0]["state"] == "recording").await;
    assert_eq!(
        (last[0]["chat"].as_str(), last[0]["from"].as_str()),
        (Some(group.to_string().as_str()), Some(pair.a.as_str()))
    );
    assert_eq!(seen(&pair.alice), []);
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phones_person_writes_and_pauses_by_themselves() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let body = format!(r#"{{"to": "{own}", "state": "recording", "ms": 30}}"#);
    does(admin, &other, "typing", &body).await;
    let jid = Jid::pn(other.as_str());
    assert_eq!(
        saw(&client, 1).await,
        (jid.clone(), ChatPresence::Composing, ChatPresenceMedia::Audio)
    );
    let (chat, state, _) = saw(&client, 2).await;
    assert_eq!((chat, state), (jid, ChatPresence::Paused));
    let path = format!("/admin/phones/{other}/typing");
    for (body, status) in [
        (r#"{"to": "155509999999"}"#.to_owned(), 404),
        (format!(r#"{{"to": "{own}", "state": "dancing"}}"#), 400),
        (format!(r#"{{"to": "{own}", "ms": 300001}}"#), 400),
    ] {
        assert_eq!(admin.call("POST", &path, &body).await.0, status, "{body}");
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_soon_back_sees_it_and_later_does_not() {
    // Long enough for a client to come back, and no time at all.
    for (ttl, expected) in [(Duration::from_mins(10), true), (Duration::ZERO, false)] {
        let sandbox = start_with(None, |config| config.chatstate_ttl = ttl).await;
        let admin = Admin(sandbox.addr());
        let Pair { alice, bob, a, b } = Pair::new(&sandbox).await;
        let backend = bob.stop().await;
        // What is sent into a connection that is ending is lost with it.
        let gone = |phones: &serde_json::Value| phones[1]["companions"][0]["connected"] == false;
        admin.until("/admin/phones", gone).await;
        let state = alice.client();
        good(
            "she writes",
            state.chatstate().send_composing(&Jid::pn(b.as_str())),
        )
        .await;
        alice.send(&b, "3EB0000000D00001", "written").await;
        assert_eq!(alice.acked("3EB0000000D00001").await, None);
        let bob = TestClient::start(&sandbox.ws_url(), backend).await;
        bob.text("written").await;
        if expected {
            assert_eq!(saw(&bob, 1).await.0, Jid::pn(a.as_str()));
        } else {
            // The message behind it has come.
            assert_eq!(seen(&bob), []);
        }
        alice.stop().await;
        bob.stop().await;
        sandbox.shutdown().await;
    }
}
