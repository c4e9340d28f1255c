//! About texts, names and default timers.

use wacore::types::events::Event;
use wacore_binary::Jid;

use super::{Pair, does, good, until};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_about_text_reaches_those_who_know_the_person() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    pair.acquaint().await;
    let (alice, bob) = (pair.alice.client(), &pair.bob);
    let told = |text: &'static str| {
        bob.wait(text, move |event| match event {
            Event::UserAboutUpdate(update) if update.status == text => Some(update.jid.clone()),
            _ => None,
        })
    };
    good("the change", alice.profile().set_status_text("Gone fishing")).await;
    assert_eq!(told("Gone fishing").await, Jid::pn(pair.a.as_str()));
    let jid = Jid::pn(pair.a.as_str());
    let wa = bob.client();
    let info = good(
        "the details",
        wa.contacts().get_user_info(std::slice::from_ref(&jid)),
    )
    .await;
    assert_eq!(info[&jid].status.as_deref(), Some("Gone fishing"));
    // The person's phone is another place to change it.
    does(admin, &pair.a, "about", r#"{"text": "Back ✔"}"#).await;
    told("Back ✔").await;
    let long = "a".repeat(140);
    let refused = alice.profile().set_status_text(&long).await;
    assert!(refused.is_err(), "140 characters are too many");
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_name_goes_with_the_next_message_and_to_the_other_devices() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&pair.a)).await;
    let name_of = |text: &'static str| {
        pair.bob.wait(text, move |event| match event {
            Event::Messages(batch) => batch
                .messages
                .iter()
                .find(|one| one.message.conversation.as_deref() == Some(text))
                .map(|one| one.info.push_name.clone()),
            _ => None,
        })
    };
    good(
        "the name",
        pair.alice.client().profile().set_push_name("Alice L."),
    )
    .await;
    let hears = |name: &'static str| {
        second.wait(name, move |event| match event {
            Event::SelfPushNameUpdated(update) => (update.new_name == name).then_some(()),
            _ => None,
        })
    };
    hears("Alice L.").await;
    pair.alice.send(&pair.b, "3EB0000000B00001", "who am I").await;
    assert_eq!(name_of("who am I").await, "Alice L.");
    does(admin, &pair.a, "name", r#"{"name": "Alice"}"#).await;
    hears("Alice").await;
    let body = format!(r#"{{"to": "{}", "kind": "text", "text": "and now"}}"#, pair.b);
    does(admin, &pair.a, "send", &body).await;
    assert_eq!(name_of("and now").await, "Alice");
    second.stop().await;
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_timer_is_told_and_kept() {
    let sandbox = start(None).await;
    let pair = Pair::new(&sandbox).await;
    pair.acquaint().await;
    let alice = pair.alice.client();
    good("the timer", alice.set_default_disappearing_mode(604_800)).await;
    let from = pair
        .bob
        .wait("timer", |event| match event {
            Event::DisappearingModeChanged(change) if change.duration == 604_800 => Some(change.from.clone()),
            _ => None,
        })
        .await;
    assert_eq!(from, Jid::pn(pair.a.as_str()));
    assert!(alice.set_default_disappearing_mode(61).await.is_err());
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_say_outlives_the_network() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let (client, own) = TestClient::paired(&sandbox.ws_url(), Admin(sandbox.addr()), None).await;
    good("the change", client.client().profile().set_status_text("kept")).await;
    let backend = client.stop().await;
    sandbox.shutdown().await;
    let sandbox = start(Some(directory.path())).await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    let jid = Jid::pn(own.as_str());
    let status = || async {
        let wa = client.client();
        let info = good(
            "the details",
            wa.contacts().get_user_info(std::slice::from_ref(&jid)),
        )
        .await;
        info[&jid].status.clone()
    };
    until("the text", status, |text| text.as_deref() == Some("kept")).await;
    client.stop().await;
    sandbox.shutdown().await;
}
