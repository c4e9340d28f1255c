//! Groups as the API shows them.

use serde::Serialize;
use shared::domain::person::Person;
use shared::domain::question::{Group, GroupRole, Member};
use utoipa::ToSchema;

use crate::http::Timestamp;

/// A group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Group)]
pub struct GroupView {
    /// Its JID, by which messages reach it.
    #[schema(example = "120363021033254949@g.us")]
    id: String,
    #[schema(example = "Engines")]
    subject: String,
    /// Who made it; `null` where WhatsApp does not say.
    creator: Option<PersonView>,
    created_at: Option<Timestamp>,
    /// Whether only admins write.
    announce: bool,
    /// Whether only admins change subject, description and picture.
    locked: bool,
    /// Whether admins decide who joins.
    join_approval: bool,
    /// After how many seconds messages disappear; 0 for never.
    #[schema(example = 0)]
    ephemeral_seconds: u32,
    /// How many members it has.
    #[schema(example = 3)]
    size: u32,
    /// What the instance's account is in it.
    role: RoleView,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: group.group.to_jid(),
            subject: group.subject,
            creator: group.creator.map(Into::into),
            created_at: group.created_at.map(Into::into),
            announce: group.announce,
            locked: group.locked,
            join_approval: group.join_approval,
            ephemeral_seconds: group.ephemeral_seconds,
            size: group.size,
            role: group.role.into(),
        }
    }
}

/// A person.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupPerson)]
pub struct PersonView {
    /// The number; `null` where WhatsApp gives none.
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
}

impl From<Person> for PersonView {
    fn from(Person { phone, lid }: Person) -> Self {
        Self { phone, lid }
    }
}

/// Somebody in a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupParticipant)]
pub struct ParticipantView {
    /// The number; `null` where WhatsApp gives none.
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    role: RoleView,
}

impl From<Member> for ParticipantView {
    fn from(Member { person, role }: Member) -> Self {
        Self {
            phone: person.phone,
            lid: person.lid,
            role: role.into(),
        }
    }
}

/// What somebody is in a group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = GroupRole)]
pub enum RoleView {
    /// The admin whom nobody removes.
    Owner,
    /// An admin.
    Admin,
    /// Like everybody.
    Member,
}

impl From<GroupRole> for RoleView {
    fn from(role: GroupRole) -> Self {
        match role {
            GroupRole::Owner => Self::Owner,
            GroupRole::Admin => Self::Admin,
            GroupRole::Member => Self::Member,
        }
    }
}
