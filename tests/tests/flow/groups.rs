//! Groups, with phones of the sandbox: what the API answers, what the others' phones show, and who reads the next message.

mod full;
mod scene;

use reqwest::Method;
use serde_json::{Value, json};
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::pair;

use self::scene::{Scene, role, statuses};

#[tokio::test]
async fn a_group_is_made_and_who_cannot_be_added_is_invited_or_named() {
    let scene = Scene::new().await;
    let Scene { phones, paired, .. } = &scene;
    let (shy, by_lid) = (phones.create("Shy").await, phones.create("By LID").await);
    let nobody = json!({"groupadd": "contacts"});
    phones
        .post(&format!("/admin/phones/{shy}/privacy"), &nobody)
        .await;
    let lid = phones.lid(&by_lid).await;
    let hateful = phones.create("Hateful").await;
    let block = json!({"who": paired.own});
    phones
        .post(&format!("/admin/phones/{hateful}/block"), &block)
        .await;

    let stranger = "15550999999";
    let participants = [
        format!("+{}", paired.other),
        shy.clone(),
        stranger.to_owned(),
        format!("lid:{lid}"),
        hateful.clone(),
        paired.own.clone(),
        paired.other.clone(),
    ];
    let body = json!({"subject": "Engines ⚙️👩‍🔧 @ work", "participants": participants, "description": "ada@example.com"});
    let made = paired.key.post("/api/groups", body).await.data(201);
    let group = made["id"].as_str().expect("an id");
    assert_eq!(
        statuses(&made),
        [
            "done",
            "invited",
            "not_on_whatsapp",
            "done",
            "not_allowed",
            "already",
            "done"
        ]
    );
    for (result, input) in made["results"]
        .as_array()
        .expect("a list")
        .iter()
        .zip(&participants)
    {
        assert_eq!(result["input"], **input);
    }
    let result = &made["results"][3];
    assert_eq!((&result["phone"], &result["lid"]), (&json!(by_lid), &json!(lid)));
    assert_eq!(made["size"], 3);
    assert_eq!(
        (&made["role"], &made["creator"]["phone"]),
        (&json!("owner"), &json!(paired.own))
    );

    let seen = phones.group(&paired.other, group).await.expect("in it");
    assert_eq!(
        (&seen["subject"], &seen["description"]),
        (&json!("Engines ⚙️👩‍🔧 @ work"), &json!("ada@example.com"))
    );
    assert_eq!(made["subject"], seen["subject"]);
    assert_eq!(role(&seen, &paired.own), Some("superadmin"));
    assert_eq!(role(&seen, &by_lid), Some("member"));
    assert_eq!(role(&seen, &shy), None);
    // The invitation is for the group, and comes from the account.
    let invitation = until("the invitation", async || {
        let inbox = phones.inbox(&shy).await;
        inbox
            .into_iter()
            .find(|message| message["kind"] == "group-invite")
    })
    .await;
    assert_eq!(
        (&invitation["from"], &invitation["text"]),
        (&json!(paired.own), &made["subject"])
    );
    scene.all_read(group, &[&paired.other, &by_lid]).await;

    let shown = paired.key.get(&format!("/api/groups/{group}")).await.data(200);
    assert_eq!(shown["description"], "ada@example.com");
    let mut people: Vec<_> = shown["participants"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            (
                one["phone"].as_str().expect("a number"),
                one["role"].as_str().expect("a text"),
            )
        })
        .collect();
    people.sort_unstable();
    let mut expected = vec![
        (paired.own.as_str(), "owner"),
        (paired.other.as_str(), "member"),
        (by_lid.as_str(), "member"),
    ];
    expected.sort_unstable();
    assert_eq!(people, expected);
    scene.end().await;
}

