//! Finds out why WhatsApp refused a message: its refusals say little, but it answers questions.

use chrono::{DateTime, Utc};
use shared::domain::message::{Failure, FailureCode};
use shared::domain::recipient::Recipient;
use wacore_binary::JidExt as _;
use whatsapp_rust::features::{ContactError, GroupError, MexError};
use whatsapp_rust::{Client, Freshness, IqError};

use super::{failure, people, readable};
use crate::connection::SendError;

/// The error of an acknowledgement that wants a token of trust (`MissingTcToken`).
const MISSING_TOKEN: u32 = 463;

/// Why a message to `to` was refused with `error`, or failed without one. `None` where the cause is nothing lasting.
pub async fn explain(
    client: &Client,
    to: &Recipient,
    error: Option<u32>,
) -> Result<Option<Failure>, SendError> {
    match to {
        Recipient::Group(_) => of_group(client, to).await,
        // Nobody is asked for who sees it.
        Recipient::Status | Recipient::Unknown(_) => Ok(None),
        Recipient::Phone(_) | Recipient::Lid(_) if error == Some(MISSING_TOKEN) => {
            of_reaching_out(client).await.map(Some)
        }
        Recipient::Phone(_) | Recipient::Lid(_) => of_person(client, to).await,
    }
}

/// One error stands for an account that may not begin chats for a time, and for a recipient whose trust token is
/// missing. WhatsApp, when asked, tells of the first.
async fn of_reaching_out(client: &Client) -> Result<Failure, SendError> {
    let lock = client.mex().fetch_reachout_timelock().await.map_err(of_mex)?;
    if lock.is_active != Some(true) {
        return Ok(Failure::of(FailureCode::TrustTokenMissing));
    }
    let until = lock.time_enforcement_ends.as_deref().and_then(seconds);
    Ok(Failure::of(FailureCode::ReachoutRestricted).until(until))
}

/// Seconds since 1970 in a text; zero stands for none.
fn seconds(text: &str) -> Option<DateTime<Utc>> {
    let seconds: i64 = text.parse().ok()?;
    (seconds > 0)
        .then(|| DateTime::from_timestamp(seconds, 0))
        .flatten()
}

async fn of_person(client: &Client, to: &Recipient) -> Result<Option<Failure>, SendError> {
    let jid = people::jid(to);
    let found = client
        .contacts()
        .is_on_whatsapp(std::slice::from_ref(&jid))
        .await
        .map_err(|error| match error {
            ContactError::Iq(error) => failure::of_query(error),
            other => SendError::Failed(Box::new(other)),
        })?;
    let Some(found) = found.first().filter(|found| found.contact_error.is_none()) else {
        return Ok(None);
    };
    if !found.is_registered {
        return Ok(Some(Failure::of(FailureCode::RecipientNotOnWhatsapp)));
    }
    let has_none = !readable::is_readable(client, to).await?;
    Ok(has_none.then(|| Failure::of(FailureCode::NoRecipientDevice)))
}

/// Asks for the group's members anew, since the library's list of them let the message go out.
async fn of_group(client: &Client, to: &Recipient) -> Result<Option<Failure>, SendError> {
    let groups = client.groups();
    let asked = groups
        .query_info_with_freshness(&people::jid(to), Freshness::Refresh)
        .await;
    let info = match asked {
        Ok(info) => info,
        Err(GroupError::Iq(IqError::ServerError { code: 404 | 410, .. })) => {
            return Ok(Some(Failure::of(FailureCode::GroupNotFound)));
        }
        Err(GroupError::Iq(IqError::ServerError { code: 401 | 403, .. })) => {
            return Ok(Some(Failure::of(FailureCode::NotAMember)));
        }
        Err(GroupError::Iq(error)) => return Err(failure::of_query(error)),
        Err(other) => return Err(SendError::Failed(Box::new(other))),
    };
    let own = [client.pn(), client.lid()];
    let is_in = own
        .iter()
        .flatten()
        .any(|own| info.participants.iter().any(|member| member.is_same_user_as(own)));
    let outside = !is_in && own.iter().all(Option::is_some);
    Ok(outside.then(|| Failure::of(FailureCode::NotAMember)))
}

fn of_mex(error: MexError) -> SendError {
    match error {
        MexError::Request(error) => failure::of_query(error),
        other => SendError::Failed(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_restriction_is_told_in_seconds() {
        let until = seconds("1767225600").expect("a time");
        assert_eq!(until.to_rfc3339(), "2026-01-01T00:00:00+00:00");
        for text in ["0", "", "soon", "99999999999999999"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
