//! A group as it is stored.

use rusqlite::OptionalExtension as _;
use wacore_binary::{Jid, Server};

use crate::directory::{Account, Family};
use crate::error::Result;
use crate::store::Unit;

/// A group, without its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The digits of its JID.
    pub(crate) id: String,
    /// How it names its members.
    pub(crate) addressing: Family,
    /// The creator's number; they may have left.
    pub(crate) creator: String,
    /// Unix seconds.
    pub(crate) created_at: i64,
    pub(crate) subject: String,
    /// The number of whoever set the subject.
    pub(crate) subject_owner: String,
    /// Unix seconds.
    pub(crate) subject_at: i64,
    pub(crate) description: Option<Description>,
    pub(crate) settings: Settings,
    /// Changes with the participants.
    pub(crate) participants_version: i64,
    /// Changes with the admins and who may write.
    pub(crate) admins_version: i64,
}

/// What a group is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) text: String,
    /// Names this version of it; the next one refers to it.
    pub(crate) id: String,
    /// The number of whoever wrote it.
    pub(crate) owner: String,
    /// Unix seconds.
    pub(crate) at: i64,
}

/// Who may do what in a group.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as on the wire"
)]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Only admins edit the info.
    pub(crate) locked: bool,
    /// Only admins write.
    pub(crate) announcement: bool,
    /// Admins decide who joins.
    pub(crate) approval: bool,
    /// Every member may add others.
    pub(crate) members_add: bool,
    /// Every member may see the invite link.
    pub(crate) members_link: bool,
    /// Seconds until messages disappear; 0 if they do not.
    pub(crate) ephemeral: u32,
    /// Where the timer came from, as the client that set it said.
    pub(crate) ephemeral_trigger: Option<u32>,
}

impl Settings {
    /// The value of `<member_add_mode>`.
    pub(crate) fn member_add_mode(&self) -> &'static str {
        if self.members_add {
            "all_member_add"
        } else {
            "admin_add"
        }
    }

    /// The value of `<member_link_mode>`.
    pub(crate) fn member_link_mode(&self) -> &'static str {
        if self.members_link {
            "all_member_link"
        } else {
            "admin_link"
        }
    }
}

impl Group {
    /// Its JID.
    pub(crate) fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }

    /// The JID by which it names `account`.
    pub(crate) fn name(&self, account: &Account) -> Jid {
        account.jid(self.addressing, 0)
    }

    /// The value of `addressing_mode`.
    pub(crate) fn addressing_mode(&self) -> &'static str {
        addressing_mode(self.addressing)
    }

    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let text: Option<String> = row.get(7)?;
        let description = match text {
            Some(text) => Some(Description {
                text,
                id: row.get(8)?,
                owner: row.get(9)?,
                at: row.get(10)?,
            }),
            None => None,
        };
        let pn = row.get_ref(1)?.as_str()? == "pn";
        Ok(Self {
            id: row.get(0)?,
            addressing: if pn { Family::Pn } else { Family::Lid },
            creator: row.get(2)?,
            created_at: row.get(3)?,
            subject: row.get(4)?,
            subject_owner: row.get(5)?,
            subject_at: row.get(6)?,
            description,
            settings: Settings {
                locked: row.get(11)?,
                announcement: row.get(12)?,
                approval: row.get(13)?,
                members_add: row.get_ref(14)?.as_str()? == "all_member_add",
                members_link: row.get_ref(15)?.as_str()? == "all_member_link",
                ephemeral: row.get(16)?,
                ephemeral_trigger: row.get(17)?,
            },
            participants_version: row.get(18)?,
            admins_version: row.get(19)?,
        })
    }
}

/// The word for a family in stanzas of groups.
pub(super) fn addressing_mode(family: Family) -> &'static str {
    match family {
        Family::Pn => "pn",
        Family::Lid => "lid",
    }
}

const COLUMNS: &str = "id, addressing, creator, created_at, subject, subject_owner, subject_at, description,
    description_id, description_owner, description_at, locked, announcement, approval, member_add, member_link,
    ephemeral, ephemeral_trigger, participants_version, admins_version";

/// The group that `jid` names.
pub(crate) fn find(unit: &Unit<'_>, jid: &Jid) -> Result<Option<Group>> {
    if jid.server != Server::Group {
        return Ok(None);
    }
    by_id(unit, &jid.user)
}

/// The group with this id.
pub(super) fn by_id(unit: &Unit<'_>, id: &str) -> Result<Option<Group>> {
    let sql = format!("SELECT {COLUMNS} FROM groups WHERE id = ?1");
    Ok(unit.prepare(&sql)?.query_row([id], Group::from_row).optional()?)
}

/// Stores a group, a new one or one that changed.
pub(super) fn save(unit: &Unit<'_>, group: &Group) -> Result<()> {
    let sql = format!(
        "INSERT INTO groups ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
         ON CONFLICT (id) DO UPDATE SET subject = ?5, subject_owner = ?6, subject_at = ?7, description = ?8,
             description_id = ?9, description_owner = ?10, description_at = ?11, locked = ?12,
             announcement = ?13, approval = ?14, member_add = ?15, member_link = ?16, ephemeral = ?17,
             ephemeral_trigger = ?18, participants_version = ?19, admins_version = ?20"
    );
    let description = group.description.as_ref();
    let settings = &group.settings;
    unit.execute(
        &sql,
        rusqlite::params![
            group.id,
            group.addressing_mode(),
            group.creator,
            group.created_at,
            group.subject,
            group.subject_owner,
            group.subject_at,
            description.map(|description| &description.text),
            description.map(|description| &description.id),
            description.map(|description| &description.owner),
            description.map(|description| description.at),
            settings.locked,
            settings.announcement,
            settings.approval,
            settings.member_add_mode(),
            settings.member_link_mode(),
            settings.ephemeral,
            settings.ephemeral_trigger,
            group.participants_version,
            group.admins_version,
        ],
    )?;
    Ok(())
}

/// A version later than `former`: microseconds since the Unix epoch, as on the real network.
pub(super) fn next_version(unit: &Unit<'_>, former: i64) -> i64 {
    (unit.now_ms() * 1_000).max(former + 1)
}
