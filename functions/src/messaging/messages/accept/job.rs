//! The job of a message that is accepted: its file in its place, its content sealed.

use chrono::{DateTime, Utc};
use shared::domain::instance::Instance;
use shared::domain::job::SendJob;
use shared::domain::message::DEFAULT_EXPIRY;
use shared::domain::person::{Acquaintance, Person};
use shared::fault;
use shared::ids::MessageId;
use shared::sealed;

use super::Outgoing;
use crate::http::ApiError;
use crate::messaging::MessagingState;
use crate::messaging::messages::files::{self, Kept, Owner};
use crate::messaging::messages::options::Options;

/// Puts a message's file into its place, and seals its content: its job, and its file there.
pub async fn prepare(
    state: &MessagingState,
    instance: &Instance,
    message: MessageId,
    to: &Acquaintance,
    mut outgoing: Outgoing,
    accepted_at: DateTime<Utc>,
) -> Result<(SendJob, Option<Kept>), ApiError> {
    let owner = Owner {
        instance: instance.id,
        message,
        accepted_at,
        expires_at: expires_at(&outgoing.options, accepted_at),
        is_alone: outgoing.idempotency_key.is_none(),
    };
    let file = files::keep(state, owner, &mut outgoing.said.content).await?;
    if file.is_some() {
        fault::point("after-file");
    }
    match seal(state, instance, message, to, outgoing, accepted_at).await {
        Ok(job) => {
            let object = file.as_ref().map(|file| file.object.clone());
            Ok((SendJob { file: object, ..job }, file))
        }
        Err(error) => {
            if let Some(file) = file {
                file.drop_if_alone(state).await;
            }
            Err(error)
        }
    }
}

/// Until when a message is worth sending.
fn expires_at(options: &Options, accepted_at: DateTime<Utc>) -> DateTime<Utc> {
    let due = options.scheduled_at.unwrap_or(accepted_at);
    options.expires_at.unwrap_or(due + DEFAULT_EXPIRY)
}

/// The message's job, with its content sealed.
async fn seal(
    state: &MessagingState,
    instance: &Instance,
    id: MessageId,
    to: &Acquaintance,
    outgoing: Outgoing,
    accepted_at: DateTime<Utc>,
) -> Result<SendJob, ApiError> {
    let content = sealed::seal(&state.sealer, instance.id, &id, &outgoing.said).await?;
    let scheduled_at = outgoing.options.scheduled_at;
    let name = to.as_spelt(&outgoing.to);
    let chat = Some(to.chat.clone()).filter(|chat| *chat != name);
    let person = if outgoing.to.is_shared() {
        Person::default()
    } else {
        to.person.clone()
    };
    Ok(SendJob {
        message: id,
        instance: instance.id,
        chat,
        person,
        account: instance.account.as_ref().map(|account| account.person.clone()),
        kind: outgoing.said.content.kind(),
        needs: outgoing.said.needs(),
        expires_at: expires_at(&outgoing.options, accepted_at),
        typing_ms: outgoing.options.typing_ms,
        reference: outgoing.options.reference,
        accepted_at,
        scheduled_at,
        put_off: None,
        file: None,
        counted_by: None,
        trace: None,
        content,
        to: name,
    })
}
