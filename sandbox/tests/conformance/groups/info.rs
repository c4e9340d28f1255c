//! What a group is, exactly, and how it changes.

use wacore::iq::groups::{GroupInfoOutcome, GroupQueryIq};
use wacore::messages::MessageUtils;
use wacore::stanza::groups::GroupNotificationAction as Action;
use wacore::types::message::AddressingMode;
use wacore_binary::Jid;
use whatsapp_rust::features::{
    GroupCreateOptions, GroupDescription, GroupError, GroupSubject, MemberAddMode, MembershipApprovalMode,
    PreviousDescription,
};

use super::{create, participant, refusal, update};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_shown_exactly() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let c = admin.phone().await;
    let lids = admin.ok("GET", "/admin/phones", "").await;
    let lid = |phone: &str| {
        let all = lids.as_array().unwrap();
        let one = all.iter().find(|one| one["phone"] == phone).unwrap();
        Jid::lid(one["lid"].as_str().unwrap())
    };

    let mut options = GroupCreateOptions::new("Crew").with_participants(vec![
        participant(&b),
        participant(&c),
        participant("155509999999"),
    ]);
    options.description = Some(GroupDescription::new("12345").unwrap());
    options.ephemeral_expiration = Some(86_400);
    let groups = alice.client();
    let created = groups
        .groups()
        .create_group(options)
        .await
        .expect("a group")
        .metadata;
    // Who is not on the network is named in the answer alone.
    assert_eq!(created.participants.len(), 4);
    let group = created.id.clone();
    update(&bob, "creation", &group, |action| {
        matches!(action, Action::Create { .. }).then_some(())
    })
    .await;

    let client = bob.client();
    let info = client.groups().get_metadata(&group).await.expect("the group");
    assert_eq!(info.id, group);
    assert_eq!(info.subject, "Crew");
    assert_eq!(info.addressing_mode, AddressingMode::Lid);
    assert_eq!(info.size, Some(3));
    assert_eq!(info.creator, Some(lid(&a)));
    assert_eq!(info.creator_pn, Some(Jid::pn(a.as_str())));
    assert_eq!(info.subject_owner, Some(lid(&a)));
    assert_eq!(info.subject_owner_pn, Some(Jid::pn(a.as_str())));
    assert_eq!(info.subject_time, info.creation_time);
    assert!(info.creation_time.is_some_and(|at| at > 1_600_000_000));
    assert!(info.participant_version_id.is_some() && info.admin_version_id.is_some());
    // A text of digits stays a text.
    assert_eq!(info.description.as_deref(), Some("12345"));
    assert_eq!(info.description_owner, Some(lid(&a)));
    assert_eq!(info.description_time, info.creation_time);
    assert_eq!(
        info.ephemeral.and_then(|ephemeral| ephemeral.expiration),
        Some(86_400)
    );
    assert!(!info.is_locked && !info.is_announcement && !info.membership_approval);
    let members: Vec<_> = info
        .participants
        .iter()
        .map(|one| (one.jid.clone(), one.phone_number.clone(), one.is_super_admin()))
        .collect();
    let expected: Vec<_> = [(&a, true), (&b, false), (&c, false)]
        .into_iter()
        .map(|(phone, first)| (lid(phone), Some(Jid::pn(phone.as_str())), first))
        .collect();
    assert_eq!(members, expected);

    // All that bob is in, in one answer.
    let all = client.groups().get_participating().await.expect("all groups");
    assert_eq!(all.len(), 1);
    assert_eq!(all[&group].participants.len(), 3);
    assert_eq!(all[&group].description.as_deref(), Some("12345"));

    // Who knows the participants is told that nothing changed.
    let jids: Vec<Jid> = expected.iter().map(|(jid, ..)| jid.clone()).collect();
    let hash = MessageUtils::participant_list_hash(&jids).unwrap();
    let same = client.execute(GroupQueryIq::with_phash(&group, Some(hash))).await;
    assert!(matches!(same, Ok(GroupInfoOutcome::NotModified)), "{same:?}");
    let other = GroupQueryIq::with_phash(&group, Some("2:AAAAAAAA".into()));
    assert!(matches!(
        client.execute(other).await,
        Ok(GroupInfoOutcome::Full(_))
    ));

    // Nobody else sees it, and what is not there is not there.
    let (carol, _) = TestClient::paired(&sandbox.ws_url(), admin, Some("155501000099")).await;
    let stranger = carol.client();
    assert_eq!(refusal(stranger.groups().get_metadata(&group).await), 403);
    let missing = Jid::group("120363999999999999");
    assert_eq!(refusal(stranger.groups().get_metadata(&missing).await), 404);
    assert!(
        stranger
            .groups()
            .get_participating()
            .await
            .expect("none")
            .is_empty()
    );
    for client in [alice, bob, carol] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subject_and_description_change_for_all() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let group = create(&alice, "Before", &[&b]).await;
    let (first, second) = (alice.client(), bob.client());
    let (hers, his) = (first.groups(), second.groups());

    his.set_subject(&group, GroupSubject::new("After").unwrap())
        .await
        .expect("a member renames an open group");
    for client in [&alice, &bob] {
        let told = update(client, "subject", &group, |action| match action {
            Action::Subject {
                subject,
                subject_owner,
                ..
            } => Some((subject.clone(), subject_owner.clone())),
            _ => None,
        })
        .await;
        assert_eq!(told.0, "After");
        assert!(told.1.is_some_and(|owner| owner.is_lid()));
    }
    let long = GroupSubject::new_unchecked("x".repeat(101));
    assert_eq!(refusal(his.set_subject(&group, long).await), 406);

    let text = |text: &str| Some(GroupDescription::new(text).unwrap());
    his.set_description(&group, text("about"), PreviousDescription::Absent)
        .await
        .expect("described");
    let lost = hers
        .set_description(&group, text("lost"), PreviousDescription::Absent)
        .await;
    assert!(matches!(lost, Err(GroupError::DescriptionConflict)), "{lost:?}");
    hers.set_description(&group, text("better"), PreviousDescription::Resolve)
        .await
        .expect("described anew");
    update(&bob, "description", &group, |action| match action {
        Action::Description { description, .. } => (description.as_deref() == Some("better")).then_some(()),
        _ => None,
    })
    .await;
    hers.set_description(&group, None, PreviousDescription::Resolve)
        .await
        .expect("described no more");
    update(&bob, "the description's end", &group, |action| match action {
        Action::Description {
            description: None, ..
        } => Some(()),
        _ => None,
    })
    .await;
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_change_for_all() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let group = create(&alice, "Settings", &[&b]).await;
    let (first, second) = (alice.client(), bob.client());
    let (hers, his) = (first.groups(), second.groups());

    hers.set_member_add_mode(&group, MemberAddMode::AdminAdd)
        .await
        .expect("admins add");
    // The client cannot read this mode in a group's info, so what shows it is its effect.
    let nobody = [Jid::pn("155509999999")];
    assert_eq!(refusal(his.add_participants(&group, &nobody).await), 403);
    hers.set_locked(&group, true).await.expect("locked");
    hers.set_announce(&group, true)
        .await
        .expect("an announcement group");
    hers.set_membership_approval(&group, MembershipApprovalMode::On)
        .await
        .expect("closed");
    hers.set_ephemeral(&group, 604_800).await.expect("a timer");
    for (what, seen) in [
        (
            "lock",
            (|action| matches!(action, Action::Locked { .. })) as fn(&Action) -> bool,
        ),
        ("announcement", |action| matches!(action, Action::Announce)),
        ("approval", |action| {
            matches!(action, Action::MembershipApprovalMode { enabled: true })
        }),
        (
            "add mode",
            |action| matches!(action, Action::MemberAddMode { mode } if mode == "admin_add"),
        ),
        ("timer", |action| {
            matches!(
                action,
                Action::Ephemeral {
                    expiration: 604_800,
                    ..
                }
            )
        }),
    ] {
        update(&bob, what, &group, |action| seen(action).then_some(())).await;
    }
    let info = his.get_metadata(&group).await.expect("the group");
    assert!(info.is_locked && info.is_announcement && info.membership_approval);
    assert_eq!(info.description, None);
    // Now none of it is the member's.
    assert_eq!(
        refusal(his.set_subject(&group, GroupSubject::new("No").unwrap()).await),
        403
    );
    assert_eq!(refusal(his.set_ephemeral(&group, 0).await), 403);
    assert_eq!(refusal(his.set_locked(&group, false).await), 403);
    assert_eq!(refusal(his.set_announce(&group, false).await), 403);

    hers.set_locked(&group, false).await.expect("unlocked");
    hers.set_announce(&group, false).await.expect("open");
    hers.set_ephemeral(&group, 0).await.expect("no timer");
    update(&bob, "the timer's end", &group, |action| {
        matches!(action, Action::Ephemeral { expiration: 0, .. }).then_some(())
    })
    .await;
    let info = his.get_metadata(&group).await.expect("the group");
    assert!(!info.is_locked && !info.is_announcement && info.ephemeral.is_none());
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}
