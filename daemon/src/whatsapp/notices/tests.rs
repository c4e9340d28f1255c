use chrono::TimeDelta;
use serde_json::{Value, json};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::*;

const GROUP: &str = "120363021033254949@g.us";
const ADA: &str = "100000000000001@lid";
const ADA_BY_NUMBER: &str = "15550100001@s.whatsapp.net";
const BOB: &str = "100000000000002@lid";
const OWN: &str = "100000000000009@lid";

fn own() -> Person {
    Person {
        phone: Some("15550100009".to_owned()),
        lid: Some("100000000000009".to_owned()),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

fn jid(text: &str) -> Jid {
    text.parse().expect("a JID")
}

fn told(stanza: &Node) -> Vec<Notice> {
    read(&stanza.as_node_ref(), &own(), now())
}

fn data(notice: &Notice) -> Value {
    serde_json::to_value(&notice.data).expect("plain data")
}

/// A stanza about a group, by Ada.
fn group(children: impl IntoIterator<Item = Node>) -> Node {
    NodeBuilder::new("notification")
        .attr("from", jid(GROUP))
        .attr("type", "w:gp2")
        .attr("id", "4711")
        .attr("t", "1700000000")
        .attr("participant", jid(ADA))
        .attr("participant_pn", jid(ADA_BY_NUMBER))
        .children(children)
        .build()
}

fn member(name: &str) -> Node {
    NodeBuilder::new("participant").attr("jid", jid(name)).build()
}

fn change(tag: &'static str, people: &[&str]) -> Node {
    let people = people.iter().map(|name| member(name));
    NodeBuilder::new(tag).children(people).build()
}

#[test]
fn each_change_of_a_group_is_told_with_who_made_it() {
    let bare = |tag: &'static str| NodeBuilder::new(tag).build();
    let subject = NodeBuilder::new("subject").attr("subject", "Engines").build();
    let body = NodeBuilder::new("body").bytes("All about them").build();
    let described = NodeBuilder::new("description").children([body]).build();
    let undescribed = NodeBuilder::new("description").children([bare("delete")]).build();
    let timer = NodeBuilder::new("ephemeral").attr("expiration", "86400").build();
    let state = NodeBuilder::new("group_join").attr("state", "on").build();
    let approval = NodeBuilder::new("membership_approval_mode")
        .children([state])
        .build();
    let add_mode = NodeBuilder::new("member_add_mode")
        .string_content("admin_add")
        .build();
    for (child, changes) in [
        (subject, json!({"subject": "Engines"})),
        (described, json!({"description": "All about them"})),
        (undescribed, json!({"description": ""})),
        (bare("announcement"), json!({"announce": true})),
        (bare("not_announcement"), json!({"announce": false})),
        (bare("locked"), json!({"locked": true})),
        (bare("unlocked"), json!({"locked": false})),
        (timer, json!({"ephemeralSeconds": 86_400})),
        (bare("not_ephemeral"), json!({"ephemeralSeconds": 0})),
        (approval, json!({"joinApproval": true})),
        (add_mode, json!({"membersAdd": false})),
        (bare("invite"), json!({"inviteLink": "revoked"})),
        (bare("revoke"), json!({"inviteLink": "revoked"})),
    ] {
        let notices = told(&group([child]));
        let [notice] = &notices[..] else {
            panic!("one notice for {changes}: {notices:?}")
        };
        let by = json!({"phone": "15550100001", "lid": "100000000000001"});
        assert_eq!(
            data(notice),
            json!({"group": GROUP, "by": by, "changes": changes, "truncated": false})
        );
        assert_eq!((notice.by.as_str(), notice.key.as_str()), (ADA, "4711/0"));
        assert_eq!(notice.at.timestamp(), 1_700_000_000);
    }
}

#[test]
fn who_comes_and_goes_is_told_as_what_it_is() {
    let with = |tag: &'static str, name: &'static str, value: &'static str, people: &[&str]| {
        let people = people.iter().map(|name| member(name));
        NodeBuilder::new(tag).attr(name, value).children(people).build()
    };
    let lid = |jid: &str| jid.trim_end_matches("@lid").to_owned();
    for (child, action, reason, people) in [
        (change("add", &[BOB]), "added", Value::Null, vec![BOB]),
        (change("add", &[ADA]), "joined", Value::Null, vec![ADA]),
        (
            with("add", "reason", "invite", &[BOB]),
            "joined",
            json!("invite_link"),
            vec![BOB],
        ),
        (
            with("add", "reason", "linked_group_join", &[BOB]),
            "added",
            json!("community"),
            vec![BOB],
        ),
        (
            change("remove", &[BOB, OWN]),
            "removed",
            Value::Null,
            vec![BOB, OWN],
        ),
        (change("remove", &[ADA]), "left", Value::Null, vec![ADA]),
        (change("promote", &[BOB]), "promoted", Value::Null, vec![BOB]),
        (change("demote", &[BOB]), "demoted", Value::Null, vec![BOB]),
        (
            with("create", "type", "new", &[]),
            "added",
            json!("created"),
            vec![OWN],
        ),
        (
            with("create", "reason", "invite", &[]),
            "joined",
            json!("invite_link"),
            vec![OWN],
        ),
        (change("create", &[]), "added", Value::Null, vec![OWN]),
    ] {
        let notices = told(&group([child]));
        let [notice] = &notices[..] else {
            panic!("one notice that somebody {action}: {notices:?}")
        };
        let data = data(notice);
        assert_eq!((&data["action"], &data["reason"]), (&json!(action), &reason));
        let listed = data["participants"].as_array().expect("a list").iter();
        let listed: Vec<_> = listed.map(|person| person["lid"].clone()).collect();
        let wanted: Vec<_> = people.iter().map(|jid| json!(lid(jid))).collect();
        assert_eq!(listed, wanted, "who {action}");
        if people.contains(&OWN) {
            let own = &data["participants"][people.len() - 1];
            assert_eq!(own["phone"], "15550100009", "the account has both names");
        }
    }
}

#[test]
fn one_stanza_of_several_changes_is_several_notices() {
    let stanza = group([
        change("promote", &[BOB]),
        NodeBuilder::new("levitated").build(),
        change("remove", &[BOB]),
    ]);
    let notices = told(&stanza);
    let keys: Vec<_> = notices.iter().map(|notice| notice.key.as_str()).collect();
    assert_eq!(keys, ["4711/0", "4711/2"]);
    assert_eq!(told(&stanza), notices, "the same when it comes again");
}

#[test]
fn a_thousand_who_join_fit_and_more_are_cut_off() {
    let crowd = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("1000000000{n:05}@lid")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let notices = told(&group([change("add", &names)]));
        assert_eq!(notices.len(), 1);
        data(&notices[0])
    };
    for (count, is_cut) in [(1_024, false), (5_000, true)] {
        let data = crowd(count);
        assert_eq!(data["participants"].as_array().map(Vec::len), Some(1_024));
        assert_eq!(data["truncated"], is_cut);
        assert!(data.to_string().len() < 200_000);
    }
}

