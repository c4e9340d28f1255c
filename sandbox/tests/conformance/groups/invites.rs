//! Invite links, and requests to be let in.

use wacore::stanza::groups::GroupNotificationAction as Action;
use wacore_binary::Jid;
use whatsapp_rust::features::{JoinGroupResult, MembershipApprovalMode};

use super::{create, members, refusal, update};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_leads_into_the_group_until_it_is_reset() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let c = admin.phone().await;
    let group = create(&alice, "Crew", &[&c]).await;
    let (first, second) = (alice.client(), bob.client());
    let (hers, his) = (first.groups(), second.groups());

    assert_eq!(refusal(his.get_invite_link(&group, false).await), 403);
    let link = hers.get_invite_link(&group, false).await.expect("a link");
    assert_eq!(hers.get_invite_link(&group, false).await.expect("the same"), link);
    let info = his.get_invite_info(&link).await.expect("what it leads to");
    assert_eq!(
        (info.id.clone(), info.subject.as_str(), info.size),
        (group.clone(), "Crew", Some(2))
    );
    assert!(info.participants.is_empty(), "strangers do not see who is in");

    assert_eq!(
        his.join_with_invite_code(&link).await.expect("bob joins"),
        JoinGroupResult::Joined(group.clone())
    );
    let reason = update(&alice, "arrival", &group, |action| match action {
        Action::Add { reason, participants } if participants[0].phone_number == Some(Jid::pn(b.as_str())) => {
            Some(reason.clone())
        }
        _ => None,
    })
    .await;
    assert_eq!(reason.as_deref(), Some("invite"));
    assert_eq!(members(&bob, &group).await, [(a, true), (c, false), (b, false)]);
    assert_eq!(refusal(his.join_with_invite_code(&link).await), 409);
    // A member sees no link where it is the admins'.
    assert_eq!(refusal(his.get_invite_link(&group, false).await), 401);
    assert_eq!(refusal(his.get_invite_link(&group, true).await), 401);

    let next = hers.get_invite_link(&group, true).await.expect("another link");
    assert_ne!(next, link);
    his.leave(&group).await.expect("bob leaves");
    assert_eq!(refusal(his.join_with_invite_code(&link).await), 410);
    assert_eq!(refusal(his.get_invite_info("nonsense").await), 406);
    assert_eq!(refusal(his.get_invite_info(&"A".repeat(22)).await), 404);
    his.join_with_invite_code(&next).await.expect("bob is back");
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_decide_who_joins() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let c = admin.phone().await;
    let group = create(&alice, "Crew", &[]).await;
    let (first, second) = (alice.client(), bob.client());
    let (hers, his) = (first.groups(), second.groups());
    hers.set_membership_approval(&group, MembershipApprovalMode::On)
        .await
        .expect("closed");
    let link = hers.get_invite_link(&group, false).await.expect("a link");

    assert_eq!(
        his.join_with_invite_code(&link).await.expect("bob asks"),
        JoinGroupResult::PendingApproval(group.clone())
    );
    assert_eq!(refusal(his.join_with_invite_code(&link).await), 409);
    let asked = update(&alice, "request", &group, |action| match action {
        Action::CreatedMembershipRequests { requests, .. } => Some(requests[0].phone_number.clone()),
        _ => None,
    })
    .await;
    assert_eq!(asked, Some(Jid::pn(b.as_str())));
    assert_eq!(refusal(his.get_membership_requests(&group).await), 403);
    let code = link.rsplit('/').next().unwrap();
    let joined = admin
        .ok(
            "POST",
            &format!("/admin/phones/{c}/join"),
            &format!(r#"{{"code": "{code}"}}"#),
        )
        .await;
    assert_eq!(joined["pending"], true);
    let waiting = hers.get_membership_requests(&group).await.expect("two wait");
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|request| request.request_time.is_some()));

    let approved = hers
        .approve_membership_requests(&group, &[Jid::pn(b.as_str())])
        .await
        .expect("results");
    assert!(approved[0].is_ok());
    update(&bob, "group", &group, |action| {
        matches!(action, Action::Create { .. }).then_some(())
    })
    .await;
    let rejected = hers
        .reject_membership_requests(&group, &[Jid::pn(c.as_str()), Jid::pn("155509999999")])
        .await
        .expect("results");
    assert_eq!(
        rejected
            .iter()
            .map(|one| one.error.as_deref())
            .collect::<Vec<_>>(),
        [None, Some("404")]
    );
    assert!(
        hers.get_membership_requests(&group)
            .await
            .expect("none")
            .is_empty()
    );
    assert_eq!(members(&bob, &group).await.len(), 2);
    // While admins decide, members add nobody past them.
    assert_eq!(
        refusal(his.add_participants(&group, &[Jid::pn(c.as_str())]).await),
        403
    );

    his.leave(&group).await.expect("bob leaves");
    his.join_with_invite_code(&link).await.expect("and asks again");
    let lid = second.lid().expect("a LID");
    his.cancel_membership_requests(&group, &[lid.to_non_ad()])
        .await
        .expect("and thinks better of it");
    assert!(
        hers.get_membership_requests(&group)
            .await
            .expect("none")
            .is_empty()
    );
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lets_nobody_add_them_accepts_an_invitation() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let c = admin.phone().await;
    admin
        .ok(
            "POST",
            &format!("/admin/phones/{b}/privacy"),
            r#"{"groupadd": "none"}"#,
        )
        .await;
    admin
        .ok(
            "POST",
            &format!("/admin/phones/{c}/block"),
            &format!(r#"{{"who": "{a}"}}"#),
        )
        .await;
    let group = create(&alice, "Crew", &[]).await;
    let (first, second) = (alice.client(), bob.client());
    let (hers, his) = (first.groups(), second.groups());
    let (b, c) = (Jid::pn(b.as_str()), Jid::pn(c.as_str()));
    let added = hers
        .add_participants(&group, &[b.clone(), c])
        .await
        .expect("results");
    let errors: Vec<_> = added.iter().map(|one| one.error.as_deref()).collect();
    assert_eq!(errors, [Some("403"), Some("401")]);
    let invitation = added[0].add_request.clone().expect("an invitation");
    let ends = i64::try_from(invitation.expiration).expect("a time");

    let host = Jid::pn(a.as_str());
    let other = his.join_with_invite_v4(&group, "nonsense", ends, &host).await;
    assert_eq!(refusal(other), 404);
    let joined = his
        .join_with_invite_v4(&group, &invitation.code, ends, &host)
        .await;
    assert_eq!(
        joined.expect("bob accepts"),
        JoinGroupResult::Joined(group.clone())
    );
    assert_eq!(members(&bob, &group).await.len(), 2);

    his.leave(&group).await.expect("bob leaves");
    let again = hers
        .add_participants(&group, std::slice::from_ref(&b))
        .await
        .expect("results");
    let invitation = again[0].add_request.clone().expect("another invitation");
    let revoked = hers.revoke_request_code(&group, &[b]).await.expect("results");
    assert!(revoked[0].is_ok());
    let late = his
        .join_with_invite_v4(&group, &invitation.code, ends, &host)
        .await;
    assert_eq!(refusal(late), 404);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}
