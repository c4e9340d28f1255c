//! Setting, showing and deleting a webhook.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use shared::clock::Clock as _;
use shared::domain::audit::Action;
use shared::domain::delivery::Errand;
use shared::domain::event::{EventType, Wants};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::webhook::DisabledReason;
use shared::reach::Reach;
use shared::storage::keys;
use shared::storage::webhooks::{Pause, Webhooks};

use super::{WEBHOOK, confidential, errands, hook, keeper, stored};
use crate::support::World;

#[tokio::test]
async fn the_first_put_makes_the_webhook_and_shows_its_secret_once() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    assert_eq!(
        user.get(WEBHOOK).await.error(),
        "404 NOT_FOUND: There is no such webhook"
    );
    let body = json!({
        "url": "https://EXAMPLE.com/waxwing", "events": ["message.status", "message.received"],
        "headers": {"Authorization": "Bearer x"},
    });
    let made = user.put(WEBHOOK, body).await.data(200);
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let shown = json!({
        "url": "https://example.com/waxwing",
        "events": ["message.received", "message.status"],
        "headerNames": ["authorization"],
        "enabled": true,
        "disabled": null,
        "failingSince": null,
        "previousSecretUntil": null,
        "rotatedAt": null,
        "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
    });
    assert_eq!(user.get(WEBHOOK).await.data(200), shown);
    let rests = confidential(&world, instance).await;
    assert_eq!(rests.secret.reveal(), secret);
    assert_eq!(
        rests.headers.iter().collect::<Vec<_>>(),
        [("authorization", "Bearer x")]
    );
    let item = world.item(&keys::webhook(instance)).await.expect("an item");
    assert!(
        !format!("{item:?}").contains("Bearer") && !format!("{item:?}").contains(&secret),
        "it rests sealed"
    );
    // What is wanted stands where the daemon reads it, and it is told to look.
    let wants = Wants::only(&[EventType::MessageReceived, EventType::MessageStatus]);
    assert_eq!(world.stored(instance).await.wants, wants);
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    let is_ours = |message: &shared::queue::Received| {
        payload::decode::<Query>(&message.body).ok() == Some(Query::Nudge { instance })
    };
    assert!(nudges.iter().any(is_ours), "{nudges:?}");
    assert_eq!(
        world.audited(&user, Action::WebhookCreated).await,
        [instance.to_string()]
    );
}

#[tokio::test]
async fn a_later_put_changes_all_but_headers_that_it_does_not_name() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let mut body = hook();
    body["headers"] = json!({"X-Token": "x", "X-Shop": "1"});
    let secret = user.post(WEBHOOK, body).await.data(200)["secret"].clone();
    world.clock.advance(TimeDelta::minutes(1));
    let changed = json!({"url": "https://example.org/", "events": ["*"], "enabled": false});
    let changed = user.put(WEBHOOK, changed).await.data(200);
    assert_eq!(changed["secret"], json!(null), "it is as it was");
    assert_eq!(changed["headerNames"], json!(["x-shop", "x-token"]));
    assert_eq!(
        (&changed["events"], &changed["enabled"]),
        (&json!(["*"]), &json!(false))
    );
    assert_ne!(changed["updatedAt"], changed["createdAt"]);
    assert!(
        world.stored(instance).await.wants.is_nothing(),
        "it is switched off"
    );
    let rests = confidential(&world, instance).await;
    assert_eq!(json!(rests.secret.reveal()), secret);
    assert_eq!(rests.headers.names(), ["x-shop", "x-token"]);

    let mut body = hook();
    body["headers"] = json!({"x-other": "2"});
    let data = user.put(WEBHOOK, body).await.data(200);
    assert_eq!(data["headerNames"], json!(["x-other"]));
    assert_eq!(
        data["enabled"],
        json!(true),
        "it is on unless the request says otherwise"
    );
    let wants = Wants::only(&[EventType::MessageReceived]);
    assert_eq!(world.stored(instance).await.wants, wants);
    let mut body = hook();
    body["headers"] = json!(null);
    let data = user.put(WEBHOOK, body).await.data(200);
    assert_eq!(data["headerNames"], json!([]));
    assert!(confidential(&world, instance).await.headers.names().is_empty());
    assert_eq!(world.audited(&user, Action::WebhookUpdated).await.len(), 3);
}

