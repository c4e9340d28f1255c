//! Questions about groups.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::person::Person;
use crate::domain::recipient::Recipient;

/// The most members of a group that are told. WhatsApp's groups have 1,024 at most, those of a community 5,000.
pub const MAX_MEMBERS: usize = 5_000;

/// A group as its members see it, without what may be long.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its name.
    pub group: Recipient,
    /// What it is called.
    pub subject: String,
    /// Who made it, where WhatsApp says so.
    #[serde(default)]
    pub creator: Option<Person>,
    /// When it was made, in whole seconds.
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
    /// Whether admins alone write.
    pub announce: bool,
    /// Whether admins alone change what the group is called, its description and its picture.
    pub locked: bool,
    /// Whether admins decide who joins.
    pub join_approval: bool,
    /// After how many seconds messages disappear; 0 for never.
    pub ephemeral_seconds: u32,
    /// How many members it has.
    pub size: u32,
    /// What the account is in it.
    pub role: GroupRole,
}

/// What a member is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupRole {
    /// The admin whom nobody removes: who made the group.
    Owner,
    /// An admin.
    Admin,
    /// Like everybody, or something that only a newer build knows.
    #[serde(other)]
    Member,
}

/// Somebody in a group. There may be thousands, so they are told in short: number, LID, role.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Short<GroupRole>", into = "Short<GroupRole>")]
pub struct Member {
    /// Who.
    pub person: Person,
    /// What they are.
    pub role: GroupRole,
}

/// A person and a word about them.
type Short<T> = (Option<String>, Option<String>, T);

impl From<Short<GroupRole>> for Member {
    fn from((phone, lid, role): Short<GroupRole>) -> Self {
        let person = Person { phone, lid };
        Self { person, role }
    }
}

impl From<Member> for Short<GroupRole> {
    fn from(Member { person, role }: Member) -> Self {
        (person.phone, person.lid, role)
    }
}

/// What became of one whom a change named.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Short<Verdict>", into = "Short<Verdict>")]
pub struct Participated {
    /// Who, by the names that are known.
    pub person: Person,
    /// What became of them.
    pub verdict: Verdict,
}

impl From<Short<Verdict>> for Participated {
    fn from((phone, lid, verdict): Short<Verdict>) -> Self {
        let person = Person { phone, lid };
        Self { person, verdict }
    }
}

impl From<Participated> for Short<Verdict> {
    fn from(Participated { person, verdict }: Participated) -> Self {
        (person.phone, person.lid, verdict)
    }
}

/// What became of one whom a change named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is done.
    Done,
    /// Their privacy settings do not let them be added: they have got an invitation.
    Invited,
    /// Their privacy settings do not let them be added, and no invitation reached them.
    NotInvited,
    /// They have blocked the account.
    Blocked,
    /// They have left the group a short time ago.
    LeftRecently,
    /// The group has as many members as it may.
    Full,
    /// Not on WhatsApp.
    NotOnWhatsapp,
    /// Not in the group, or not among those who ask to be let in.
    NotMember,
    /// It was so already.
    Already,
    /// It is not possible for this person: the group's owner, or the account itself.
    Impossible,
    /// WhatsApp says no more.
    #[serde(other)]
    Unsaid,
}

/// Make a group of these people and the account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateGroup {
    /// What it is called.
    pub subject: String,
    /// What it is about.
    #[serde(default)]
    pub description: Option<String>,
    /// The others, by number or LID.
    pub participants: Vec<Recipient>,
}

/// A group was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupCreated {
    /// The group.
    pub group: Group,
    /// What became of each of the others, in the order asked.
    pub results: Vec<Participated>,
}

/// Which groups is the account in? Newest first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListGroups {
    /// The last group of the page before, and when it was made, in Unix seconds.
    #[serde(default)]
    pub after: Option<(i64, Recipient)>,
    /// How many are told at most.
    pub limit: u32,
}

/// A page of the account's groups.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupsListed {
    /// The groups.
    pub groups: Vec<Group>,
    /// Whether there are more.
    pub more: bool,
}

/// What is this group, and who is in it?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShowGroup {
    /// The group.
    pub group: Recipient,
}

/// All of a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupShown {
    /// The group.
    pub group: Group,
    /// What it is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Who is in it: [`MAX_MEMBERS`] at most.
    pub participants: Vec<Member>,
}

