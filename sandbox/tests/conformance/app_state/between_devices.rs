//! What one companion writes, the other reads, and the phone verifies.

use serde_json::json;
use wacore::types::events::Event;
use wacore_binary::Jid;

use super::{act, agree, catch_up, path, pin, pinned, setting, state, until_version};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_companion_does_shows_on_the_other_and_on_the_phone() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (other, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let friend = admin.phone().await;
    let chat = Jid::pn(friend.as_str());

    let client = one.client();
    let actions = client.chat_actions();
    actions.pin_chat(&chat).await.expect("pinned");
    actions.mute_chat(&chat).await.expect("muted");
    actions.archive_chat(&chat, None).await.expect("archived");
    actions
        .mark_chat_as_read(&chat, true, None)
        .await
        .expect("marked");
    actions
        .star_message(&chat, None, "3EB000000000A001", false)
        .await
        .expect("starred");

    catch_up(&other).await;
    pinned(&other, &chat, true).await;
    let heard = |matches: fn(&Event) -> bool| other.wait("change", move |event| matches(event).then_some(()));
    heard(|event| matches!(event, Event::MuteUpdate(mute) if mute.action.muted == Some(true))).await;
    heard(|event| matches!(event, Event::ArchiveUpdate(archive) if archive.action.archived == Some(true)))
        .await;
    heard(|event| matches!(event, Event::MarkChatAsReadUpdate(read) if read.action.read == Some(true))).await;
    heard(|event| matches!(event, Event::StarUpdate(star) if star.message_id == "3EB000000000A001")).await;

    let jid = chat.to_string();
    let shown = admin
        .until(&path(&phone), |all| {
            setting(all, &["star", &jid, "3EB000000000A001", "0", "0"]).is_some()
        })
        .await;
    assert_eq!(
        setting(&shown, &["pin_v1", &jid]).map(|value| &value["pinAction"]),
        Some(&json!({"pinned": true}))
    );
    assert!(setting(&shown, &["mute", &jid]).is_some());
    assert!(setting(&shown, &["archive", &jid]).is_some());
    assert!(setting(&shown, &["markChatAsRead", &jid]).is_some());
    agree(&one, &other, "regular_low", 3).await;
    agree(&one, &other, "regular_high", 2).await;

    actions.unpin_chat(&chat).await.expect("unpinned");
    pinned(&other, &chat, false).await;
    let refused = admin.ok("GET", "/admin/stats", "").await["appStateRefused"].clone();
    assert_eq!(refused, 0);
    one.stop().await;
    other.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn companions_that_write_at_once_end_alike() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (other, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let chats: Vec<Jid> = (0..8).map(|n| Jid::pn(format!("1555010002{n:02}"))).collect();
    let write = async |client: &TestClient, chats: &[Jid]| {
        for chat in chats {
            client
                .client()
                .chat_actions()
                .pin_chat(chat)
                .await
                .expect("pinned");
        }
    };
    let (mine, yours) = chats.split_at(4);
    tokio::join!(write(&one, mine), write(&other, yours));
    catch_up(&one).await;
    catch_up(&other).await;
    agree(&one, &other, "regular_low", 8).await;
    assert_eq!(state(&one, "regular_low").await.0, 8, "each write is one version");
    for chat in &chats {
        pinned(&one, chat, true).await;
        pinned(&other, chat, true).await;
    }
    let all = |all: &serde_json::Value| {
        chats
            .iter()
            .all(|chat| setting(all, &["pin_v1", &chat.to_string()]).is_some())
    };
    admin.until(&path(&phone), all).await;
    one.stop().await;
    other.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_companion_that_was_away_and_one_that_is_new_get_all() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (away, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let away = away.stop().await;
    let chats: Vec<Jid> = (0..5).map(|n| Jid::pn(format!("1555010003{n:02}"))).collect();
    for chat in &chats {
        one.client().chat_actions().pin_chat(chat).await.expect("pinned");
    }
    one.client()
        .chat_actions()
        .unpin_chat(&chats[0])
        .await
        .expect("unpinned");
    catch_up(&one).await;

    let away = TestClient::start(&sandbox.ws_url(), away).await;
    pinned(&away, &chats[0], false).await;
    let (third, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    for chat in &chats[1..] {
        pinned(&away, chat, true).await;
        pinned(&third, chat, true).await;
    }
    agree(&one, &third, "regular_low", 6).await;
    agree(&one, &away, "regular_low", 6).await;
    // And goes on from there.
    third
        .client()
        .chat_actions()
        .pin_chat(&chats[0])
        .await
        .expect("pinned");
    let again = || one.count(|event| pin(event) == Some((chats[0].clone(), true)));
    let begun = std::time::Instant::now();
    while again() == 0 {
        assert!(
            begun.elapsed() < crate::net::DEADLINE,
            "the third's pin did not come"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for client in [one, away, third] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_of_the_network_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (client, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let chat = Jid::pn("155501000400");
    client
        .client()
        .chat_actions()
        .pin_chat(&chat)
        .await
        .expect("pinned");
    let jid = chat.to_string();
    let before = admin
        .until(&path(&phone), |all| setting(all, &["pin_v1", &jid]).is_some())
        .await;
    let backend = client.stop().await;
    sandbox.shutdown().await;

    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    assert_eq!(admin.ok("GET", &path(&phone), "").await, before);
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    act(
        admin,
        &phone,
        json!({"action": "pin", "chat": jid, "pinned": false}),
    )
    .await;
    pinned(&client, &chat, false).await;
    // It is stored after it was told.
    until_version(&client, "regular_low", 2).await;
    client.stop().await;
    sandbox.shutdown().await;
}
