//! `/pair/{token}/passkey`: the passkey of whoever holds the phone.

use std::collections::BTreeSet;

use serde_json::json;
use shared::domain::audit::{Action, Actor};
use shared::domain::instance::Wanted;
use shared::domain::passkey::PasskeyStage;

use super::link;
use crate::management::instances::passkey::{credential, options};
use crate::management::people::audited;
use crate::support::World;

#[tokio::test]
async fn the_page_has_what_is_wanted_and_answers_it_in_its_makers_name() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let page = link(&user, "sales").await;
    let wanted = world.state.instances.want(instance, Wanted::Connected).await;
    wanted.expect("stored").expect("there");
    let (page_state, answers) = (format!("{page}/state"), format!("{page}/passkey"));
    let body = json!({"credential": credential("Y2hhbGxlbmdl")});
    assert_eq!(world.nobody.post(&answers, &body).await.code(), "409 CONFLICT");

    let asked = options().to_string();
    let stage = PasskeyStage::Assertion;
    world.daemon.ask_for_passkey(instance, stage, "m1", &asked).await;
    let shown = world.nobody.get(&page_state).await.data(200);
    assert_eq!(shown["status"], json!("AWAITING_PASSKEY"));
    assert_eq!(
        shown["passkey"],
        user.get("/api/instances/sales/passkey").await.data(200)
    );
    let answered = world.nobody.post(&answers, &body).await.data(202);
    assert_eq!(answered["link"], json!("open"));
    let waiting = world.stored(instance).await.desired.passkey.expect("an answer");
    assert_eq!(waiting.mark, "m1");

    let stage = PasskeyStage::Confirmation;
    world
        .daemon
        .ask_for_passkey(instance, stage, "m2", "ABCD-1234")
        .await;
    let shown = world.nobody.get(&page_state).await.data(200);
    assert_eq!(shown["passkey"]["code"], json!("ABCD-1234"));
    let confirm = format!("{answers}/confirm");
    // Another attempt has brought another code, which nobody has seen.
    world
        .daemon
        .ask_for_passkey(instance, stage, "m3", "EFGH-5678")
        .await;
    let compared = json!({"code": "ABCD-1234"});
    assert_eq!(
        world.nobody.post(&confirm, &compared).await.error(),
        "409 CONFLICT: Another code waits by now: look at it, and compare it with the phone's"
    );
    assert_eq!(world.nobody.post(&confirm, json!({})).await.status, 400);
    assert_eq!(world.stored(instance).await.desired.passkey, None);
    let compared = json!({"code": "EFGH-5678"});
    world.nobody.post(&confirm, &compared).await.data(202);
    let waiting = world.stored(instance).await.desired.passkey.expect("an answer");
    assert_eq!(waiting.mark, "m3");
    let entries = audited(&world, Action::PasskeyAnswered).await;
    // The clock stands, so the two have no order.
    let told: BTreeSet<_> = entries
        .iter()
        .map(|entry| entry.details["stage"].as_str())
        .collect();
    assert_eq!(told, BTreeSet::from(["assertion", "confirmation"]));
    assert!(entries.iter().all(|entry| entry.actor == Actor::Anonymous));
}
