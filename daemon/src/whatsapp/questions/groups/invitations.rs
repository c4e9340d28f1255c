//! Personal invitations: whom their privacy settings do not let be added gets a message with which they come in by
//! themselves, as the apps send it.

use std::sync::Mutex;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use shared::domain::person::Person;
use tracing::{debug, warn};
use waproto::whatsapp as wa;
use whatsapp_rust::Client;
use whatsapp_rust::features::{GroupMetadata, ParticipantChangeResponse};

use super::participants::told_of;
use super::people::jid_of;

/// How long all invitations of a change may take. Who has got none by then is told of as such.
const DEADLINE: Duration = Duration::from_secs(4);

/// How many are sent at once.
const AT_ONCE: usize = 8;

/// Sends those an invitation of whom WhatsApp gives one, and says who has got it.
pub async fn send(
    client: &Client,
    group: &GroupMetadata,
    people: &[Person],
    told: &[ParticipantChangeResponse],
) -> Vec<Person> {
    let invited = Mutex::new(Vec::new());
    let sent = &invited;
    let sending = stream::iter(people).for_each_concurrent(AT_ONCE, |person| async move {
        let Some(request) = told_of(told, person).and_then(|told| told.add_request.as_ref()) else {
            return;
        };
        let Some(to) = jid_of(person) else {
            return;
        };
        let invitation = wa::message::GroupInviteMessage {
            group_jid: Some(group.id.to_string()),
            invite_code: Some(request.code.clone()),
            invite_expiration: i64::try_from(request.expiration).ok(),
            group_name: Some(group.subject.clone()),
            ..wa::message::GroupInviteMessage::default()
        };
        let message = wa::Message {
            group_invite_message: buffa::MessageField::some(invitation),
            ..wa::Message::default()
        };
        match Box::pin(client.send_message(to, message)).await {
            Ok(_) => sent
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(person.clone()),
            Err(error) => debug!(%error, "an invitation to a group was not sent"),
        }
    });
    if tokio::time::timeout(DEADLINE, sending).await.is_err() {
        warn!("not all invitations to a group were sent in time");
    }
    invited
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
