//! Groups, with real clients at both ends.

mod acts;
mod info;
mod invites;
mod messages;
mod phones;

use wacore::stanza::groups::GroupNotificationAction as Action;
use wacore::types::events::Event;
use wacore_binary::Jid;
use whatsapp_rust::features::{GroupCreateOptions, GroupError, GroupParticipantOptions};
use whatsapp_rust::request::IqError;

use crate::client::TestClient;

/// Creates a group with these numbers besides the creator.
async fn create(client: &TestClient, subject: &str, people: &[&str]) -> Jid {
    let participants = people.iter().map(|phone| participant(phone)).collect();
    let options = GroupCreateOptions::new(subject).with_participants(participants);
    let created = client.client().groups().create_group(options).await;
    created.expect("the group is created").metadata.id
}

fn participant(phone: &str) -> GroupParticipantOptions {
    GroupParticipantOptions::new(Jid::pn(phone))
}

/// The code with which the server refused.
fn refusal<T: std::fmt::Debug>(result: Result<T, GroupError>) -> u16 {
    match result {
        Err(GroupError::Iq(IqError::ServerError { code, .. })) => code,
        other => panic!("no refusal: {other:?}"),
    }
}

/// Waits for a notification about `group`; answers what `pick` gets from it.
async fn update<T>(client: &TestClient, what: &str, group: &Jid, pick: impl Fn(&Action) -> Option<T>) -> T {
    client
        .wait(what, |event| match event {
            Event::GroupUpdate(update) if update.group_jid == *group => pick(&update.action),
            _ => None,
        })
        .await
}

/// The numbers and roles of a group's members, as `client` is told.
async fn members(client: &TestClient, group: &Jid) -> Vec<(String, bool)> {
    let metadata = client.client().groups().get_metadata(group).await;
    let participants = metadata.expect("the group is shown").participants.into_iter();
    let members = participants.map(|participant| {
        assert!(participant.jid.is_lid(), "members are named by LID");
        let phone = participant.phone_number.as_ref().expect("a number as well");
        (phone.user.to_string(), participant.is_admin())
    });
    members.collect()
}
