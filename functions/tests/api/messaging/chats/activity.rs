//! `POST /api/chats/{chat}/typing`, `recording` and `paused`.

use serde_json::json;
use shared::domain::chats::Activity;
use shared::domain::question::ShowActivity;
use shared::domain::recipient::Recipient;

use crate::support::World;
use testbed::asked::willing;

fn chat(text: &str) -> Recipient {
    text.parse().expect("a chat")
}

#[tokio::test]
async fn an_activity_is_shown_in_the_chat_however_it_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let group = "120363021033254949@g.us";
    for (path, named, activity) in [
        ("15550100002/typing", "15550100002", Activity::Typing),
        (
            "lid:200000000000002/recording",
            "lid:200000000000002",
            Activity::Recording,
        ),
        ("120363021033254949%40g.us/paused", group, Activity::Paused),
    ] {
        let data = key.post(&format!("/api/chats/{path}"), ()).await.data(200);
        assert_eq!(data["activity"], activity.as_str());
        let shown = chat(named);
        assert_eq!(
            data["chat"],
            json!({"phone": shown.phone(), "lid": shown.lid(), "group": shown.group().map(|_| group)})
        );
        let last = asked.asks().pop();
        let chat = shown;
        assert_eq!(last, Some(ShowActivity { chat, activity }.into()));
    }
    for text in ["ada", "123", "status@broadcast"] {
        let answer = key.post(&format!("/api/chats/{text}/typing"), ()).await;
        assert_eq!(answer.code(), "400 VALIDATION_ERROR");
        assert_eq!(answer.bad_fields(), ["chat"]);
    }
    assert_eq!(asked.asks().len(), 3);
}

#[tokio::test]
async fn the_same_request_under_a_key_is_done_once() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let key = key.with_header("idempotency-key", "k");
    let typing = async |chat: &str| key.post(&format!("/api/chats/{chat}/typing"), ()).await;
    typing("15550100002").await.data(200);
    let again = typing("15550100002").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(200)["activity"], "typing");
    assert_eq!(typing("15550100003").await.code(), "409 IDEMPOTENCY_CONFLICT");
    assert_eq!(asked.asks().len(), 1);
}
