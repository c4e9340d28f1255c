//! How people and messages are named in the chat that a message goes to. In a group that is asked of the group, before the
//! message is on the wire.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::content::{Content, Context};
use shared::domain::message::FailureCode;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use wacore::client::context::GroupInfo;
use wacore::types::message::AddressingMode;
use whatsapp_rust::{GroupError, GroupParticipant};

use super::WhatsAppSession;
use crate::connection::SendError;
use crate::whatsapp::content::Addressed;
use crate::whatsapp::content::context::{self, Addressed as Beside};
use crate::whatsapp::{failure, people};

/// How long looking up a group may take. The library has just looked it up for the message, and remembers it.
pub(super) const GROUP_DEADLINE: Duration = Duration::from_secs(20);

impl WhatsAppSession {
    /// A message's context with its people named as the chat names them.
    pub(super) async fn beside(&self, to: &Recipient, context: &Context) -> Result<Beside, SendError> {
        let names_people = context.quoted.is_some() || !context.mentions.is_empty();
        let group = if to.group().is_some() && names_people {
            Some(self.group(to).await?)
        } else {
            None
        };
        Ok(context::address(&self.client, to, group.as_deref(), context).await)
    }

    /// A group's description, from the library's memory or, where it is not there, from the server.
    pub(super) async fn group(&self, to: &Recipient) -> Result<Arc<GroupInfo>, SendError> {
        let (groups, jid) = (self.client.groups(), people::jid(to));
        let asking = tokio::time::timeout(GROUP_DEADLINE, Box::pin(groups.query_info(&jid)));
        let in_time = async {
            let info = asking
                .await
                .map_err(|late| SendError::Unavailable(Box::new(late)))?;
            info.map_err(|error| failure::of_send(error.into(), to))
        };
        self.unless_over(SendError::NotConnected, in_time).await
    }

    /// What is asked of a group. What comes of it is that of a question: nothing is on the wire yet.
    pub(super) async fn asked_of_group<T>(
        &self,
        asking: impl Future<Output = Result<T, GroupError>>,
    ) -> Result<T, SendError> {
        let asking = async {
            asking.await.map_err(|error| match error {
                GroupError::Iq(error) => failure::of_query(error),
                error => SendError::Failed(Box::new(error)),
            })
        };
        self.in_time(GROUP_DEADLINE, asking).await
    }

    /// Where a message goes that is about another. In a group only admins take back what others wrote.
    pub(super) async fn addressed(
        &self,
        message: MessageId,
        to: &Recipient,
        content: &Content,
    ) -> Result<Addressed, SendError> {
        let (client, chat) = (&self.client, people::jid(to));
        let mut addressed = Addressed {
            chat: chat.clone(),
            own_in_group: None,
            is_by_lid: false,
            at: message.created_at(),
        };
        if to.group().is_none() {
            return Ok(addressed);
        }
        let groups = client.groups();
        let mode = if matches!(content, Content::Revoke(revoke) if !revoke.target.from_me) {
            let group = self.asked_of_group(Box::pin(groups.get_metadata(&chat))).await?;
            let own = group.participants.iter().find(|member| {
                let names = [
                    Some(&member.jid),
                    member.phone_number.as_ref(),
                    member.lid.as_ref(),
                ];
                names
                    .into_iter()
                    .flatten()
                    .any(|name| people::is_own(client, name))
            });
            if !own.is_some_and(GroupParticipant::is_admin) {
                return Err(SendError::Refused(FailureCode::RefusedForbidden));
            }
            group.addressing_mode
        } else {
            self.asked_of_group(Box::pin(groups.query_info(&chat)))
                .await?
                .addressing_mode
        };
        addressed.is_by_lid = mode == AddressingMode::Lid;
        let own = if addressed.is_by_lid {
            client.lid()
        } else {
            client.pn()
        };
        addressed.own_in_group = own.map(|own| own.to_non_ad());
        Ok(addressed)
    }
}