/// Change these of a group; what is not named stays.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeGroup {
    /// The group.
    pub group: Recipient,
    /// What it is called.
    #[serde(default)]
    pub subject: Option<String>,
    /// What it is about; an empty text takes the description away.
    #[serde(default)]
    pub description: Option<String>,
    /// See [`Group::announce`].
    #[serde(default)]
    pub announce: Option<bool>,
    /// See [`Group::locked`].
    #[serde(default)]
    pub locked: Option<bool>,
    /// See [`Group::ephemeral_seconds`].
    #[serde(default)]
    pub ephemeral_seconds: Option<u32>,
    /// See [`Group::join_approval`].
    #[serde(default)]
    pub join_approval: Option<bool>,
}

/// Something about a group that can be changed. Each is a request of its own to WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupSetting {
    /// See [`ChangeGroup::subject`].
    Subject,
    /// See [`ChangeGroup::description`].
    Description,
    /// See [`ChangeGroup::announce`].
    Announce,
    /// See [`ChangeGroup::locked`].
    Locked,
    /// See [`ChangeGroup::ephemeral_seconds`].
    EphemeralSeconds,
    /// See [`ChangeGroup::join_approval`].
    JoinApproval,
}

impl GroupSetting {
    /// The name of the member that changes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Description => "description",
            Self::Announce => "announce",
            Self::Locked => "locked",
            Self::EphemeralSeconds => "ephemeralSeconds",
            Self::JoinApproval => "joinApproval",
        }
    }
}

/// A group was changed, wholly or in part.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupChanged {
    /// The group as it is now.
    pub group: Group,
    /// What it is about now.
    #[serde(default)]
    pub description: Option<String>,
    /// What was changed.
    pub done: Vec<GroupSetting>,
    /// What WhatsApp refused after the others were done, with its code: nothing came after it.
    #[serde(default)]
    pub refused: Option<(GroupSetting, Option<u16>)>,
}

/// Do this to these people in a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeParticipants {
    /// The group.
    pub group: Recipient,
    /// What is done.
    pub change: ParticipantChange,
    /// To whom, by number or LID.
    pub participants: Vec<Recipient>,
}

/// What is done to people in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ParticipantChange {
    /// They come in.
    Add,
    /// They go out.
    Remove,
    /// They become admins.
    Promote,
    /// They are admins no longer.
    Demote,
    /// They asked to be let in, and are.
    Approve,
    /// They asked to be let in, and are not.
    Reject,
}

/// What became of people in a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantsChanged {
    /// One for each, in the order asked.
    pub results: Vec<Participated>,
}

/// By which code does one join this group?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShowInvite {
    /// The group.
    pub group: Recipient,
}

/// Make the code void by which one joins this group, and give it another.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResetInvite {
    /// The group.
    pub group: Recipient,
}

/// The code by which one joins a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupInvite {
    /// The end of the link.
    pub code: String,
}

/// Join a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinGroup {
    /// The code of its link.
    pub code: String,
}

/// The account is in a group, or its admins have to decide.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupJoined {
    /// The group.
    pub group: Recipient,
    /// Whether its admins have to decide.
    pub pending: bool,
}

/// Leave a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaveGroup {
    /// The group.
    pub group: Recipient,
}

/// The account is out of a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupLeft {}

/// Who asks to be let into a group? Newest first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRequests {
    /// The group.
    pub group: Recipient,
    /// The last of the page before, and when they asked, in Unix seconds.
    #[serde(default)]
    pub after: Option<(i64, Recipient)>,
    /// How many are told at most.
    pub limit: u32,
}

/// Those who ask to be let into a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestsListed {
    /// Who, by a name that is theirs alone, and when in Unix seconds.
    pub requests: Vec<JoinRequest>,
    /// Whether there are more.
    pub more: bool,
}

/// Somebody asks to be let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRequest {
    /// Who, as WhatsApp names them.
    pub name: Recipient,
    /// Who, by both names where they are known.
    pub person: Person,
    /// When, in Unix seconds; 0 where WhatsApp does not say.
    pub at: i64,
}

/// Give a group a picture, or take it away.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangePicture {
    /// The group.
    pub group: Recipient,
    /// A picture in a format that we read, in base64; none takes the picture away.
    #[serde(default)]
    pub image: Option<String>,
}

/// A group's picture was changed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PictureChanged {
    /// WhatsApp's id of the new one.
    #[serde(default)]
    pub id: Option<String>,
}