#[test]
fn what_strangers_make_long_is_cut_off() {
    let long = "ü".repeat(10_000);
    let subject = NodeBuilder::new("subject").attr("subject", long.as_str()).build();
    let body = NodeBuilder::new("body").bytes(long.as_str()).build();
    let described = NodeBuilder::new("description").children([body]).build();
    for (child, name, most) in [(subject, "subject", 1_024), (described, "description", 4_096)] {
        let data = data(&told(&group([child]))[0]);
        let told = data["changes"][name].as_str().expect("a text");
        assert_eq!((told.chars().count(), &data["truncated"]), (most, &json!(true)));
    }
}

#[test]
fn a_picture_is_the_same_notice_from_here_and_from_whatsapp() {
    let set = NodeBuilder::new("set")
        .attr("jid", jid(GROUP))
        .attr("id", "1799999990")
        .attr("author", jid(OWN))
        .build();
    let of = |children: Vec<Node>, from: &str| {
        NodeBuilder::new("notification")
            .attr("from", jid(from))
            .attr("type", "picture")
            .attr("id", "99")
            .attr("t", "1799999993")
            .children(children)
            .build()
    };
    let notices = told(&of(vec![set.clone()], GROUP));
    let group: Recipient = GROUP.parse().expect("a group");
    let ours = own_picture(&group, own(), Some("1799999990"), now());
    assert_eq!(notices, [ours]);
    assert_eq!(data(&notices[0])["changes"], json!({"picture": "changed"}));
    let of_person = told(&of(vec![set], ADA));
    assert_eq!(data(&of_person[0])["contact"]["lid"], "100000000000001");
    for children in [vec![], vec![NodeBuilder::new("delete").build()]] {
        for from in [GROUP, ADA] {
            let notices = told(&of(children.clone(), from));
            assert_eq!(data(&notices[0])["changes"], json!({"picture": "removed"}));
            assert_eq!(notices[0].key, "99");
        }
    }
    assert!(told(&of(vec![NodeBuilder::new("request").build()], ADA)).is_empty());
}