#[tokio::test]
async fn people_come_and_go_and_whoever_is_in_reads_the_next_message() {
    let scene = Scene::new().await;
    let Scene { phones, paired, .. } = &scene;
    let (newcomer, shy) = (phones.create("Newcomer").await, phones.create("Shy").await);
    phones
        .post(
            &format!("/admin/phones/{shy}/privacy"),
            &json!({"groupadd": "contacts"}),
        )
        .await;
    let group = scene.group("Engines", &[&paired.other]).await;
    let group = group.as_str();
    scene.all_read(group, &[&paired.other]).await;

    let added = [paired.other.as_str(), &newcomer, &shy, "15550999999"];
    let added = scene.change(Method::POST, group, "/participants", &added).await;
    assert_eq!(added, ["already", "done", "invited", "not_on_whatsapp"]);
    // At once.
    scene.all_read(group, &[&paired.other, &newcomer]).await;

    let lid = format!("lid:{}", phones.lid(&newcomer).await);
    let promoted = scene
        .change(Method::POST, group, "/promote", &[&lid, &shy, &paired.own])
        .await;
    assert_eq!(promoted, ["done", "not_member", "already"]);
    scene
        .until_seen(&paired.other, group, "an admin", |seen| {
            role(seen, &newcomer) == Some("admin")
        })
        .await;
    let again = scene.change(Method::POST, group, "/promote", &[&newcomer]).await;
    assert_eq!(again, ["already"]);
    let demoted = scene
        .change(Method::POST, group, "/demote", &[&newcomer, &paired.other])
        .await;
    assert_eq!(demoted, ["done", "already"]);
    scene
        .until_seen(&paired.other, group, "no admin", |seen| {
            role(seen, &newcomer) == Some("member")
        })
        .await;

    let gone = [newcomer.as_str(), &shy, &paired.own];
    let removed = scene.change(Method::DELETE, group, "/participants", &gone).await;
    assert_eq!(removed, ["done", "not_member", "not_allowed"]);
    assert_eq!(phones.group(&newcomer, group).await, None);
    let text = scene.all_read(group, &[&paired.other]).await;
    let inbox = phones.inbox(&newcomer).await;
    assert!(
        inbox.iter().all(|message| message["text"] != *text),
        "who is gone reads nothing"
    );

    // They come back by the link.
    let link = scene.call(Method::GET, group, "/invite-link", Value::Null).await;
    let code = link["code"].as_str().expect("a code").to_owned();
    assert_eq!(link["link"], format!("https://chat.whatsapp.com/{code}"));
    let join = json!({"code": code});
    phones
        .post(&format!("/admin/phones/{newcomer}/join"), &join)
        .await;
    scene.all_read(group, &[&paired.other, &newcomer]).await;
    scene.end().await;
}

#[tokio::test]
async fn a_group_is_changed_and_the_others_see_it() {
    let scene = Scene::new().await;
    let Scene { phones, paired, .. } = &scene;
    let group = scene.group("Engines", &[&paired.other]).await;
    let group = group.as_str();
    let lines: Vec<_> = (1..=100).map(|n| format!("Line {n} 🛠️")).collect();
    let lines = lines.join("\n");
    for (subject, description) in [
        ("Maschinen 👩🏽‍🔧", json!(lines)),
        ("Engines", json!("short")),
        ("12345", Value::Null),
        ("ada@work", json!("me@home")),
        ("@", json!("@@")),
        ("Engines", json!("again")),
    ] {
        let body = json!({"subject": subject, "description": description});
        let changed = scene.call(Method::PATCH, group, "", body).await;
        assert_eq!(
            (&changed["subject"], &changed["description"]),
            (&json!(subject), &description)
        );
        scene
            .until_seen(&paired.other, group, "the change", |seen| {
                seen["subject"] == subject && seen["description"] == description
            })
            .await;
    }
    let all = json!({"announce": true, "locked": true, "ephemeralSeconds": 604_800, "joinApproval": true});
    let changed = scene.call(Method::PATCH, group, "", all.clone()).await;
    let seen = phones.group(&paired.other, group).await.expect("in it");
    for (name, value) in all.as_object().expect("members") {
        assert_eq!((&changed[name], &seen[name]), (value, value), "{name}");
    }
    let shown = scene.call(Method::GET, group, "", Value::Null).await;
    assert_eq!(shown["ephemeralSeconds"], 604_800);
    assert_eq!(shown["description"], "again");
    let off = json!({"announce": false, "locked": false, "ephemeralSeconds": 0, "joinApproval": false});
    scene.call(Method::PATCH, group, "", off.clone()).await;
    let seen = phones.group(&paired.other, group).await.expect("in it");
    for (name, value) in off.as_object().expect("members") {
        assert_eq!(&seen[name], value, "{name}");
    }

    // What another changes shows.
    let change = json!({"subject": "Theirs"});
    phones
        .post(
            &format!("/admin/phones/{}/groups/{group}/participants", paired.own),
            &json!({"action": "promote", "participants": [paired.other]}),
        )
        .await;
    phones
        .patch(&format!("/admin/phones/{}/groups/{group}", paired.other), &change)
        .await;
    let shown = scene.call(Method::GET, group, "", Value::Null).await;
    assert_eq!(shown["subject"], "Theirs");
    scene.end().await;
}

#[tokio::test]
async fn who_asks_to_be_let_in_is_let_in_or_not() {
    let scene = Scene::new().await;
    let Scene { phones, paired, .. } = &scene;
    let (one, two) = (phones.create("One").await, phones.create("Two").await);
    let group = scene.group("Engines", &[&paired.other]).await;
    let group = group.as_str();
    scene
        .call(Method::PATCH, group, "", json!({"joinApproval": true}))
        .await;
    let link = scene.call(Method::GET, group, "/invite-link", Value::Null).await;
    let join = json!({"code": link["code"]});
    for phone in [&one, &two] {
        let joined = phones.post(&format!("/admin/phones/{phone}/join"), &join).await;
        assert_eq!(joined["pending"], true);
    }
    let path = format!("/api/groups/{group}/requests");
    let first = paired.key.get(&format!("{path}?limit=1")).await;
    let cursor = first.json()["meta"]["pagination"]["nextCursor"].clone();
    let cursor = cursor.as_str().expect("there is more");
    let second = paired.key.get(&format!("{path}?limit=1&cursor={cursor}")).await;
    let mut lids: Vec<_> = [first.data(200), second.data(200)]
        .iter()
        .map(|page| page[0]["lid"].as_str().expect("a LID").to_owned())
        .collect();
    lids.sort();
    let mut expected = vec![phones.lid(&one).await, phones.lid(&two).await];
    expected.sort();
    assert_eq!(lids, expected);

    let decide = async |action: &str, participants: &[&str]| {
        let body = json!({"action": action, "participants": participants});
        statuses(&scene.call(Method::POST, group, "/requests", body).await)
    };
    assert_eq!(
        decide("approve", &[&one, &paired.other]).await,
        ["done", "not_member"]
    );
    assert_eq!(decide("reject", &[&two]).await, ["done"]);
    assert_eq!(paired.key.get(&path).await.data(200), json!([]));
    assert_eq!(phones.group(&two, group).await, None);
    scene.all_read(group, &[&paired.other, &one]).await;
    scene.end().await;
}