#[tokio::test]
async fn a_webhook_leads_nowhere_but_to_the_internet() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let put = async |url: &str| user.put(WEBHOOK, json!({"url": url, "events": ["*"]})).await;
    for host in [
        "127.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "localhost",
    ] {
        let answer = put(&format!("https://{host}/hook")).await;
        let error = "400 VALIDATION_ERROR: `url` must lead to an address of the internet: \
                     `localhost` and private networks are out of reach";
        assert_eq!(answer.error(), error, "{host}");
    }
    for (url, rule) in [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must begin with https://"),
        (
            "https:///waxwing",
            "must name a host, as https://example.com/waxwing does",
        ),
        (
            "example.com",
            "must be a whole URL, such as https://example.com/waxwing",
        ),
        (
            "https://ada:word@example.com/",
            "must have no user name and no password: send those in `headers`",
        ),
        ("https://example.com/#a", "must have no fragment (`#`)"),
        (
            "https://example.com:25/",
            "must have the port 80, 443, or one above 1023",
        ),
    ] {
        assert_eq!(
            put(url).await.error(),
            format!("400 VALIDATION_ERROR: `url` {rule}")
        );
    }
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    assert_eq!(
        put(&long).await.error(),
        "400 VALIDATION_ERROR: `url` must have at most 2048 bytes"
    );
    assert!(stored(&world, instance).await.is_none());
    assert!(world.stored(instance).await.wants.is_nothing());
}

#[tokio::test]
async fn a_deployment_for_tests_has_this_machine_in_reach() {
    let world = World::with(|mut config| {
        config.base.reach = Reach::LOOPBACK;
        config
    })
    .await;
    let (user, _, _) = world.ready().await;
    let put = async |url: &str| user.put(WEBHOOK, json!({"url": url, "events": ["*"]})).await;
    let data = put("http://localhost:4000/hook").await.data(200);
    assert_eq!(data["url"], json!("http://localhost:4000/hook"));
    assert_eq!(
        put("ftp://localhost/hook").await.faults(),
        ["url must begin with https:// or http://"]
    );
    assert_eq!(
        put("http://10.0.0.1/hook").await.faults(),
        [
            "url must lead to an address of the internet or to this machine (`localhost`): private networks are out of reach"
        ]
    );
}

#[tokio::test]
async fn wrong_settings_are_named_with_their_rules() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let many: serde_json::Map<_, _> = (0..21).map(|n| (format!("x-{n}"), json!("1"))).collect();
    for (member, value, fault) in [
        ("events", json!([]), "events must name 1 to 100 types"),
        (
            "events",
            json!(["*", "poll.vote"]),
            "events must be `*` alone where it is `*`",
        ),
        (
            "headers",
            json!({"Host": "x"}),
            "headers.Host is a header that Waxwing or the connection sets itself",
        ),
        (
            "headers",
            json!({"webhook-id": "x"}),
            "headers.webhook-id is a header that Waxwing or the connection sets itself",
        ),
        (
            "headers",
            json!({"content-length": "1"}),
            "headers.content-length is a header that Waxwing or the connection sets itself",
        ),
        (
            "headers",
            json!({"a b": "x"}),
            "headers must have a name of 1 to 64 letters, digits or any of !#$%&'*+-.^_`|~",
        ),
        (
            "headers",
            json!({"x-a": "1\r\nHost: b"}),
            "headers.x-a must be text of at most 1024 printable ASCII characters, without space around it",
        ),
        (
            "headers",
            json!({"X-A": "1", "x-a": "2"}),
            "headers.x-a is there twice: names are the same in upper and lower case",
        ),
        ("headers", many.into(), "headers must be 20 headers or fewer"),
        ("enabled", json!(null), "enabled must not be null"),
        ("secret", json!("whsec_x"), "secret is unknown"),
    ] {
        let mut body = hook();
        body[member] = value;
        assert_eq!(user.put(WEBHOOK, body).await.faults(), [fault]);
    }
    let mut body = hook();
    body["events"] = json!(["message.received", "message.levitated"]);
    let told = user.put(WEBHOOK, body).await.faults();
    assert!(
        told.len() == 1 && told[0].starts_with("events[1] must be one of message.received, "),
        "{told:?}"
    );
    let body = json!({"url": 1, "headers": [], "enabled": "yes"});
    let told = user.put(WEBHOOK, body).await.faults();
    assert_eq!(
        told,
        [
            "url must be a string",
            "events is missing",
            "headers must be an object",
            "enabled must be true or false"
        ]
    );
    assert!(stored(&world, instance).await.is_none());
}

#[tokio::test]
async fn of_two_puts_at_once_one_makes_the_webhook_and_both_are_answered() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let putting = ["https://a.example/", "https://b.example/", "https://c.example/"]
        .map(|url| user.put(WEBHOOK, json!({"url": url, "events": ["*"]})));
    let answers = join_all(putting).await;
    let answers: Vec<_> = answers.iter().map(|answer| answer.data(200)).collect();
    let secrets: Vec<_> = answers
        .iter()
        .filter_map(|data| data["secret"].as_str())
        .collect();
    assert_eq!(secrets.len(), 1, "one of them made it");
    let rests = confidential(&world, instance).await;
    assert_eq!(
        rests.secret.reveal(),
        secrets[0],
        "and its secret is the one that holds"
    );
    let shown = user.get(WEBHOOK).await.data(200);
    assert!(answers.iter().any(|data| data["url"] == shown["url"]));
    assert_eq!(world.stored(instance).await.wants, Wants::everything());
}