#[test]
fn what_becomes_of_contacts_is_told() {
    let of = |from: &str, kind: &str, child: Node| {
        NodeBuilder::new("notification")
            .attr("from", jid(from))
            .attr("type", kind)
            .attr("id", "7")
            .attr("t", "1700000000")
            .children([child])
            .build()
    };
    let set = NodeBuilder::new("set").bytes("Gone fishing").build();
    let about = told(&of(ADA, "status", set));
    assert_eq!(data(&about[0])["changes"], json!({"about": "Gone fishing"}));
    let modify = NodeBuilder::new("modify")
        .attr("old", jid(ADA_BY_NUMBER))
        .attr("new", jid("15550100077@s.whatsapp.net"))
        .attr("new_lid", jid(ADA))
        .build();
    let moved = data(&told(&of(ADA_BY_NUMBER, "contacts", modify))[0]);
    let after = json!({"phone": "15550100077", "lid": "100000000000001"});
    assert_eq!(moved["contact"], after);
    assert_eq!(
        moved["changes"]["number"],
        json!({"from": {"phone": "15550100001", "lid": null}, "to": after})
    );
    let item = |action: &str, name: &str| {
        NodeBuilder::new("item")
            .attr("action", action)
            .attr("jid", jid(name))
            .build()
    };
    let list = NodeBuilder::new("blocklist")
        .children([item("block", ADA), item("dance", ADA), item("unblock", BOB)])
        .build();
    let blocked = told(&of(OWN, "account_sync", list));
    let changes: Vec<_> = blocked
        .iter()
        .map(|notice| data(notice)["changes"].clone())
        .collect();
    assert_eq!(changes, [json!({"blocked": true}), json!({"blocked": false})]);
    assert_ne!(blocked[0].key, blocked[1].key);
    let own_about = NodeBuilder::new("set").bytes("Here").build();
    assert!(
        told(&of(OWN, "status", own_about)).is_empty(),
        "the account is no contact"
    );
}

#[test]
fn who_is_there_and_who_writes_is_told() {
    let presence = |kind: Option<&str>, last: Option<&str>| {
        let node = NodeBuilder::new("presence").attr("from", jid(ADA));
        let node = kind.into_iter().fold(node, |node, kind| node.attr("type", kind));
        let node = last.into_iter().fold(node, |node, last| node.attr("last", last));
        node.build()
    };
    for (stanza, state, last_seen) in [
        (presence(None, None), "available", Value::Null),
        (
            presence(Some("unavailable"), Some("1700000000")),
            "unavailable",
            json!("2023-11-14T22:13:20.000Z"),
        ),
        (
            presence(Some("unavailable"), Some("deny")),
            "unavailable",
            Value::Null,
        ),
    ] {
        let data = data(&told(&stanza)[0]);
        assert_eq!((&data["state"], &data["lastSeen"]), (&json!(state), &last_seen));
        assert_eq!(
            data["chat"],
            json!({"phone": null, "lid": "100000000000001", "group": null})
        );
    }
    let state = |from: &str, participant: Option<&str>, child: Node| {
        let node = NodeBuilder::new("chatstate").attr("from", jid(from));
        let node = participant
            .into_iter()
            .fold(node, |node, name| node.attr("participant", jid(name)));
        node.children([child]).build()
    };
    let composing = || NodeBuilder::new("composing").build();
    let typing = data(&told(&state(ADA_BY_NUMBER, None, composing()))[0]);
    assert_eq!(
        (&typing["state"], &typing["from"]["phone"]),
        (&json!("typing"), &json!("15550100001"))
    );
    let recording = NodeBuilder::new("composing").attr("media", "audio").build();
    let recording = data(&told(&state(GROUP, Some(BOB), recording))[0]);
    assert_eq!(recording["chat"]["group"], GROUP);
    assert_eq!(
        (&recording["state"], &recording["from"]["lid"]),
        (&json!("recording"), &json!("100000000000002"))
    );
    assert!(
        told(&state(GROUP, Some(OWN), composing())).is_empty(),
        "the account's own"
    );
}

