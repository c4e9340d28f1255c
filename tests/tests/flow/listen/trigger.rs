//! `waxwing trigger` beside `waxwing listen`.

use std::collections::BTreeSet;

use cli::Failure;
use serde_json::json;
use shared::domain::event::EventType;
use tests::hook::Hook;
use tests::listening::{Listening, event_in, trigger};

use super::{Ground, INSTANCE};

#[test]
fn the_program_knows_the_types_of_the_deployment() {
    let known: BTreeSet<_> = cli::event::TYPES.into_iter().collect();
    let all: BTreeSet<_> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(known, all);
}

#[tokio::test]
async fn an_event_of_every_type_arrives_where_one_listens() {
    let ground = Ground::new().await;
    let hook = Hook::start().await;
    let to = hook.url();
    let arguments: Vec<_> = ground
        .arguments()
        .into_iter()
        .chain(["--forward-to", &to])
        .collect();
    let listening = Listening::start(&arguments).await;
    for kind in cli::event::TYPES {
        let [key, token, url, api] = ground.arguments();
        let said = trigger(&[kind, key, token, url, api]).await.expect("sent");
        assert!(said.contains("the realtime feed alone"), "{said}");
        let id = event_in(&said);
        let came = hook.until(1, |event| event["id"] == id).await;
        assert_eq!(came[0]["type"], json!(kind));
        assert_eq!(came[0]["instance"]["name"], json!(INSTANCE));
    }
    let secret = listening.secret();
    assert!(hook.heard().iter().all(|heard| heard.is_genuine(&secret)));
    listening.interrupt().await.expect("it ends in order");
    ground.stack.stop().await;
}

#[tokio::test]
async fn a_webhook_gets_it_as_well() {
    let ground = Ground::new().await;
    let hook = Hook::start().await;
    let webhook = json!({"url": hook.url(), "events": ["message.received"]});
    let set = ground.user.put("/api/instances/main/webhook", webhook).await;
    let secret = set.data(200)["secret"].as_str().expect("a secret").to_owned();
    let (token, url) = (ground.user.token(), &*ground.stack.api);
    let of_user = ["--token", token, "--instance", INSTANCE, "--url", url];
    let typed = |kind| -> Vec<_> { [kind].into_iter().chain(of_user).collect() };
    let said = trigger(&typed("message.received")).await.expect("sent");
    assert!(said.contains("the webhook (dlv_"), "{said}");
    let id = event_in(&said);
    let came = hook.until(1, |event| event["id"] == id).await;
    assert_eq!(came[0]["data"]["text"], json!("See you at eight"));
    assert!(hook.heard()[0].is_genuine(&secret));
    let said = trigger(&typed("message.edited")).await.expect("sent");
    assert!(
        said.contains("the realtime feed alone"),
        "the webhook does not name it: {said}"
    );
    ground.stack.stop().await;
}

#[tokio::test]
async fn who_may_not_and_what_is_no_type_is_told_what_to_do() {
    let ground = Ground::new().await;
    let key = ground.user.key(INSTANCE).await;
    let url = &*ground.stack.api;
    let lacking = trigger(&["poll.vote", "--key", key.token(), "--url", url]).await;
    let failure = lacking.expect_err("it lacks the scope").to_string();
    assert!(
        failure.contains("webhook:write") && failure.contains("--token"),
        "{failure}"
    );
    let unknown = trigger(&["message.levitated", "--key", key.token(), "--url", url]).await;
    let failure = unknown.expect_err("no such type");
    assert!(matches!(failure, Failure::UnknownType(_)));
    assert!(failure.to_string().contains("\n  poll.vote"), "{failure}");
    let listed = trigger(&[]).await.expect("a list");
    assert!(listed.lines().count() > cli::event::TYPES.len(), "{listed}");
    ground.stack.stop().await;
}
