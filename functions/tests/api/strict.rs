//! What a request says that is wrong, told by name and all at once; and what else every answer owes.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::audit::Action;
use shared::storage::item::s;
use shared::storage::keys;

use crate::management::people::{administrator, audited, each, pages};
use crate::support::{Caller, World};

#[tokio::test]
async fn all_that_is_wrong_with_a_body_is_named_at_once() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let register = json!({"email": "nobody", "password": 7, "surname": "Lovelace"});
    let answer = world.nobody.post("/api/auth/register", register).await;
    let told = answer.faults();
    let fields: Vec<_> = told.iter().filter_map(|fault| fault.split(' ').next()).collect();
    assert_eq!(fields, ["email", "password", "name", "surname"], "{told:?}");
    assert_eq!(
        told[1..],
        [
            "password must be a string",
            "name is missing",
            "surname is unknown"
        ]
    );

    let text = json!({"to": "x", "text": null, "reference": 1, "expiresAt": "soon", "linkPreview": []});
    let answer = key.send("text", text).await;
    let told = answer.faults();
    assert!(told[0].starts_with("to must be"), "{told:?}");
    assert_eq!(
        told[1..],
        [
            "text must not be null",
            "linkPreview must be true or false",
            "expiresAt must be an RFC 3339 time",
            "reference must be a string",
        ]
    );
    let keys = "/api/instances/sales/keys";
    let body =
        json!({"name": "k", "scopes": ["messages:send", 1, "x"], "rateLimit": 0, "allowedCidrs": "all"});
    assert_eq!(
        user.post(keys, body).await.faults(),
        [
            &*format!("scopes[1] must be one of {}", scopes()),
            &*format!("scopes[2] must be one of {}", scopes()),
            "allowedCidrs must be a list",
            "rateLimit must be a whole number from 1 to 1000000",
        ]
    );
}

fn scopes() -> String {
    let names = shared::auth::api_key::Scope::ALL.iter().map(ToString::to_string);
    names.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn all_that_is_wrong_with_a_query_is_named_at_once() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let path = "/api/audit-logs?page=2&limit=0&limit=1&from=yesterday&action=x&cursor=y&page=3";
    let told = user.get(path).await.faults();
    assert_eq!(told[..2], ["page is unknown", "limit is there twice"]);
    assert!(
        told.contains(&"limit must be a whole number from 1 to 100".to_owned()),
        "{told:?}"
    );
    assert!(
        told.contains(&"from must be a date such as 2026-01-31".to_owned()),
        "{told:?}"
    );
    let path = "/api/audit-logs?limit=0&from=yesterday&action=x&cursor=y";
    let told = user.get(path).await.faults();
    assert_eq!(told.len(), 4, "{told:?}");
}

#[tokio::test]
async fn what_is_there_twice_is_refused_wherever_it_is() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.instance(&user, "sales").await;
    let path = "/api/instances/sales";
    let twice = r#"{"metadata": {"a": "1", "a": "2"}}"#;
    assert_eq!(
        user.put(path, twice).await.faults(),
        ["metadata.a is there twice"]
    );
    let twice = r#"{"name": "a", "name": "b"}"#;
    assert_eq!(user.put(path, twice).await.faults(), ["name is there twice"]);
}

