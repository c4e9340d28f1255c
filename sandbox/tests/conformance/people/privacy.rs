//! Privacy settings, kept and honoured.

use wacore::iq::privacy::{
    DisallowedListAction, DisallowedListUpdate, DisallowedListUserEntry, PrivacyCategory, PrivacyValue,
};
use wacore::store::traits::ProtocolStore as _;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;
use whatsapp_rust::features::{GroupCreateOptions, GroupParticipantOptions};

use super::presence::{comes, named, stands};
use super::{Pair, does, good, lid, until};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_is_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let (client, own) = TestClient::paired(&sandbox.ws_url(), Admin(sandbox.addr()), None).await;
    let wa = client.client();
    let defaults = good("the settings", wa.fetch_privacy_settings()).await;
    assert_eq!(
        defaults.get_value(&PrivacyCategory::Last),
        Some(&PrivacyValue::All)
    );
    assert_eq!(
        defaults.get_value(&PrivacyCategory::DefenseMode),
        Some(&PrivacyValue::Off)
    );
    let changes = [
        (PrivacyCategory::Last, PrivacyValue::Contacts),
        (PrivacyCategory::Online, PrivacyValue::MatchLastSeen),
        (PrivacyCategory::Profile, PrivacyValue::None),
        (PrivacyCategory::Status, PrivacyValue::Contacts),
        (PrivacyCategory::GroupAdd, PrivacyValue::None),
        (PrivacyCategory::ReadReceipts, PrivacyValue::None),
        (PrivacyCategory::CallAdd, PrivacyValue::Known),
        (PrivacyCategory::Messages, PrivacyValue::Contacts),
        (PrivacyCategory::DefenseMode, PrivacyValue::OnStandard),
    ];
    for (category, value) in &changes {
        good(
            "the change",
            wa.set_privacy_setting(category.clone(), value.clone()),
        )
        .await;
    }
    let other = PrivacyCategory::Other("shoe size".into());
    assert!(wa.set_privacy_setting(other, PrivacyValue::All).await.is_err());
    let backend = client.stop().await;
    sandbox.shutdown().await;

    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    let kept = good("the settings", client.client().fetch_privacy_settings()).await;
    for (category, value) in &changes {
        assert_eq!(kept.get_value(category), Some(value), "{category:?}");
    }
    let path = format!("/admin/phones/{own}/privacy");
    let shown = admin.ok("GET", &path, "").await;
    assert_eq!(
        (&shown["online"], &shown["stickers"]),
        (&"match_last_seen".into(), &"contacts".into())
    );
    for body in [
        r#"{"last": "some"}"#,
        r#"{"shoe size": "all"}"#,
        r#"{"last": {"but": []}}"#,
    ] {
        assert_eq!(admin.call("POST", &path, body).await.0, 400, "{body}");
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_tell_what_they_read_is_not_told_either() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let Pair { alice, bob, a, b } = &pair;
    alice.send(b, "3EB0000000F00001", "one").await;
    bob.text("one").await;
    admin.inbox(b, 1).await;
    does(admin, a, "privacy", r#"{"readreceipts": "none"}"#).await;
    does(admin, b, "read", r#"{"all": true}"#).await;
    // With receipts on again the next one comes, and the former did not.
    does(admin, a, "privacy", r#"{"readreceipts": "all"}"#).await;
    alice.send(b, "3EB0000000F00002", "two").await;
    let (id, chat) = bob.text("two").await;
    good("bob reads", bob.client().mark_as_read(&chat, None, &[&id])).await;
    alice.receipt("3EB0000000F00002", &ReceiptType::Read).await;
    // And bob's own switch holds for what his client says.
    does(admin, b, "privacy", r#"{"readreceipts": "none"}"#).await;
    alice.send(b, "3EB0000000F00003", "three").await;
    let (id, _) = bob.text("three").await;
    good("bob reads", bob.client().mark_as_read(&chat, None, &[&id])).await;
    bob.send(a, "3EB0000000F00004", "have read").await;
    alice.text("have read").await;
    for id in ["3EB0000000F00001", "3EB0000000F00003"] {
        let read = |event: &Event| {
            matches!(event, Event::Receipt(receipt)
                if receipt.r#type == ReceiptType::Read && receipt.message_ids.iter().any(|one| one == id))
        };
        assert_eq!(alice.count(read), 0, "{id}");
    }
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_see_what_strangers_do_not() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let Pair { alice, bob, a, b } = &pair;
    let jid = Jid::pn(a.as_str());
    named(alice, "Alice").await;
    comes(alice).await;
    for category in [PrivacyCategory::Last, PrivacyCategory::Status] {
        let change = alice.client();
        good(
            "the change",
            change.set_privacy_setting(category, PrivacyValue::Contacts),
        )
        .await;
    }
    let online = alice.client();
    good(
        "the change",
        online.set_privacy_setting(PrivacyCategory::Online, PrivacyValue::MatchLastSeen),
    )
    .await;
    let wa = bob.client();
    let about = || async {
        let info = good(
            "the details",
            wa.contacts().get_user_info(std::slice::from_ref(&jid)),
        )
        .await;
        info[&jid].status.clone().unwrap_or_default()
    };
    // To be written to makes nobody a contact.
    bob.send(a, "3EB0000000F10001", "let me in").await;
    alice.text("let me in").await;
    good("bob watches", wa.presence().subscribe(jid.clone())).await;
    stands(bob, &jid, (false, false)).await;
    assert_eq!(about().await, "");
    // To write does.
    alice.send(b, "3EB0000000F10002", "come in").await;
    bob.text("come in").await;
    good("bob asks again", wa.presence().subscribe(jid.clone())).await;
    stands(bob, &jid, (true, false)).await;
    assert_ne!(about().await, "");
    // All contacts but bob.
    does(
        admin,
        a,
        "privacy",
        &format!(r#"{{"last": {{"except": ["{b}"]}}, "status": "none"}}"#),
    )
    .await;
    stands(bob, &jid, (false, false)).await;
    assert_eq!(about().await, "");
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lets_nobody_is_not_put_into_a_group() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let other = admin.phone().await;
    let b = Jid::pn(pair.b.as_str());
    does(admin, &pair.b, "privacy", r#"{"groupadd": "none"}"#).await;
    let wa = pair.alice.client();
    let first = GroupParticipantOptions::new(Jid::pn(other.as_str()));
    let options = GroupCreateOptions::new("Crew").with_participants(vec![first]);
    let group = good("the group", wa.groups().create_group(options))
        .await
        .metadata
        .id;
    let adding = async || {
        let results = good(
            "the answer",
            wa.groups()
                .add_participants(group.clone(), std::slice::from_ref(&b)),
        )
        .await;
        results[0].error.clone()
    };
    assert_eq!(adding().await.as_deref(), Some("403"));
    does(admin, &pair.b, "privacy", r#"{"groupadd": "all"}"#).await;
    assert_eq!(adding().await, None);
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_written_to_gets_a_token() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let Pair { alice, bob, a, b } = &pair;
    let issuer = lid(admin, a).await;
    alice.send(b, "3EB0000000F20001", "trust me").await;
    bob.text("trust me").await;
    let held = || async {
        let token = bob
            .backend
            .get_tc_token(&issuer.user)
            .await
            .expect("the store answers");
        token.map(|token| token.token)
    };
    let token = until("the token", held, Option::is_some).await;
    assert!(!token.expect("a token").is_empty());
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_save_somebody_makes_them_a_contact() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let jid = Jid::pn(other.as_str());
    does(admin, &other, "privacy", r#"{"status": "contacts"}"#).await;
    let wa = client.client();
    let about = || async {
        let info = good(
            "the details",
            wa.contacts().get_user_info(std::slice::from_ref(&jid)),
        )
        .await;
        info[&jid].status.clone().unwrap_or_default()
    };
    assert_eq!(about().await, "");
    let saved = format!(r#"{{"action": "contact", "phone": "{own}", "fullName": "A Friend"}}"#);
    does(admin, &other, "app-state", &saved).await;
    assert_ne!(about().await, "");
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_exceptions_is_changed_by_who_knows_it() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let update = async |dhash: String, action| {
        let user = DisallowedListUserEntry {
            action,
            jid: lid(admin, &other).await,
            pn_jid: Some(Jid::pn(other.as_str())),
        };
        DisallowedListUpdate {
            dhash,
            users: vec![user],
        }
    };
    let wa = client.client();
    let add = update("none".into(), DisallowedListAction::Add).await;
    let answer = good(
        "the change",
        wa.set_privacy_disallowed_list(PrivacyCategory::GroupAdd, add.clone()),
    )
    .await;
    let path = format!("/admin/phones/{own}/privacy");
    let shown = admin.ok("GET", &path, "").await;
    assert_eq!(shown["groupadd"]["except"][0], other.as_str());
    // The same again is a change of a list that is no more.
    let stale = wa
        .set_privacy_disallowed_list(PrivacyCategory::GroupAdd, add)
        .await
        .expect_err("the list has changed");
    assert!(format!("{stale:?}").contains("409"), "{stale:?}");
    let dhash = answer.dhash.expect("the list's new name");
    let remove = update(dhash, DisallowedListAction::Remove).await;
    good(
        "the change",
        wa.set_privacy_disallowed_list(PrivacyCategory::GroupAdd, remove),
    )
    .await;
    let shown = admin.ok("GET", &path, "").await;
    assert_eq!(shown["groupadd"]["except"].as_array().map(Vec::len), Some(0));
    client.stop().await;
    sandbox.shutdown().await;
}