#[test]
fn who_calls_is_told_once_by_the_calls_id() {
    let offer = NodeBuilder::new("offer")
        .attr("call-id", "CAFE")
        .attr("call-creator", jid("100000000000001:3@lid"))
        .attr("caller_pn", jid(ADA_BY_NUMBER));
    let call = |child: Node| {
        NodeBuilder::new("call")
            .attr("from", jid("100000000000001:3@lid"))
            .attr("id", "1")
            .attr("t", "1700000000")
            .attr("notify", "Ada")
            .children([child])
    };
    let rings = told(&call(offer.build()).build());
    assert_eq!(
        data(&rings[0]),
        json!({
            "id": "CAFE", "from": {"phone": "15550100001", "lid": "100000000000001"}, "pushName": "Ada", "group": null,
            "isGroup": false, "isVideo": false, "missed": false, "timestamp": "2023-11-14T22:13:20.000Z",
        })
    );
    let notice = NodeBuilder::new("offer_notice")
        .attr("call-id", "CAFE")
        .attr("call-creator", jid(ADA))
        .attr("media", "video")
        .attr("type", "group")
        .build();
    let again = told(&call(notice).attr("offline", "1").build());
    let told_again = data(&again[0]);
    assert_eq!(
        (
            &told_again["isGroup"],
            &told_again["isVideo"],
            &told_again["missed"]
        ),
        (&json!(true), &json!(true), &json!(true))
    );
    let of = |notice: &Notice| (notice.by.clone(), notice.key.clone(), notice.at);
    assert_eq!(of(&again[0]), of(&rings[0]), "whichever way it came");
    let over = NodeBuilder::new("terminate").attr("call-id", "CAFE").build();
    assert!(told(&call(over).build()).is_empty());
}

#[test]
fn what_cannot_be_read_is_left_out() {
    let bare = |tag: &'static str| NodeBuilder::new(tag).build();
    let from = |tag: &'static str, from: &str| NodeBuilder::new(tag).attr("from", jid(from));
    let mut stanzas = vec![
        bare("notification"),
        bare("presence"),
        bare("chatstate"),
        bare("call"),
    ];
    for kind in [
        "w:gp2",
        "picture",
        "status",
        "contacts",
        "account_sync",
        "levitation",
        "",
    ] {
        for name in [
            GROUP,
            ADA,
            "status@broadcast",
            "0@s.whatsapp.net",
            "s.whatsapp.net",
        ] {
            let head = || {
                from("notification", name)
                    .attr("type", kind)
                    .attr("t", "99999999999999999999")
            };
            stanzas.push(head().build());
            for tag in [
                "add",
                "remove",
                "create",
                "subject",
                "description",
                "ephemeral",
                "membership_approval_mode",
                "set",
                "delete",
                "modify",
                "blocklist",
                "levitated",
            ] {
                stanzas.push(head().children([bare(tag)]).build());
                let odd = NodeBuilder::new(tag)
                    .attr("jid", "no JID")
                    .attr("expiration", "-1");
                let inner = NodeBuilder::new("item").attr("action", "block").build();
                let inner_member = NodeBuilder::new("participant").attr("jid", "@@@").build();
                stanzas.push(
                    head()
                        .children([odd.children([inner, inner_member]).build()])
                        .build(),
                );
                stanzas.push(
                    head()
                        .children([NodeBuilder::new(tag).bytes(vec![0xFF; 9]).build()])
                        .build(),
                );
            }
        }
    }
    for name in [GROUP, ADA, "status@broadcast"] {
        stanzas.push(from("presence", name).attr("type", "levitating").build());
        stanzas.push(from("chatstate", name).children([bare("levitating")]).build());
        stanzas.push(from("call", name).children([bare("offer")]).build());
        let long = "9".repeat(10_000);
        let offer = NodeBuilder::new("offer").attr("call-id", long.as_str()).build();
        stanzas.push(from("call", name).children([offer]).build());
    }
    for stanza in &stanzas {
        for notice in told(stanza) {
            // What is told all the same has a time that an id can hold.
            assert!(notice.at <= now() + TimeDelta::days(1), "{stanza:?}");
        }
    }
}