#[tokio::test]
async fn none_takes_away_what_can_be_taken_away_and_is_refused_elsewhere() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let path = format!("/api/instances/{instance}");
    let filled = user.put(&path, r#"{"metadata": {"a": "b"}}"#).await;
    assert_eq!(filled.data(200)["metadata"], json!({"a": "b"}));
    let emptied = user.put(&path, r#"{"metadata": null}"#).await;
    assert_eq!(emptied.data(200)["metadata"], json!({}));
    let refused = user.put(&path, r#"{"name": null, "network": null}"#).await;
    assert_eq!(
        refused.faults(),
        ["name must not be null", "network must not be null"]
    );

    let keys = format!("{path}/keys");
    let expires_at = world.clock.now() + TimeDelta::hours(1);
    let body = json!({"name": "k", "allowedCidrs": ["192.0.2.0/24"], "expiresAt": expires_at});
    let made = user.post(&keys, body).await.data(201);
    let key = format!("{keys}/{}", made["id"].as_str().expect("an id"));
    let none = json!({"allowedCidrs": null, "expiresAt": null});
    let changed = user.patch(&key, none).await.data(200);
    assert_eq!(changed["allowedCidrs"], json!([]));
    assert_eq!(changed["expiresAt"], json!(null));
    let none = json!({"name": null, "scopes": null, "rateLimit": null});
    assert_eq!(
        user.patch(&key, none).await.faults(),
        [
            "name must not be null",
            "scopes must not be null",
            "rateLimit must not be null"
        ]
    );
    let none = json!({"graceSeconds": null});
    let answer = user.post(&format!("{key}/rotate"), none).await;
    assert_eq!(answer.faults(), ["graceSeconds must not be null"]);

    let root = administrator(&world, "root@example.com").await;
    let path = format!("/api/subscriptions/{}", user.subscription);
    let none = json!({"tier": null, "active": null});
    assert_eq!(
        root.patch(&path, none).await.faults(),
        ["tier must not be null", "active must not be null"]
    );
    let id = user.get("/api/auth/me").await.data(200)["user"]["id"].clone();
    let path = format!("/api/users/{}", id.as_str().expect("an id"));
    let none = json!({"name": null, "role": null, "active": null, "subscriptionId": null});
    assert_eq!(root.patch(&path, none).await.faults().len(), 4);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let eve = world.register("eve@example.com").await;
    for user in [&ada, &eve] {
        for name in ["a", "b", "c"] {
            world.clock.advance(TimeDelta::milliseconds(1));
            let instance = world.instance(user, name).await;
            for key in ["one", "two"] {
                world.key(user, instance, json!({"name": key})).await;
            }
        }
    }
    let next = async |caller: &Caller, path: &str| {
        let answer = caller.get(path).await;
        let next = answer.json()["meta"]["pagination"]["nextCursor"].clone();
        next.as_str().expect("there is more").to_owned()
    };
    let instances = next(&ada, "/api/instances?limit=1").await;
    let keys = next(&ada, "/api/instances/a/keys?limit=1").await;
    let audit = next(&ada, "/api/audit-logs?limit=1").await;
    let filtered = next(&ada, "/api/audit-logs?limit=1&action=key.created").await;
    for (caller, path, cursor, is_its_own) in [
        (&ada, "/api/instances?limit=2", &instances, true),
        (&eve, "/api/instances?limit=2", &instances, false),
        (&ada, "/api/instances?limit=2", &keys, false),
        (&ada, "/api/instances/a/keys?limit=2", &keys, true),
        (&ada, "/api/instances/b/keys?limit=2", &keys, false),
        (&ada, "/api/audit-logs?limit=2", &audit, true),
        (&ada, "/api/audit-logs?action=key.created", &audit, false),
        (&ada, "/api/audit-logs?action=key.created", &filtered, true),
        (&ada, "/api/audit-logs?limit=2", &filtered, false),
        (&eve, "/api/audit-logs?limit=2", &audit, false),
    ] {
        let separator = if path.contains('?') { '&' } else { '?' };
        let answer = caller.get(&format!("{path}{separator}cursor={cursor}")).await;
        if is_its_own {
            answer.data(200);
        } else {
            assert_eq!(
                answer.faults(),
                ["cursor must be a `nextCursor` of this list"],
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_list_over_several_keys_reads_as_one_and_has_what_was_written_before_it_was_spread() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let mut expected = vec!["root@example.com".to_owned()];
    for number in 0..30 {
        world.clock.advance(TimeDelta::milliseconds(1));
        let email = format!("user-{number}@example.com");
        world.register(&email).await;
        expected.insert(0, email);
    }
    assert_eq!(pages(&root, "/api/users", "email").await, expected);
    // Every other item is put back to where it was before.
    let table = &world.state.table;
    let mut used = std::collections::BTreeSet::new();
    for (number, (_, mut item)) in world.items().await.into_iter().enumerate() {
        let Some(key) = item.get("listKey").and_then(|key| key.as_s().ok()) else {
            continue;
        };
        used.insert(key.clone());
        let list = key
            .rsplit_once('#')
            .map(|(list, _)| list.to_owned())
            .expect("spread");
        if number % 2 == 0 {
            item.insert("listKey".into(), s(list));
            let put = table.client().put_item().table_name(table.name());
            put.set_item(Some(item)).send().await.expect("stored");
        }
    }
    let of_users = used.iter().filter(|key| key.starts_with("users#")).count();
    assert!(of_users > 3, "{used:?}");
    for (path, member) in [
        ("/api/users", "email"),
        ("/api/subscriptions", "id"),
        ("/api/audit-logs", "id"),
    ] {
        let all = root.get(&format!("{path}?limit=100")).await.data(200);
        let all = each(&all, member);
        assert_eq!(all.len(), 31, "{path}");
        assert_eq!(pages(&root, path, member).await, all, "{path}");
        if path == "/api/users" {
            assert_eq!(all, expected);
        }
    }
    let users = root.get("/api/users?limit=100").await.data(200);
    for id in each(&users, "id") {
        root.get(&format!("/api/users/{id}")).await.data(200);
        // Written again, it moves to its own key.
        let path = format!("/api/users/{id}");
        root.patch(&path, json!({"name": "Other"})).await.data(200);
    }
    let left = world.items().await;
    let bare = s(keys::list::USERS);
    assert!(!left.values().any(|item| item.get("listKey") == Some(&bare)));
}

#[tokio::test]
async fn an_entry_says_what_an_update_changed() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let path = format!("/api/instances/{instance}");
    user.put(&path, r#"{"metadata": {"a": "1", "b": "secret"}}"#)
        .await
        .data(200);
    world.clock.advance(TimeDelta::milliseconds(1));
    let body = r#"{"name": "support", "metadata": {"b": "another", "c": "3"}}"#;
    user.put(&path, body).await.data(200);
    let entry = audited(&world, Action::InstanceUpdated).await.remove(0);
    let details = json!({
        "fields": "name, metadata.a, metadata.b, metadata.c",
        "name.from": "sales",
        "name.to": "support",
    });
    assert_eq!(json!(entry.details), details);

    let body = json!({"name": "shop", "scopes": ["messages:send"]});
    let made = user.post(&format!("{path}/keys"), body).await.data(201);
    let key = format!("{path}/keys/{}", made["id"].as_str().expect("an id"));
    let change = json!({
        "name": "shop",
        "scopes": ["messages:send", "messages:read"],
        "allowedCidrs": ["192.0.2.0/24"],
        "expiresAt": "2026-01-02T00:00:00Z",
        "rateLimit": 5,
    });
    user.patch(&key, change).await.data(200);
    let entry = audited(&world, Action::KeyUpdated).await.remove(0);
    let details = json!({
        "fields": "scopes, allowedCidrs, expiresAt, rateLimit",
        "scopes.from": "messages:send",
        "scopes.to": "messages:send, messages:read",
        "allowedCidrs.from": "none",
        "allowedCidrs.to": "192.0.2.0/24",
        "expiresAt.from": "none",
        "expiresAt.to": "2026-01-02T00:00:00.000Z",
        "rateLimit.from": "1000",
        "rateLimit.to": "5",
    });
    assert_eq!(json!(entry.details), details);
}

#[tokio::test]
async fn a_kind_of_message_that_is_not_there_is_no_route() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let answer = key.post("/api/messages/fax", json!({"to": "15550100002"})).await;
    assert_eq!(
        answer.error(),
        "404 NOT_FOUND: There is no route /api/messages/fax"
    );
    let there = "/api/messages/msg_01JD0000000000000000000000";
    let answer = key.post(there, json!({})).await;
    assert_eq!(answer.status, 405);
    let answer = user.post("/api/instances/sales", json!({})).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn the_limit_that_refuses_is_the_one_that_the_headers_tell() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let mut last = None;
    for _ in 0..7 {
        let path = "/api/auth/resend-verification";
        last = Some(user.post(path, ()).await);
    }
    let refused = last.expect("sent");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-ratelimit-limit"), "5");
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    assert_eq!(refused.json()["error"]["details"]["limit"], json!(5));
    let fine = user.get("/api/auth/me").await;
    assert_ne!(fine.header("x-ratelimit-limit"), "5");
}

#[tokio::test]
async fn a_key_that_is_refused_is_told_where_it_stands() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let elsewhere = json!({"allowedCidrs": ["198.51.100.0/24"]});
    let elsewhere = world.key(&user, instance, elsewhere).await;
    let path = format!("/api/instances/{instance}/keys");
    let listed = user.get(&path).await.data(200);
    for key in listed.as_array().expect("a list") {
        if key["allowedCidrs"] == json!([]) {
            let id = key["id"].as_str().expect("an id");
            user.delete(&format!("{path}/{id}")).await.data(200);
        }
    }
    for (key, status) in [(&key, 401), (&elsewhere, 403)] {
        let answer = key.get("/api/instance/info").await;
        assert_eq!(answer.status, status);
        for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert!(answer.header(header).parse::<i64>().is_ok(), "{status}: {header}");
        }
    }
}

#[tokio::test]
async fn a_delete_says_what_is_gone() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    world.verify(&user).await;
    let root = administrator(&world, "root@example.com").await;
    let body = json!({"email": "bob@example.com", "name": "Bob"});
    let member = user.post("/api/subscription/members", body).await.data(201);
    let other = world.register("eve@example.com").await;
    let me = other.get("/api/auth/me").await.data(200);
    let keys = user
        .get(&format!("/api/instances/{instance}/keys"))
        .await
        .data(200);
    let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    for (caller, path, id) in [
        (&user, format!("/api/instances/{instance}/keys"), id(&keys[0])),
        (&user, "/api/subscription/members".to_owned(), id(&member)),
        (&root, "/api/users".to_owned(), id(&me["user"])),
        (&user, "/api/instances".to_owned(), instance.to_string()),
    ] {
        let gone = caller.delete(&format!("{path}/{id}")).await.data(200);
        assert_eq!(gone, json!({"id": id, "deleted": true}), "{path}");
    }
}

#[tokio::test]
async fn browsers_may_read_what_clients_need() {
    let world = World::new().await;
    let page = world.nobody.with_header("origin", "http://localhost:5173");
    let answer = page.get("/health").await;
    let exposed: Vec<_> = answer
        .header("access-control-expose-headers")
        .split(',')
        .collect();
    for name in [
        "x-request-id",
        "retry-after",
        "allow",
        "www-authenticate",
        "idempotency-replayed",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ] {
        assert!(exposed.contains(&name), "{exposed:?}");
    }
}

/// Nobody need be logged in for this: one long name around many short ones, each of them wrong.
#[tokio::test]
async fn an_answer_to_a_wrong_body_is_small_whatever_the_body_is() {
    let world = World::new().await;
    let name = "n".repeat(20_000);
    let twice: Vec<String> = (0..1_000).map(|n| format!("\"{n}\":0,\"{n}\":0")).collect();
    let twice = twice.join(",");
    let nested = format!("{{\"{name}\":{{{twice},\"x\":0}}}}");
    let unknown: Vec<String> = (0..2_000).map(|n| format!("\"{n}\":0")).collect();
    let flat = format!("{{{},\"x\":0}}", unknown.join(","));
    for (body, told) in [(nested, 4), (flat, 100)] {
        let answer = world.nobody.post("/api/auth/login", body).await;
        let faults = answer.faults();
        assert!(faults.len() >= told, "{}", faults.len());
        assert!(answer.bytes.len() < 65_536, "{}", answer.bytes.len());
    }
}
