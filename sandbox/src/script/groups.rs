//! What a person does with groups.

use serde::{Deserialize, Serialize};
use wacore_binary::Jid;

use super::Phone;
use crate::directory::Account;
use crate::error::{Error, Result};
use crate::groups::info::{self, Redescription, Setting};
use crate::groups::participants::{self, Change, Verdict};
use crate::groups::{self, Group, Role, Settings, create, invites, members};
use crate::phone::compose;
use crate::phone::inbox::rfc3339;
use crate::pictures::{self, Owner};
use crate::store::Unit;

/// A group as its members see it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as on the wire"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupInfo {
    /// Its JID.
    pub id: String,
    /// What it is called.
    pub subject: String,
    /// What it is about.
    pub description: Option<String>,
    /// The creator's number.
    pub creator: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Whether only admins write.
    pub announce: bool,
    /// Whether only admins edit the info.
    pub locked: bool,
    /// Whether admins decide who joins.
    pub join_approval: bool,
    /// Whether members add others.
    pub members_add: bool,
    /// After how many seconds messages disappear; 0 for never.
    pub ephemeral_seconds: u32,
    /// The id of its picture.
    pub picture: Option<String>,
    /// Who is in it.
    pub participants: Vec<Participant>,
    /// Those whom an act named and that could not be added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<ParticipantResult>,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// The number.
    pub phone: String,
    /// The LID's digits.
    pub lid: String,
    /// The rights.
    pub role: Role,
}

/// What became of one whom an act named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParticipantResult {
    /// The number; as it was named where that is nobody's.
    pub phone: String,
    /// 200, or the code that clients get: 401 blocked by this person, 403 only to be invited, 404 not on the network or
    /// not in the group, 406 not possible for this person, 409 so already, 419 the group is full.
    pub status: u16,
}

/// A group to found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// 1 to 100 characters.
    pub subject: String,
    /// The others: numbers, `lid:<digits>` or JIDs.
    #[serde(default)]
    pub participants: Vec<String>,
    /// Up to 2,048 characters.
    pub description: Option<String>,
}

/// What changes about a group. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupEdit {
    /// 1 to 100 characters.
    pub subject: Option<String>,
    /// An empty one takes the description away.
    pub description: Option<String>,
    /// Whether only admins write.
    pub announce: Option<bool>,
    /// Whether only admins edit the info.
    pub locked: Option<bool>,
    /// Whether admins decide who joins.
    pub join_approval: Option<bool>,
    /// Whether members add others.
    pub members_add: Option<bool>,
    /// After how many seconds messages disappear; 0 for never.
    pub ephemeral_seconds: Option<u32>,
}

/// What is done to people in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantAction {
    /// They come in.
    Add,
    /// They go out.
    Remove,
    /// They become admins.
    Promote,
    /// They are admins no longer.
    Demote,
}

/// Whom to add, remove, promote or demote.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantsRequest {
    /// What is done.
    pub action: ParticipantAction,
    /// To whom: numbers, `lid:<digits>` or JIDs.
    pub participants: Vec<String>,
}

impl ParticipantsRequest {
    /// Does `action` to these people.
    pub fn new(action: ParticipantAction, participants: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            action,
            participants: participants.into_iter().map(Into::into).collect(),
        }
    }
}

/// The group of an invite link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// Its JID.
    pub group: String,
    /// Whether the admins have to let the person in.
    pub pending: bool,
}

/// All acts on a group name it by its JID or its digits. They fail with [`Error::NotFound`] where it does not exist and
/// with [`Error::Refused`] (403) where the person is not in it, or lacks the role for it.
impl Phone {
    /// The groups that the person is in.
    pub async fn groups(&self) -> Result<Vec<GroupInfo>> {
        self.work(|unit, account| {
            let groups = members::groups_of(unit, &account.phone)?;
            groups
                .into_iter()
                .map(|group| view(unit, group, Vec::new()))
                .collect()
        })
        .await
    }

    /// Founds a group; members may add others. Those who could not be added are in `refused`.
    ///
    /// # Errors
    /// [`Error::Refused`] (406) for a subject or description that is too long or empty, [`Error::Invalid`] for more
    /// people than a group has and names that are none.
    pub async fn create_group(&self, new: NewGroup) -> Result<GroupInfo> {
        self.act(move |unit, account| {
            let draft = create::Draft {
                subject: new.subject,
                participants: jids(&new.participants)?,
                description: new.description.map(|text| (info::new_id(), text)),
                settings: Settings {
                    members_add: true,
                    ..Settings::default()
                },
            };
            let (group, changed) = create::create(unit, account, draft)?;
            let refused = changed
                .into_iter()
                .filter(|change| change.verdict != Verdict::Done)
                .collect();
            view(unit, group, results(refused))
        })
        .await
    }

    /// Changes all that is named of a group, or nothing. Answers the group as it is then.
    ///
    /// # Errors
    /// Besides, [`Error::Refused`] (406) for a subject or description that cannot be, [`Error::Invalid`] for a timer.
    pub async fn edit_group(&self, group: &str, edit: GroupEdit) -> Result<GroupInfo> {
        let group = group.to_owned();
        self.act(move |unit, account| {
            let jid = group_jid(&group)?;
            change(unit, account, &jid, edit)?;
            let group = groups::require(unit, &jid)?;
            view(unit, group, Vec::new())
        })
        .await
    }