#[tokio::test]
async fn setting_it_again_switches_a_webhook_on_that_was_switched_off_and_begins_anew() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let key = keeper(&world, &user, instance).await;
    let webhooks = Webhooks::new(world.state.table.clone());
    let failing = world.now();
    let webhook = stored(&world, instance).await.expect("a webhook");
    let pause = Pause {
        asked: Some(failing + TimeDelta::minutes(1)),
        by_rule: None,
    };
    webhooks
        .note_failure(&webhook, failing, pause)
        .await
        .expect("noted");
    world.clock.advance(TimeDelta::days(5));
    let shown = key.get("/api/webhook").await.data(200);
    assert_eq!(shown["failingSince"], json!("2026-01-01T00:00:00.000Z"));
    let webhook = stored(&world, instance).await.expect("a webhook");
    let disabled = webhooks.disable(&webhook, DisabledReason::FailedTooLong, world.now());
    assert!(disabled.await.expect("stored"));
    let shown = key.get("/api/webhook").await.data(200);
    assert_eq!(shown["enabled"], json!(false));
    assert_eq!(
        shown["disabled"],
        json!({"reason": "FAILED_TOO_LONG", "at": "2026-01-06T00:00:00.000Z"})
    );
    assert!(
        world.stored(instance).await.wants.is_nothing(),
        "nothing is queued for it"
    );
    let again = webhooks.disable(&webhook, DisabledReason::FailedTooLong, world.now());
    assert!(!again.await.expect("read"), "it is off already");

    let data = key.put("/api/webhook", hook()).await.data(200);
    assert_eq!(
        (&data["enabled"], &data["disabled"]),
        (&json!(true), &json!(null))
    );
    assert!(
        stored(&world, instance)
            .await
            .expect("a webhook")
            .health
            .is_well()
    );
    assert!(!world.stored(instance).await.wants.is_nothing());
    // What was read before its owner has changed it says nothing any more.
    let late = webhooks.disable(&webhook, DisabledReason::Gone, world.now());
    assert!(!late.await.expect("read"));
}

#[tokio::test]
async fn a_deleted_webhook_is_gone_at_once_and_what_it_left_is_removed() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let made_at = stored(&world, instance).await.expect("a webhook").created_at;
    testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    world.clock.advance(TimeDelta::seconds(1));
    let deleted = user.delete(WEBHOOK).await.data(200);
    assert_eq!(deleted, json!({"id": instance, "deleted": true}));
    assert_eq!(world.item(&keys::webhook(instance)).await, None);
    assert!(world.stored(instance).await.wants.is_nothing());
    assert_eq!(
        user.delete(WEBHOOK).await.error(),
        "404 NOT_FOUND: There is no such webhook"
    );
    let forget = Errand::Forget {
        instance,
        webhook: made_at,
        deleted_at: world.clock.now(),
    };
    assert_eq!(errands(&world).await, [forget]);
    assert_eq!(
        world.audited(&user, Action::WebhookDeleted).await,
        [instance.to_string()]
    );
    // One that is made anew has nothing to do with it.
    let data = user.put(WEBHOOK, hook()).await.data(200);
    assert!(data["secret"].is_string());
    let log = user.get(&format!("{WEBHOOK}/deliveries")).await;
    assert_eq!(log.data(200), json!([]));
}

#[tokio::test]
async fn a_webhook_goes_with_its_instance() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    user.delete("/api/instances/sales").await.data(200);
    assert_eq!(world.item(&keys::webhook(instance)).await, None, "at once");
    world.state.instances.purge(instance).await.expect("removed");
    let left = world.items().await;
    let partition = keys::delivery_partition(instance);
    assert!(left.keys().all(|(pk, _)| *pk != partition), "the log too");
}

#[tokio::test]
async fn no_webhook_is_set_by_a_session_that_has_just_ended() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let webhooks = Webhooks::new(world.state.table.clone());
    user.put(WEBHOOK, hook()).await.data(200);
    let webhook = stored(&world, instance).await.expect("a webhook");
    let subscription = user.subscription.parse().expect("an id");
    let me = user.get("/api/auth/me").await.data(200)["user"]["id"].clone();
    let id = me.as_str().expect("an id").parse().expect("an id");
    let mut known = world
        .state
        .accounts
        .get_user(subscription, id)
        .await
        .expect("read")
        .expect("a user");
    known.credentials += 1;
    let put = webhooks.put(&webhook, Some(&webhook), Some(&known)).await;
    assert_eq!(
        put.expect("read"),
        shared::storage::webhooks::Changed::SessionOver
    );
}
