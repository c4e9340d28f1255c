//! What people of the sandbox do besides writing, as a session tells it.

use daemon::notice::Notice;
use serde_json::{Value, json};
use shared::domain::chats::Presence;
use shared::domain::content::Content;
use shared::domain::event::EventType;
use shared::domain::question::{Ask, ChangeGroup, ChangePicture, SetPresence};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use testbed::wait::DEADLINE;

use crate::world::{Running, World, to};

/// The least that passes for a JPEG here.
const JPEG: [u8; 6] = [0xFF, 0xD8, 0xFF, 0xE0, 1, 2];

struct Scene {
    world: World,
    own: String,
    other: String,
    session: Running,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let (own, other) = (world.phone("Instance").await, world.phone("Ada").await);
        let session = world.paired(&own, 1).await;
        Self {
            world,
            own,
            other,
            session,
        }
    }

    fn path(&self, end: &str) -> String {
        format!("/admin/phones/{}/{end}", self.other)
    }

    /// A group that the other has founded with the account.
    async fn group(&mut self) -> String {
        let founded = json!({"subject": "Engines", "participants": [self.own]});
        let group = self.world.admin(&self.path("groups"), founded).await;
        group["id"].as_str().expect("a group").to_owned()
    }

    async fn write(&mut self) {
        let message = MessageId::from_bytes([7; 16]);
        let said = Content::text("hello").into();
        let to = to(&self.other);
        let sending = self.session.connection.send(message, &to, &said);
        sending.await.expect("on the wire");
        assert_eq!(self.session.acknowledged(&message.to_whatsapp()).await, None);
    }

    async fn be_available(&self) {
        let presence = Presence::Available;
        let ask = Ask::from(SetPresence { presence });
        self.session.connection.ask(&ask).await.expect("available");
    }

    /// What the server sends the account's device, as it is.
    async fn stanza(&self, stanza: Value) {
        let path = format!("/admin/phones/{}/stanza", self.own);
        self.world.admin(&path, stanza).await;
    }

    async fn lid(&self, phone: &str) -> String {
        let phones = self.world.until("/admin/phones", |_| true).await;
        let phones = phones.as_array().expect("a list");
        let found = phones.iter().find(|one| one["phone"] == phone).expect("a phone");
        let lid = found["lid"].as_str().expect("a LID");
        lid.split('@').next().unwrap_or(lid).to_owned()
    }
}

