//! Groups: what they are, who is in them, and what is changed about either.

mod change;
mod create;
mod invitations;
mod invites;
mod participants;
mod people;
mod picture;
mod requests;
mod show;
mod words;

use shared::domain::recipient::Recipient;
use whatsapp_rust::features::{GroupError, GroupMetadata};
use whatsapp_rust::{Client, IqError};

use super::{before_change, of_change, of_query};
use crate::connection::AskError;
use crate::whatsapp::people::jid;

/// All that WhatsApp says of a group, asked for anew.
async fn metadata(client: &Client, group: &Recipient) -> Result<GroupMetadata, AskError> {
    let asked = client.groups().get_metadata(&jid(group)).await;
    asked.map_err(|error| match error {
        GroupError::Iq(IqError::ServerError { code: 401 | 403, .. }) => AskError::NotAMember,
        error => of_group(error, of_query),
    })
}

/// The same before a change, which is not begun without it.
async fn before(client: &Client, group: &Recipient) -> Result<GroupMetadata, AskError> {
    before_change(metadata(client, group).await)
}

/// What came of a change. Where it was refused for want of a right, WhatsApp is asked which one it is.
async fn changed<T>(
    client: &Client,
    group: &Recipient,
    changed: Result<T, GroupError>,
) -> Result<T, AskError> {
    match changed {
        Ok(done) => return Ok(done),
        Err(GroupError::Iq(IqError::ServerError { code: 401 | 403, .. })) => {}
        Err(error) => return Err(of_group(error, of_change)),
    }
    match metadata(client, group).await {
        Err(error @ (AskError::NotAMember | AskError::NoGroup)) => Err(error),
        _ => Err(AskError::NotAnAdmin),
    }
}

/// Why a question about a group, or a change of one, has no answer; `of` says it of the request itself.
fn of_group(error: GroupError, of: impl FnOnce(IqError) -> AskError) -> AskError {
    match error {
        GroupError::Iq(IqError::ServerError { code: 404 | 410, .. }) => AskError::NoGroup,
        GroupError::Iq(error) => of(error),
        // The library refuses these before they are on the wire, or WhatsApp did.
        error @ (GroupError::InvalidRequest(_) | GroupError::DescriptionConflict) => AskError::Refused {
            code: None,
            source: Box::new(error),
        },
        error => {
            let source: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
            of(IqError::ParseError(anyhow::Error::from_boxed(source)))
        }
    }
}
