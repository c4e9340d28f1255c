//! Groups that people found, change, join and leave.

use sandbox::Error;
use sandbox::script::{
    GroupEdit, NewGroup, NewPhone, ParticipantAction, ParticipantsRequest, Role, SendRequest,
};
use wacore::stanza::groups::GroupNotificationAction as Action;
use wacore::types::events::Event;
use wacore_binary::Jid;

use super::Scene;
use crate::client::TestClient;

/// Waits until the client hears of a change in `group`.
async fn hears(client: &TestClient, what: &str, group: &str, change: impl Fn(&Action) -> bool) {
    client
        .wait(what, |event| match event {
            Event::GroupUpdate(update) if update.group_jid.to_string() == group && change(&update.action) => {
                Some(())
            }
            _ => None,
        })
        .await;
}

/// The founder of a group adds, promotes and removes people.
async fn people_come_and_go(scene: &Scene, id: &str) {
    let Scene {
        sandbox,
        client,
        own,
        ada,
    } = scene;
    let grace = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
    let digits = id.trim_end_matches("@g.us");
    for (action, people, status) in [
        (ParticipantAction::Add, grace.number(), 200),
        (ParticipantAction::Add, grace.number(), 409),
        (ParticipantAction::Promote, own.number(), 200),
        (ParticipantAction::Demote, ada.number(), 406),
        (ParticipantAction::Remove, grace.number(), 200),
    ] {
        let request = ParticipantsRequest::new(action, [people]);
        let results = ada.change_participants(digits, request).await.expect("a result");
        assert_eq!(
            (results[0].phone.as_str(), results[0].status),
            (people, status),
            "{action:?}"
        );
    }
    hears(client, "a promotion", id, |action| {
        matches!(action, Action::Promote { .. })
    })
    .await;
    own.send(SendRequest::text(id, "me too"))
        .await
        .expect("admins may");
    let mine = own.groups().await.expect("the groups");
    let mut expected = [
        (ada.number().to_owned(), Role::Superadmin),
        (own.number().to_owned(), Role::Admin),
    ];
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    let people = mine[0].participants.iter();
    let mut roles: Vec<_> = people.map(|one| (one.phone.clone(), one.role)).collect();
    roles.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(roles, expected);
    assert_eq!(grace.groups().await.expect("the groups").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_founded_changed_and_left() {
    let scene = Scene::new().await;
    let Scene { client, own, ada, .. } = &scene;
    let new = NewGroup {
        subject: "Engines".into(),
        participants: vec![own.number().into(), "155509999999".into()],
        description: Some("Analytical ones".into()),
    };
    let founded = ada.create_group(new).await.expect("founded");
    assert_eq!(
        (founded.creator.as_str(), founded.subject.as_str()),
        (ada.number(), "Engines")
    );
    assert_eq!(
        (founded.refused[0].phone.as_str(), founded.refused[0].status),
        ("155509999999", 404)
    );
    let id = founded.id.as_str();
    ada.send(SendRequest::text(id, "welcome")).await.expect("said");
    assert_eq!(client.text("welcome").await.1.to_string(), id);

    let edit = GroupEdit {
        subject: Some("Difference engines".into()),
        announce: Some(true),
        ephemeral_seconds: Some(86_400),
        ..GroupEdit::default()
    };
    let edited = ada.edit_group(id, edit.clone()).await.expect("changed");
    assert_eq!(
        (
            edited.subject.as_str(),
            edited.announce,
            edited.locked,
            edited.ephemeral_seconds
        ),
        ("Difference engines", true, false, 86_400)
    );
    assert_eq!(edited.description.as_deref(), Some("Analytical ones"));
    hears(
        client,
        "a subject",
        id,
        |action| matches!(action, Action::Subject { subject, .. } if subject == "Difference engines"),
    )
    .await;
    hears(client, "an announcement group", id, |action| {
        matches!(action, Action::Announce)
    })
    .await;
    let refused = own.send(SendRequest::text(id, "me too")).await;
    assert!(
        matches!(refused, Err(Error::Refused { code: 403, .. })),
        "{refused:?}"
    );

    people_come_and_go(&scene, id).await;
    ada.leave_group(id).await.expect("left");
    hears(client, "a leave", id, |action| {
        matches!(action, Action::Remove { .. })
    })
    .await;
    let refused = ada.edit_group(id, edit).await;
    assert!(
        matches!(refused, Err(Error::Refused { code: 403, .. })),
        "{refused:?}"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_leads_into_a_group_or_to_its_admins() {
    let scene = Scene::new().await;
    let Scene {
        sandbox,
        client,
        own,
        ada,
    } = &scene;
    let grace = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
    let new = NewGroup {
        subject: "Open".into(),
        ..NewGroup::default()
    };
    let group = own.create_group(new).await.expect("founded").id;
    let jid: Jid = group.parse().expect("a JID");
    let link = client
        .client()
        .groups()
        .get_invite_link(&jid, false)
        .await
        .expect("a link");
    let code = link.rsplit('/').next().expect("a code");
    let joined = ada.join_group(code).await.expect("joined");
    assert_eq!((joined.group.as_str(), joined.pending), (group.as_str(), false));
    let again = ada.join_group(code).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let approval = GroupEdit {
        join_approval: Some(true),
        ..GroupEdit::default()
    };
    assert!(
        own.edit_group(&group, approval)
            .await
            .expect("changed")
            .join_approval
    );
    assert!(grace.join_group(code).await.expect("asked").pending);
    let unknown = grace.join_group("no code").await;
    assert!(
        matches!(unknown, Err(Error::Refused { code: 406, .. })),
        "{unknown:?}"
    );
    scene.end().await;
}