fn participants(data: &Value) -> Vec<&str> {
    let people = data["participants"].as_array().expect("a list").iter();
    people
        .map(|person| person["phone"].as_str().expect("a number"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_about_a_group_is_told() {
    let mut scene = Scene::new().await;
    let group = scene.group().await;
    let came = scene.session.noticed(EventType::GroupParticipants).await;
    let by = json!({"phone": scene.other, "lid": scene.lid(&scene.other).await});
    assert_eq!(
        (&came["group"], &came["action"], &came["reason"], &came["by"]),
        (&json!(group), &json!("added"), &json!("created"), &by)
    );
    assert_eq!(participants(&came), [scene.own.as_str()]);
    let path = scene.path(&format!("groups/{group}"));
    for changes in [
        json!({"subject": "Steam engines ⚙️"}),
        json!({"description": "All about them\nand more"}),
        json!({"description": ""}),
        json!({"announce": true}),
        json!({"locked": true}),
        json!({"joinApproval": true}),
        json!({"joinApproval": false}),
        json!({"membersAdd": false}),
        json!({"ephemeralSeconds": 86_400}),
        json!({"ephemeralSeconds": 0}),
    ] {
        scene.world.patch(&path, changes.clone()).await;
        let told = scene.session.noticed(EventType::GroupUpdated).await;
        assert_eq!((&told["changes"], &told["by"]), (&changes, &by));
        assert_eq!(told["group"], group);
    }
    for (picture, change) in [(&JPEG[..], "changed"), (&JPEG[..0], "removed")] {
        scene.world.picture(&path, picture).await;
        let told = scene.session.noticed(EventType::GroupUpdated).await;
        assert_eq!(
            (&told["changes"]["picture"], &told["by"]["lid"]),
            (&json!(change), &by["lid"])
        );
    }
    let promote = json!({"action": "promote", "participants": [scene.own]});
    scene.world.admin(&format!("{path}/participants"), promote).await;
    let promoted = scene.session.noticed(EventType::GroupParticipants).await;
    assert_eq!(promoted["action"], "promoted");
    // Admins alone are told of the link.
    scene.world.admin(&format!("{path}/invite-link"), json!({})).await;
    let told = scene.session.noticed(EventType::GroupUpdated).await;
    assert_eq!(told["changes"], json!({"inviteLink": "revoked"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_is_told() {
    let mut scene = Scene::new().await;
    let group = scene.group().await;
    scene.session.noticed(EventType::GroupParticipants).await;
    let (third, fourth) = (scene.world.phone("Bob").await, scene.world.phone("Cy").await);
    let path = scene.path(&format!("groups/{group}"));
    let link = scene.world.admin(&format!("{path}/invite-link"), json!({})).await;
    for (action, told_as) in [
        ("add", "added"),
        ("promote", "promoted"),
        ("demote", "demoted"),
        ("remove", "removed"),
    ] {
        let body = json!({"action": action, "participants": [third]});
        scene.world.admin(&format!("{path}/participants"), body).await;
        let told = scene.session.noticed(EventType::GroupParticipants).await;
        assert_eq!(
            (&told["action"], &told["by"]["phone"]),
            (&json!(told_as), &json!(scene.other))
        );
        assert_eq!(participants(&told), [third.as_str()]);
        assert!(
            told["participants"][0]["lid"].is_string(),
            "by both names: {told}"
        );
    }
    let join = format!("/admin/phones/{fourth}/join");
    scene.world.admin(&join, json!({"code": link["code"]})).await;
    let told = scene.session.noticed(EventType::GroupParticipants).await;
    assert_eq!(
        (&told["action"], &told["reason"]),
        (&json!("joined"), &json!("invite_link"))
    );
    assert_eq!(participants(&told), [fourth.as_str()]);
    let leave = format!("/admin/phones/{fourth}/leave");
    scene.world.admin(&leave, json!({"group": group})).await;
    let told = scene.session.noticed(EventType::GroupParticipants).await;
    assert_eq!(
        (&told["action"], &told["by"]["phone"]),
        (&json!("left"), &json!(fourth))
    );
}

/// The account's own device has made these changes, by a question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_account_does_itself_is_told_too() {
    let mut scene = Scene::new().await;
    let group = scene.group().await;
    let jid: Recipient = group.parse().expect("a group");
    let own = json!(scene.own);
    let change = ChangeGroup {
        group: jid.clone(),
        subject: Some("ada@work".to_owned()),
        description: None,
        announce: None,
        locked: None,
        ephemeral_seconds: Some(86_400),
        join_approval: None,
    };
    let asked = scene.session.connection.ask(&Ask::from(change)).await;
    asked.expect("changed");
    let mut changes = Vec::new();
    for _ in 0..2 {
        let told = scene.session.noticed(EventType::GroupUpdated).await;
        assert_eq!(told["by"]["phone"], own);
        changes.push(told["changes"].clone());
    }
    for change in [
        json!({"subject": "ada@work"}),
        json!({"ephemeralSeconds": 86_400}),
    ] {
        assert!(changes.contains(&change), "{changes:?}");
    }
    let picture = ChangePicture {
        group: jid,
        image: Some(test_picture()),
    };
    let asked = scene.session.connection.ask(&Ask::from(picture.clone())).await;
    asked.expect("changed");
    let told = scene.session.noticed(EventType::GroupUpdated).await;
    assert_eq!(
        (&told["changes"]["picture"], &told["by"]["phone"]),
        (&json!("changed"), &own)
    );
    let removal = ChangePicture {
        image: None,
        ..picture
    };
    scene
        .session
        .connection
        .ask(&Ask::from(removal))
        .await
        .expect("removed");
    let told = scene.session.noticed(EventType::GroupUpdated).await;
    assert_eq!(
        (&told["changes"]["picture"], &told["by"]["phone"]),
        (&json!("removed"), &own)
    );
}

/// A picture in base64, of one grey pixel.
fn test_picture() -> String {
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==".to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_contacts_is_told() {
    let mut scene = Scene::new().await;
    // Those who have written to somebody hear of them.
    scene.write().await;
    scene
        .world
        .admin(&scene.path("about"), json!({"text": "Gone fishing"}))
        .await;
    let told = scene.session.noticed(EventType::ContactUpdated).await;
    assert_eq!(told["changes"], json!({"about": "Gone fishing"}));
    assert_eq!(told["contact"]["phone"], scene.other);
    for (picture, change) in [(&JPEG[..], "changed"), (&JPEG[..0], "removed")] {
        let path = scene.path("");
        scene.world.picture(path.trim_end_matches('/'), picture).await;
        let told = scene.session.noticed(EventType::ContactUpdated).await;
        assert_eq!(told["changes"], json!({"picture": change}));
    }
    // What the account's own phone does.
    let saved =
        json!({"action": "contact", "phone": scene.other, "fullName": "Ada Lovelace", "firstName": "Ada"});
    let own = format!("/admin/phones/{}", scene.own);
    scene.world.admin(&format!("{own}/app-state"), saved).await;
    let told = scene.session.noticed(EventType::ContactUpdated).await;
    assert_eq!(
        told["changes"],
        json!({"name": "Ada Lovelace", "firstName": "Ada"})
    );
    assert_eq!(told["contact"]["phone"], scene.other);
    for blocked in [true, false] {
        let body = json!({"who": scene.other, "blocked": blocked});
        scene.world.admin(&format!("{own}/block"), body).await;
        let told = scene.session.noticed(EventType::ContactUpdated).await;
        assert_eq!(told["changes"], json!({"blocked": blocked}));
        assert_eq!(told["contact"]["phone"], scene.other);
    }
    let moved = "15550109999@s.whatsapp.net";
    let lid = format!("{}@lid", scene.lid(&scene.other).await);
    scene
        .stanza(json!({
            "tag": "notification",
            "attrs": {"from": "s.whatsapp.net", "id": "n1", "type": "contacts", "t": "1700000000"},
            "children": [{"tag": "modify", "attrs": {
                "old": format!("{}@s.whatsapp.net", scene.other), "new": moved, "old_lid": lid, "new_lid": lid,
            }}],
        }))
        .await;
    let told = scene.session.noticed(EventType::ContactUpdated).await;
    assert_eq!(told["changes"]["number"]["from"]["phone"], scene.other);
    assert_eq!(told["changes"]["number"]["to"]["phone"], "15550109999");
    assert_eq!(told["contact"], told["changes"]["number"]["to"]);
}

/// Each change brings a look at the book, and more of them come while one is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_the_address_book_is_missed() {
    let mut scene = Scene::new().await;
    let path = format!("/admin/phones/{}/app-state", scene.own);
    let names: Vec<String> = (0..20).map(|n| format!("Ada {n}")).collect();
    for name in &names {
        let saved = json!({"action": "contact", "phone": scene.other, "fullName": name});
        scene.world.admin(&path, saved).await;
    }
    loop {
        let told = scene.session.noticed(EventType::ContactUpdated).await;
        if told["changes"]["name"] == *names.last().expect("many") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_the_account_writes_with_is_followed_while_it_is_available() {
    let mut scene = Scene::new().await;
    scene.write().await;
    let other_is = async |scene: &Scene, available: bool| {
        let body = json!({"available": available});
        scene.world.admin(&scene.path("presence"), body).await;
    };
    other_is(&scene, true).await;
    other_is(&scene, false).await;
    // Writing shows without being followed.
    let typing = json!({"to": scene.own, "state": "composing"});
    scene.world.admin(&scene.path("typing"), typing).await;
    let told = scene.session.noticed(EventType::PresenceUpdated).await;
    assert_eq!(told["state"], "typing", "nobody was followed before");
    scene.be_available().await;
    let told = scene.session.noticed(EventType::PresenceUpdated).await;
    assert_eq!(told["state"], "unavailable");
    assert!(told["lastSeen"].is_string(), "{told}");
    other_is(&scene, true).await;
    let told = scene.session.noticed(EventType::PresenceUpdated).await;
    assert_eq!(
        (&told["state"], &told["from"]["phone"]),
        (&json!("available"), &json!(scene.other))
    );
    // Whoever writes to the account is followed too.
    let third = scene.world.phone("Bob").await;
    scene.world.send(&third, &scene.own, "hello").await;
    let told = scene.session.noticed(EventType::PresenceUpdated).await;
    assert_eq!(told["state"], "unavailable");
    for (state, told_as) in [("recording", "recording"), ("paused", "paused")] {
        let body = json!({"to": scene.own, "state": state});
        scene
            .world
            .admin(&format!("/admin/phones/{third}/typing"), body)
            .await;
        let told = scene.session.noticed(EventType::PresenceUpdated).await;
        assert_eq!(told["state"], told_as);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_is_told_and_what_was_missed_is_told_as_such() {
    let mut scene = Scene::new().await;
    let call = scene
        .world
        .admin(&scene.path("call"), json!({"to": scene.own, "video": true}))
        .await;
    let told = scene.session.noticed(EventType::CallReceived).await;
    assert_eq!(
        (&told["id"], &told["from"]["phone"]),
        (&call["id"], &json!(scene.other))
    );
    assert_eq!(
        (
            &told["isVideo"],
            &told["isGroup"],
            &told["missed"],
            &told["pushName"]
        ),
        (&json!(true), &json!(false), &json!(false), &json!("Ada"))
    );
    let group = scene.group().await;
    scene.world.admin(&scene.path("call"), json!({"to": group})).await;
    let told = scene.session.noticed(EventType::CallReceived).await;
    assert_eq!((&told["group"], &told["isGroup"]), (&json!(group), &json!(true)));
    scene.world.nothing_queued().await;
    scene.session.connection.disconnect().await;
    let call = scene
        .world
        .admin(&scene.path("call"), json!({"to": scene.own}))
        .await;
    scene.session = scene.world.begin(2).await;
    scene.session.connected().await;
    let told = scene.session.noticed(EventType::CallReceived).await;
    assert_eq!((&told["id"], &told["missed"]), (&call["id"], &json!(true)));
}

/// What happens while a session is away waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_a_reconnect_is_told_with_its_time_and_twice_as_the_same() {
    let mut scene = Scene::new().await;
    let group = scene.group().await;
    scene.session.notice(EventType::GroupParticipants).await;
    scene.world.nothing_queued().await;
    scene.session.connection.disconnect().await;
    let path = scene.path(&format!("groups/{group}"));
    scene
        .world
        .patch(&path, json!({"subject": "Steam engines"}))
        .await;
    scene.world.picture(&path, &JPEG).await;
    // The server tells one twice, as it does where an acknowledgement was lost.
    let twice = json!({
        "tag": "notification",
        "attrs": {"from": group, "id": "4711", "type": "w:gp2", "t": "1700000000", "participant": "100000000000001@lid"},
        "children": [{"tag": "announcement"}],
    });
    scene.stanza(twice.clone()).await;
    scene.stanza(twice).await;
    scene.session = scene.world.begin(2).await;
    scene.session.connected().await;
    let mut told: Vec<Notice> = Vec::new();
    for _ in 0..4 {
        told.push(scene.session.notice(EventType::GroupUpdated).await);
    }
    let twice: Vec<_> = told.iter().filter(|notice| notice.key == "4711/0").collect();
    assert_eq!(twice.len(), 2, "{told:?}");
    assert_eq!(twice[0], twice[1]);
    assert_eq!(twice[0].at.timestamp(), 1_700_000_000);
    let keys: std::collections::BTreeSet<_> = told.iter().map(|notice| &notice.key).collect();
    assert_eq!(keys.len(), 3, "each change has its own");
    scene.world.nothing_queued().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_stanzas_end_nothing() {
    let mut scene = Scene::new().await;
    let group = scene.group().await;
    scene.session.noticed(EventType::GroupParticipants).await;
    let own = format!("{}@s.whatsapp.net", scene.own);
    for (number, kind) in [
        "w:gp2",
        "picture",
        "status",
        "contacts",
        "account_sync",
        "levitation",
    ]
    .into_iter()
    .enumerate()
    {
        for (place, child) in [
            "levitated",
            "add",
            "set",
            "modify",
            "blocklist",
            "subject",
            "ephemeral",
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("{number}-{place}");
            let bare = json!({"tag": child, "attrs": {"jid": "no JID", "expiration": "-1", "t": "never"}});
            let attrs = json!({"from": group, "id": id, "type": kind, "t": "tomorrow"});
            scene
                .stanza(json!({"tag": "notification", "attrs": attrs, "children": [bare]}))
                .await;
        }
    }
    for stanza in [
        json!({"tag": "presence"}),
        json!({"tag": "presence", "attrs": {"from": group, "type": "levitating"}}),
        json!({"tag": "chatstate", "attrs": {"from": own}, "children": [{"tag": "levitating"}]}),
        json!({"tag": "chatstate", "attrs": {"from": group}, "children": [{"tag": "composing"}]}),
        json!({"tag": "call", "attrs": {"from": own, "id": "c1"}, "children": [{"tag": "offer"}]}),
        json!({"tag": "call", "attrs": {"from": own, "id": "c2", "t": "1"}, "children": [{"tag": "levitate"}]}),
    ] {
        scene.stanza(stanza).await;
    }
    let subject = json!({"subject": "Engines after all"});
    scene
        .world
        .patch(&scene.path(&format!("groups/{group}")), subject.clone())
        .await;
    loop {
        let told = scene.session.noticed(EventType::GroupUpdated).await;
        if told["changes"] == subject {
            break;
        }
    }
    let probe = scene.session.connection.probe(DEADLINE);
    probe.await.expect("the session goes on");
    scene.world.nothing_queued().await;
}
