//! Making a group.

use std::time::Duration;

use shared::domain::question::{CreateGroup, GroupCreated, Verdict};
use tracing::warn;
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::features::{GroupCreateOptions, GroupDescription, GroupMetadata, GroupParticipantOptions};

use super::super::{Put, Socket, before_change, of_change};
use super::participants::add;
use super::people::{Named, is_same, jid_of, members, own};
use super::words::{SetDescription, SetSubject, first_name};
use super::{metadata, of_group, show};
use crate::connection::AskError;
use crate::whatsapp::people;

/// How long WhatsApp may take to say who is there, before the group is made.
const NAMES_DEADLINE: Duration = Duration::from_secs(5);

/// How long it may take to put the texts of a new group right that could not be written with it.
const WORDS_DEADLINE: Duration = Duration::from_secs(3);

/// How long it may take to say who is in, and to take in who is not, once the group is there. What it has not said by then is
/// told as such: the group is there in any case.
const AFTERWARDS: Duration = Duration::from_secs(6);

impl Put for CreateGroup {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<GroupCreated, AskError> {
        let named = tokio::time::timeout(NAMES_DEADLINE, Named::on_whatsapp(client, &self.participants));
        let mut named = before_change(named.await.unwrap_or(Err(AskError::InDoubt)))?;
        let own = own(client);
        named.judge(|person| is_same(person, &own).then_some(Verdict::Already));
        let is_plain = |text: &str| !text.contains('@');
        let options = GroupCreateOptions {
            description: self
                .description
                .as_deref()
                .filter(|text| is_plain(text))
                .map(GroupDescription::new)
                .transpose()
                .map_err(|error| AskError::Refused {
                    code: None,
                    source: error.into(),
                })?,
            // Somebody whose number nobody knows comes in afterwards.
            participants: named
                .open()
                .iter()
                .filter(|person| person.phone.is_some())
                .filter_map(jid_of)
                .map(GroupParticipantOptions::new)
                .collect(),
            ..GroupCreateOptions::new(first_name(&self.subject))
        };
        if !client.is_logged_in() {
            return Err(AskError::NotConnected);
        }
        let made = client.groups().create_group(options).await;
        let made = made.map_err(|error| of_group(error, of_change))?.metadata;
        if tokio::time::timeout(WORDS_DEADLINE, self.put_right(client, &made.id))
            .await
            .is_err()
        {
            warn!("a new group's texts were not put right in time");
        }
        // What the group is now, and who came in. The answer to the request names those who did not as if they had.
        let mut now = made.clone();
        let settling = settle(client, &mut now, &mut named);
        if tokio::time::timeout(AFTERWARDS, settling).await.is_err() {
            warn!("who came into a new group was not told in time");
        }
        let group = show::group(client, &now).ok_or(AskError::NoGroup)?;
        Ok(GroupCreated {
            group,
            results: named.results(),
        })
    }
}

/// What comes behind a new group.
trait PutRight {
    /// Gives the group the subject and the description that it could not be made with. Where that fails the group is there all
    /// the same, and the answer has what it is called.
    async fn put_right(&self, client: &Client, group: &Jid);
}

impl PutRight for CreateGroup {
    async fn put_right(&self, client: &Client, group: &Jid) {
        let (group, subject) = (group.clone(), &self.subject);
        if first_name(subject) != *subject {
            let set = SetSubject {
                group: group.clone(),
                subject: subject.clone(),
            };
            if let Err(error) = client.execute(set).await {
                warn!(%error, "a new group has a sign in its subject that only looks like the one it was to have");
            }
        }
        let text = self.description.clone().filter(|text| text.contains('@'));
        if text.is_some() {
            let set = SetDescription {
                group,
                text,
                former: None,
            };
            if let Err(error) = client.execute(set).await {
                warn!(%error, "a new group has no description");
            }
        }
    }
}

/// Says of each who came in, and tries again for those who did not: only that tells why.
async fn settle(client: &Client, now: &mut GroupMetadata, named: &mut Named) {
    let Some(group) = people::chat(&now.id) else {
        return;
    };
    match metadata(client, &group).await {
        Ok(told) => *now = told,
        Err(_) => return,
    }
    let inside = members(now);
    named.judge(|person| {
        let is_in = inside.iter().any(|member| is_same(&member.person, person));
        is_in.then_some(Verdict::Done)
    });
    if named.open().is_empty() || add(client, now, named).await.is_err() {
        return;
    }
    // Some of them may have come in now.
    if let Ok(told) = metadata(client, &group).await {
        *now = told;
    }
}