    /// Adds, removes, promotes or demotes people. Answers a result for each.
    pub async fn change_participants(
        &self,
        group: &str,
        request: ParticipantsRequest,
    ) -> Result<Vec<ParticipantResult>> {
        let group = group.to_owned();
        self.act(move |unit, account| {
            let (jid, people) = (group_jid(&group)?, jids(&request.participants)?);
            let (_, changed) = match request.action {
                ParticipantAction::Add => participants::add(unit, account, &jid, &people)?,
                ParticipantAction::Remove => participants::remove(unit, account, &jid, &people)?,
                ParticipantAction::Promote => participants::promote(unit, account, &jid, &people)?,
                ParticipantAction::Demote => participants::demote(unit, account, &jid, &people)?,
            };
            Ok(results(changed))
        })
        .await
    }

    /// Gives the group another invite link, whose code it answers; the former one leads nowhere any more.
    ///
    /// # Errors
    /// [`Error::Refused`] (401) where the person is no admin.
    pub async fn reset_invite_link(&self, group: &str) -> Result<String> {
        let group = group.to_owned();
        self.act(move |unit, account| invites::reset(unit, account, &group_jid(&group)?))
            .await
    }

    /// Leaves a group.
    pub async fn leave_group(&self, group: &str) -> Result<()> {
        let group = group.to_owned();
        self.act(move |unit, account| participants::leave(unit, account, &group_jid(&group)?))
            .await
    }

    /// Follows an invite link; `code` is its end.
    ///
    /// # Errors
    /// [`Error::Refused`]: 406 for what is no code, 410 for one that was reset, 419 for a full group;
    /// [`Error::NotFound`] for other codes; [`Error::Conflict`] for those who are in, or have asked.
    pub async fn join_group(&self, code: &str) -> Result<Joined> {
        let code = code.to_owned();
        self.act(move |unit, account| {
            let (group, pending) = match invites::join(unit, account, &code)? {
                invites::Joined::Member(group) => (group, false),
                invites::Joined::Requested(group) => (group, true),
            };
            Ok(Joined {
                group: group.jid().to_string(),
                pending,
            })
        })
        .await
    }
}

fn view(unit: &Unit<'_>, group: Group, refused: Vec<ParticipantResult>) -> Result<GroupInfo> {
    let participants = members(unit, &group.id)?
        .into_iter()
        .map(|member| Participant {
            phone: member.account.phone,
            lid: member.account.lid,
            role: member.role,
        })
        .collect();
    let owner = Owner::Group(Box::new(group.clone()));
    let picture = pictures::of(unit, &owner)?.map(|picture| picture.id.to_string());
    Ok(GroupInfo {
        id: group.jid().to_string(),
        subject: group.subject,
        description: group.description.map(|description| description.text),
        creator: group.creator,
        created_at: rfc3339(group.created_at * 1_000),
        announce: group.settings.announcement,
        locked: group.settings.locked,
        join_approval: group.settings.approval,
        members_add: group.settings.members_add,
        ephemeral_seconds: group.settings.ephemeral,
        picture,
        participants,
        refused,
    })
}

fn results(changes: Vec<Change>) -> Vec<ParticipantResult> {
    let results = changes.into_iter().map(|change| ParticipantResult {
        phone: change
            .account
            .map_or_else(|| change.jid.user.to_string(), |account| account.phone),
        status: match change.verdict {
            Verdict::Done => 200,
            Verdict::Refused(code) => code,
            Verdict::Invited { .. } => 403,
        },
    });
    results.collect()
}

fn change(unit: &mut Unit<'_>, account: &Account, jid: &Jid, edit: GroupEdit) -> Result<()> {
    if let Some(subject) = edit.subject {
        info::set_subject(unit, account, jid, subject)?;
    }
    if let Some(text) = edit.description {
        let current = groups::require(unit, jid)?.description;
        let change = Redescription {
            id: info::new_id(),
            previous: current.map(|description| description.id),
            text: (!text.is_empty()).then_some(text),
        };
        info::set_description(unit, account, jid, change)?;
    }
    let settings = [
        edit.announce.map(Setting::Announcement),
        edit.locked.map(Setting::Locked),
        edit.join_approval.map(Setting::Approval),
        edit.members_add.map(Setting::MembersAdd),
        edit.ephemeral_seconds
            .map(|seconds| Setting::Ephemeral(seconds, None)),
    ];
    for setting in settings.into_iter().flatten() {
        info::set(unit, account, jid, setting)?;
    }
    Ok(())
}

/// A group by its JID or its digits.
pub(super) fn group_jid(group: &str) -> Result<Jid> {
    if !group.contains('@') {
        return Ok(Jid::group(group));
    }
    group
        .parse()
        .map_err(|_| Error::Invalid("`group` is no JID of a group".into()))
}

fn jids(people: &[String]) -> Result<Vec<Jid>> {
    people
        .iter()
        .map(|person| compose::jid("participants", person))
        .collect()
}