#[tokio::test]
async fn a_group_is_joined_by_its_link_and_left() {
    let scene = Scene::new().await;
    let Scene { phones, paired, .. } = &scene;
    // Another person's group, with a link that they made through an instance of theirs.
    let theirs = pair(&Bases::one(&scene.stack.api), phones).await;
    let body = json!({"subject": "Theirs", "participants": [theirs.other]});
    let made = theirs.key.post("/api/groups", body).await.data(201);
    let group = made["id"].as_str().expect("an id");
    let path = format!("/api/groups/{group}");
    let stranger = paired.key.get(&path).await;
    assert_eq!(stranger.code(), "403 FORBIDDEN");
    assert_eq!(stranger.json()["error"]["details"]["reason"], "NOT_A_MEMBER");

    let link = theirs.key.get(&format!("{path}/invite-link")).await.data(200);
    theirs.key.delete(&format!("{path}/invite-link")).await.data(200);
    let join = |link: &Value| json!({"invite": link["link"]});
    let void = paired.key.post("/api/groups/join", join(&link)).await;
    assert_eq!(void.code(), "404 NOT_FOUND");
    let link = theirs.key.get(&format!("{path}/invite-link")).await.data(200);
    let key = paired.key.with_header("idempotency-key", "join");
    let joined = key.post("/api/groups/join", join(&link)).await;
    assert_eq!(joined.data(200), json!({"id": group, "status": "joined"}));
    let again = key.post("/api/groups/join", join(&link)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let twice = paired.key.post("/api/groups/join", join(&link)).await;
    assert_eq!(twice.code(), "409 CONFLICT");
    scene.all_read(group, &[&theirs.other, &theirs.own]).await;

    let listed = paired.key.get("/api/groups").await.data(200);
    assert_eq!(listed[0]["id"], group);
    assert_eq!(listed[0]["role"], "member");
    // It is theirs to change.
    let promote = json!({"participants": [theirs.other]});
    let refused = paired.key.post(&format!("{path}/promote"), promote).await;
    assert_eq!(refused.code(), "403 FORBIDDEN");
    assert_eq!(refused.json()["error"]["details"]["reason"], "NOT_AN_ADMIN");

    paired.key.post(&format!("{path}/leave"), ()).await.data(200);
    let seen = phones.group(&theirs.other, group).await.expect("in it");
    assert_eq!(role(&seen, &paired.own), None);
    assert_eq!(paired.key.get("/api/groups").await.data(200), json!([]));
    let again = paired.key.post(&format!("{path}/leave"), ()).await;
    assert_eq!(again.code(), "403 FORBIDDEN");
    for (method, end) in [
        (Method::GET, ""),
        (Method::GET, "/invite-link"),
        (Method::POST, "/leave"),
    ] {
        let path = format!("/api/groups/120363999999999999{end}");
        let answer = paired.key.request(method, &path, ()).await;
        assert_eq!(answer.code(), "404 NOT_FOUND", "{path}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_group_has_a_picture_and_none_again() {
    let scene = Scene::new().await;
    let group = scene.group("Engines", &[&scene.paired.other]).await;
    let group = group.as_str();
    // A GIF of one pixel.
    let gif = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let changed = scene
        .call(Method::PUT, group, "/picture", json!({"base64": gif}))
        .await;
    assert_eq!(changed["id"], group);
    assert!(changed["pictureId"].is_string(), "{changed}");
    let seen = scene.phones.group(&scene.paired.other, group).await;
    assert_eq!(seen.expect("in it")["picture"], changed["pictureId"]);
    let path = format!("/api/groups/{group}/picture");
    let wrong = scene
        .paired
        .key
        .request(Method::PUT, &path, json!({"base64": "aGVsbG8="}))
        .await;
    assert_eq!(wrong.code(), "415 UNSUPPORTED_MEDIA_TYPE");
    let gone = scene.call(Method::DELETE, group, "/picture", Value::Null).await;
    assert_eq!(gone, json!({"id": group, "deleted": true}));
    let seen = scene.phones.group(&scene.paired.other, group).await;
    assert_eq!(seen.expect("in it")["picture"], Value::Null);
    scene.end().await;
}
