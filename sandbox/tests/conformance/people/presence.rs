//! Who is there.

use wacore::types::events::Event;
use wacore_binary::Jid;

use super::{Pair, does, good, until};
use crate::client::TestClient;
use crate::net::{Admin, start};

/// How often a client heard that `who` is there or not, and whether the last word said when they were.
fn heard(client: &TestClient, who: &Jid) -> Vec<(bool, bool)> {
    client.all(|event| match event {
        Event::Presence(update) if update.from == *who => {
            Some((!update.unavailable, update.last_seen.is_some()))
        }
        _ => None,
    })
}

/// Waits until the client's `count`th word of `who` has come.
pub async fn word(client: &TestClient, who: &Jid, count: usize) -> (bool, bool) {
    let begun = std::time::Instant::now();
    loop {
        let heard = heard(client, who);
        if heard.len() >= count {
            return heard[count - 1];
        }
        assert!(
            begun.elapsed() < crate::net::DEADLINE,
            "word {count} did not come: {heard:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Waits until the last that the client heard of `who` is this: a client asks again on its own when it gets a token.
pub async fn stands(client: &TestClient, who: &Jid, expected: (bool, bool)) {
    let last = || async { heard(client, who).pop() };
    until("the last word", last, |last| *last == Some(expected)).await;
}

/// Has a name to say that it is there with.
pub async fn named(client: &TestClient, name: &str) {
    good("a name", client.client().profile().set_push_name(name)).await;
}

/// Says that its person is there, and waits until the network has heard it: what one client says is taken in order.
pub async fn comes(client: &TestClient) {
    let client = client.client();
    good("it is there", client.presence().set_available()).await;
    good("an answer behind it", client.fetch_privacy_settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_comes_and_goes_before_the_eyes_of_those_who_watch() {
    let sandbox = start(None).await;
    let pair = Pair::new(&sandbox).await;
    named(&pair.alice, "Alice").await;
    named(&pair.bob, "Bob").await;
    let (alice, bob) = (pair.alice.client(), pair.bob.client());
    let a = Jid::pn(pair.a.as_str());
    good("bob is there", bob.presence().set_available()).await;
    good("bob watches", bob.presence().subscribe(a.clone())).await;
    assert_eq!(word(&pair.bob, &a, 1).await, (false, false), "never there so far");
    good("alice comes", alice.presence().set_available()).await;
    assert_eq!(word(&pair.bob, &a, 2).await, (true, false));
    good("alice goes", alice.presence().set_unavailable()).await;
    assert_eq!(word(&pair.bob, &a, 3).await, (false, true));
    good("alice comes", alice.presence().set_available()).await;
    assert_eq!(word(&pair.bob, &a, 4).await, (true, false));
    // Whoever asks is told how it stands.
    good("bob asks again", bob.presence().subscribe(a.clone())).await;
    assert_eq!(word(&pair.bob, &a, 5).await, (true, false));
    // A lost connection is a person who has left.
    let backend = pair.alice.stop().await;
    assert_eq!(word(&pair.bob, &a, 6).await, (false, true));
    good("bob looks away", bob.presence().unsubscribe(&a)).await;
    good("an answer behind it", bob.fetch_privacy_settings()).await;
    let again = TestClient::start(&sandbox.ws_url(), backend).await;
    again.connected().await;
    good("alice comes", again.client().presence().set_available()).await;
    // What comes behind it has come: nothing was said to bob.
    again.send(&pair.b, "3EB0000000C00001", "are you there").await;
    pair.bob.text("are you there").await;
    assert!(heard(&pair.bob, &a)[6..].iter().all(|(there, _)| !there));
    again.stop().await;
    pair.bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_with_two_devices_is_there_until_both_are_gone() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&pair.a)).await;
    for client in [&pair.alice, &second] {
        named(client, "Alice").await;
        comes(client).await;
    }
    let phones = admin.ok("GET", "/admin/phones", "").await;
    assert_eq!(
        (&phones[0]["available"], &phones[1]["available"]),
        (&true.into(), &false.into())
    );
    let a = super::lid(admin, &pair.a).await;
    good("bob watches", pair.bob.client().presence().subscribe(a.clone())).await;
    assert_eq!(
        word(&pair.bob, &a, 1).await,
        (true, false),
        "named by LID as asked"
    );
    good("one goes", pair.alice.client().presence().set_unavailable()).await;
    good("both go", second.client().presence().set_unavailable()).await;
    assert_eq!(
        word(&pair.bob, &a, 2).await,
        (false, true),
        "the first word after both"
    );
    second.stop().await;
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phones_person_is_watched_too() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let jid = Jid::pn(other.as_str());
    good("it watches", client.client().presence().subscribe(jid.clone())).await;
    assert_eq!(word(&client, &jid, 1).await, (false, false));
    does(admin, &other, "presence", r#"{"available": true}"#).await;
    assert_eq!(word(&client, &jid, 2).await, (true, false));
    does(admin, &other, "offline", "").await;
    assert_eq!(word(&client, &jid, 3).await, (false, true));
    let path = format!("/admin/phones/{other}/presence");
    assert_eq!(admin.call("POST", &path, r#"{"available": true}"#).await.0, 409);
    client.stop().await;
    sandbox.shutdown().await;
}
