//! A place goes from the API to a phone, and another one back.

use serde_json::json;
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::{pair, stats};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

#[tokio::test]
async fn a_place_is_shown_on_a_phone_and_one_comes_back() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let body = json!({
        "to": paired.other, "latitude": 52.5163, "longitude": 13.3777, "name": "Brandenburg Gate",
    });
    let sent = paired.key.send("location", body).await.data(202);
    let message = sent["id"].as_str().expect("an id");
    let shown = phones.until_shown(&paired.other, "Brandenburg Gate").await;
    assert_eq!(
        (
            &shown["kind"],
            &shown["latitude"],
            &shown["longitude"],
            &shown["copies"]
        ),
        (&json!("location"), &json!(52.5163), &json!(13.3777), &json!(1))
    );
    paired.key.until_state(message, "delivered").await;
    phones.read_all(&paired.other).await;
    let read = paired.key.until_state(message, "read").await;
    assert_eq!(read["kind"], "location");
    until("the count of the kind", async || {
        (stats(&paired.key).await["byKind"]["location"] == 1).then_some(())
    })
    .await;

    let live = json!({"to": paired.other, "latitude": 1.5, "longitude": 2.5, "liveSeconds": 900});
    let sent = paired.key.send("location", live).await.data(202);
    let message = sent["id"].as_str().expect("an id");
    paired.key.until_state(message, "delivered").await;
    let inbox = phones.inbox(&paired.other).await;
    let shown = inbox.last().expect("a message");
    assert_eq!(
        (&shown["kind"], &shown["latitude"], &shown["longitude"]),
        (&json!("live-location"), &json!(1.5), &json!(2.5))
    );

    let place = json!({"to": paired.own, "kind": "location", "latitude": -33.8568, "longitude": 151.2153});
    let path = format!("/admin/phones/{}/send", paired.other);
    phones.post(&path, &place).await;
    let log = format!("/api/instances/{}/messages", paired.instance);
    let received = until("the place that came in", async || {
        let log = paired.user.get(&log).await.data(200);
        let mut log = log.as_array().expect("a list").clone().into_iter();
        log.find(|message| message["direction"] == "incoming")
    })
    .await;
    assert_eq!(
        (&received["kind"], &received["status"]),
        (&json!("location"), &json!("received"))
    );
    stack.stop().await;
}
