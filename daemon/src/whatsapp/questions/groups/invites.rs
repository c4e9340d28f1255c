//! Links to groups, joining by one, and leaving.

use shared::domain::question::{
    GroupInvite, GroupJoined, GroupLeft, JoinGroup, LeaveGroup, ResetInvite, ShowInvite,
};
use shared::domain::recipient::Recipient;
use whatsapp_rust::features::{GroupError, JoinGroupResult};
use whatsapp_rust::{Client, IqError};

use super::super::{Put, Socket, of_change};
use super::{changed, of_group};
use crate::connection::AskError;
use crate::whatsapp::people;

impl Put for ShowInvite {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupInvite, AskError> {
        invite(client, &self.group, false).await
    }
}

impl Put for ResetInvite {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupInvite, AskError> {
        invite(client, &self.group, true).await
    }
}

async fn invite(client: &Client, group: &Recipient, reset: bool) -> Result<GroupInvite, AskError> {
    let told = client.groups().get_invite_link(people::jid(group), reset).await;
    let code = changed(client, group, told).await?;
    // The library gives the whole link, or the code.
    let code = code.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(GroupInvite { code })
}

impl Put for JoinGroup {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupJoined, AskError> {
        let joined = client.groups().join_with_invite_code(&self.code).await;
        let joined = joined.map_err(|error| match error {
            GroupError::Iq(IqError::ServerError {
                code: 400 | 404 | 406 | 410,
                ..
            }) => AskError::NoInvite,
            GroupError::Iq(IqError::ServerError { code: 409, .. }) => AskError::Already,
            error => of_group(error, of_change),
        })?;
        let group = people::chat(joined.group_jid()).ok_or(AskError::InDoubt)?;
        Ok(GroupJoined {
            group,
            pending: matches!(joined, JoinGroupResult::PendingApproval(_)),
        })
    }
}

impl Put for LeaveGroup {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupLeft, AskError> {
        let left = client.groups().leave(people::jid(&self.group)).await;
        left.map_err(|error| match error {
            GroupError::Iq(IqError::ServerError { code: 401 | 403, .. }) => AskError::NotAMember,
            error => of_group(error, of_change),
        })?;
        Ok(GroupLeft {})
    }
}
