//! What is told of groups: what somebody has changed about one, and who comes, goes and becomes an admin.

use serde::{Deserialize, Serialize};

use super::words::{self, PictureChange, Words};
use crate::domain::person::{MAX_NAME, Person};

/// The most people of one change that are told. A group has 1,024 members at most, which is some 100 KB.
pub const MAX_PARTICIPANTS: usize = 1_024;

/// The longest subject that is told, in characters. The apps allow 100.
pub const MAX_SUBJECT: usize = 1_024;

/// The longest description that is told, in characters. The apps allow 2,048.
pub const MAX_DESCRIPTION: usize = 4_096;

/// How many people are told where nothing may be large.
const FEW: usize = 32;

/// The data of [`EventType::GroupUpdated`](super::EventType::GroupUpdated).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupUpdated {
    /// The group's JID.
    pub group: String,
    /// Who has changed it, the account itself included; `None` where WhatsApp does not say.
    pub by: Option<Person>,
    /// What is changed.
    pub changes: GroupChanges,
    /// Whether a text is not whole.
    #[serde(default)]
    pub truncated: bool,
}

/// What is changed about a group: members that are not there are as before.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupChanges {
    /// What it is called.
    #[serde(
        default,
        deserialize_with = "words::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub subject: Option<Words>,
    /// What it is about, empty where the description was taken away.
    #[serde(
        default,
        deserialize_with = "words::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub description: Option<Words>,
    /// Whether only admins write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announce: Option<bool>,
    /// Whether only admins change subject, description and picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// After how many seconds messages disappear; 0 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_seconds: Option<u32>,
    /// Whether admins decide who joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_approval: Option<bool>,
    /// Whether every member may add others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members_add: Option<bool>,
    /// What became of its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PictureChange>,
    /// What became of its invite link. The new one is not told: whoever has it may join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite_link: Option<InviteLinkChange>,
}

/// What became of a group's invite link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InviteLinkChange {
    /// The former one leads nowhere any more.
    Revoked,
}

/// The data of [`EventType::GroupParticipants`](super::EventType::GroupParticipants).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupParticipants {
    /// The group's JID.
    pub group: String,
    /// What happened to them.
    pub action: ParticipantsAction,
    /// How they came, where WhatsApp says.
    pub reason: Option<JoinReason>,
    /// Who did it, the account itself included; `None` where WhatsApp does not say.
    pub by: Option<Person>,
    /// Those to whom it happened, [`MAX_PARTICIPANTS`] at most.
    pub participants: Vec<Person>,
    /// Whether there are more of them.
    #[serde(default)]
    pub truncated: bool,
}

/// What happened to people in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantsAction {
    /// They came by themselves.
    Joined,
    /// Somebody has put them in.
    Added,
    /// They went by themselves.
    Left,
    /// Somebody has put them out.
    Removed,
    /// They are admins now.
    Promoted,
    /// They are admins no more.
    Demoted,
}

/// How people came into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinReason {
    /// The group was made with them.
    Created,
    /// By its invite link, or a personal invitation. `by` is whoever has let them in where admins decide.
    InviteLink,
    /// By the community that the group belongs to.
    Community,
}

impl GroupUpdated {
    /// The same without what the group is called and what it is about.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        words::bare(&mut self.changes.subject);
        words::bare(&mut self.changes.description);
        self.by = self.by.map(|by| by.within(MAX_NAME));
        self
    }
}

impl GroupParticipants {
    /// The same with a few of the people alone.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        self.truncated |= self.participants.len() > FEW;
        let few = self.participants.iter().take(FEW);
        self.participants = few.map(|person| person.within(MAX_NAME)).collect();
        self.by = self.by.map(|by| by.within(MAX_NAME));
        self
    }
}
