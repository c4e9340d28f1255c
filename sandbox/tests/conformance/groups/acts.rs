//! Adding, removing, promoting, demoting and leaving, with a result for each person.

use wacore::stanza::groups::GroupNotificationAction as Action;
use wacore_binary::Jid;
use whatsapp_rust::features::ParticipantChangeResponse;

use super::{create, members, refusal, update};
use crate::client::TestClient;
use crate::net::{Admin, start};

/// Status or error of each, by number.
fn results(changes: &[ParticipantChangeResponse]) -> Vec<(String, String)> {
    let code = |change: &ParticipantChangeResponse| change.error.clone().or(change.status.clone());
    let name = |change: &ParticipantChangeResponse| {
        change
            .phone_number
            .as_ref()
            .unwrap_or(&change.jid)
            .user
            .to_string()
    };
    changes
        .iter()
        .map(|change| (name(change), code(change).unwrap_or_default()))
        .collect()
}

fn is(person: &str, code: &str) -> (String, String) {
    (person.to_owned(), code.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_person_has_a_result() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (c, d) = (admin.phone().await, admin.phone().await);
    let group = create(&alice, "Crew", &[&b]).await;
    let (first, second) = (alice.client(), bob.client());
    let (hers, his) = (first.groups(), second.groups());
    let nobody = "155509999999";

    let added = hers
        .add_participants(
            &group,
            &[Jid::pn(c.as_str()), Jid::pn(b.as_str()), Jid::pn(nobody)],
        )
        .await
        .expect("results");
    assert_eq!(results(&added), [is(&c, "200"), is(&b, "409"), is(nobody, "404")]);
    let newcomers = update(&bob, "addition", &group, |action| match action {
        Action::Add { participants, .. } => Some(participants.clone()),
        _ => None,
    })
    .await;
    assert_eq!(newcomers.len(), 1);
    assert_eq!(newcomers[0].phone_number, Some(Jid::pn(c.as_str())));
    // Members add in an open group, but promote and remove nobody.
    let added = his
        .add_participants(&group, &[Jid::pn(d.as_str())])
        .await
        .expect("results");
    assert_eq!(results(&added), [is(&d, "200")]);
    assert_eq!(
        refusal(his.promote_participants(&group, &[Jid::pn(c.as_str())]).await),
        403
    );
    assert_eq!(
        refusal(his.remove_participants(&group, &[Jid::pn(c.as_str())]).await),
        403
    );

    let promoted = hers
        .promote_participants(&group, &[Jid::pn(b.as_str()), Jid::pn(nobody)])
        .await
        .expect("results");
    assert_eq!(results(&promoted), [is(&b, "200"), is(nobody, "404")]);
    update(&bob, "promotion", &group, |action| {
        matches!(action, Action::Promote { .. }).then_some(())
    })
    .await;
    assert_eq!(
        members(&bob, &group).await,
        [
            (a.clone(), true),
            (b.clone(), true),
            (c.clone(), false),
            (d.clone(), false)
        ]
    );
    // An admin removes, but not the creator.
    let removed = his
        .remove_participants(
            &group,
            &[Jid::pn(d.as_str()), Jid::pn(a.as_str()), Jid::pn(d.as_str())],
        )
        .await
        .expect("results");
    assert_eq!(results(&removed), [is(&d, "200"), is(&a, "406"), is(&d, "404")]);
    let gone = update(&alice, "removal", &group, |action| match action {
        Action::Remove { participants, .. } => Some(participants[0].phone_number.clone()),
        _ => None,
    })
    .await;
    assert_eq!(gone, Some(Jid::pn(d.as_str())));
    assert_eq!(
        results(
            &his.demote_participants(&group, &[Jid::pn(a.as_str())])
                .await
                .unwrap()
        ),
        [is(&a, "406")]
    );
    assert_eq!(
        results(
            &hers
                .demote_participants(&group, &[Jid::pn(b.as_str())])
                .await
                .unwrap()
        ),
        [is(&b, "200")]
    );
    update(&bob, "demotion", &group, |action| {
        matches!(action, Action::Demote { .. }).then_some(())
    })
    .await;
    assert_eq!(members(&bob, &group).await, [(a, true), (b, false), (c, false)]);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_member_follows_the_last_admin() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let c = admin.phone().await;
    let group = create(&alice, "Crew", &[&b, &c]).await;
    alice.client().groups().leave(&group).await.expect("alice leaves");
    let heir = update(&bob, "promotion", &group, |action| match action {
        Action::Promote { participants } => Some(participants[0].phone_number.clone()),
        _ => None,
    })
    .await;
    assert_eq!(heir, Some(Jid::pn(b.as_str())));
    assert_eq!(refusal(alice.client().groups().get_metadata(&group).await), 403);
    assert_eq!(refusal(alice.client().groups().leave(&group).await), 403);
    assert_eq!(
        members(&bob, &group).await,
        [(b.clone(), true), (c.clone(), false)]
    );
    let (alice, bob) = (alice.stop().await, bob.stop().await);
    sandbox.shutdown().await;

    // A restart keeps groups as they are.
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let bob = TestClient::start(&sandbox.ws_url(), bob).await;
    bob.connected().await;
    assert_eq!(members(&bob, &group).await, [(b, true), (c.clone(), false)]);
    // With its last member a group ends.
    bob.client().groups().leave(&group).await.expect("bob leaves");
    admin
        .ok(
            "POST",
            &format!("/admin/phones/{c}/leave"),
            &format!(r#"{{"group": "{group}"}}"#),
        )
        .await;
    let alice = TestClient::start(&sandbox.ws_url(), alice).await;
    alice.connected().await;
    assert_eq!(refusal(alice.client().groups().get_metadata(&group).await), 404);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}
