//! Privacy settings: who may see, add and call a person.
//!
//! `last`, `online`, `profile`, `status`, `groupadd`, `calladd` and `readreceipts` take effect; `messages`, `defense`
//! and `stickers` are kept and have none here. As in the apps, `last`, `online` and `readreceipts` go both ways:
//! whoever hides them from somebody does not see that person's.

use rusqlite::OptionalExtension as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{blocks, contacts, notices, presence};
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::store::Unit;

/// The most people that one setting excepts.
const MAX_EXCEPTIONS: usize = 10_000;

/// What a setting is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    /// When the person was there last.
    Last,
    /// Whether the person is there now.
    Online,
    /// The profile picture.
    Profile,
    /// The about text.
    Status,
    GroupAdd,
    ReadReceipts,
    CallAdd,
    Messages,
    Defense,
    Stickers,
}

impl Category {
    /// All, in the order in which clients get them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Last,
        Self::Online,
        Self::Profile,
        Self::Status,
        Self::GroupAdd,
        Self::ReadReceipts,
        Self::CallAdd,
        Self::Messages,
        Self::Defense,
        Self::Stickers,
    ];

    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Online => "online",
            Self::Profile => "profile",
            Self::Status => "status",
            Self::GroupAdd => "groupadd",
            Self::ReadReceipts => "readreceipts",
            Self::CallAdd => "calladd",
            Self::Messages => "messages",
            Self::Defense => "defense",
            Self::Stickers => "stickers",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a category that does not exist.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == name)
            .ok_or_else(|| Error::Invalid("there is no such privacy setting".into()))
    }

    /// The values it takes, that of a new account first.
    fn values(self) -> &'static [Value] {
        match self {
            Self::Last | Self::Profile | Self::Status | Self::GroupAdd => {
                &[Value::All, Value::Contacts, Value::Except, Value::None]
            }
            Self::Online => &[Value::All, Value::MatchLastSeen],
            Self::ReadReceipts => &[Value::All, Value::None],
            Self::CallAdd => &[Value::All, Value::Known, Value::Contacts],
            Self::Messages => &[Value::All, Value::Contacts],
            Self::Defense => &[Value::Off, Value::OnStandard],
            Self::Stickers => &[Value::Contacts, Value::Only, Value::None],
        }
    }

    /// Whether it hides as much from the person as it hides of the person.
    fn is_mutual(self) -> bool {
        matches!(self, Self::Last | Self::Online)
    }
}

/// Whom a setting lets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    All,
    Contacts,
    /// Contacts other than those named.
    Except,
    /// Contacts named.
    Only,
    None,
    MatchLastSeen,
    Known,
    Off,
    OnStandard,
}

impl Value {
    const ALL: [Self; 9] = [
        Self::All,
        Self::Contacts,
        Self::Except,
        Self::Only,
        Self::None,
        Self::MatchLastSeen,
        Self::Known,
        Self::Off,
        Self::OnStandard,
    ];

    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Contacts => "contacts",
            Self::Except => "contact_blacklist",
            Self::Only => "contact_allowlist",
            Self::None => "none",
            Self::MatchLastSeen => "match_last_seen",
            Self::Known => "known",
            Self::Off => "off",
            Self::OnStandard => "on_standard",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == name)
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no value of `category`; the message names those that are.
    pub(crate) fn parse(category: Category, name: &str) -> Result<Self> {
        let found = Self::find(name).filter(|value| category.values().contains(value));
        found.ok_or_else(|| {
            let names: Vec<_> = category.values().iter().map(|value| value.as_str()).collect();
            Error::Invalid(format!("`{}` is one of {}", category.as_str(), names.join(", ")))
        })
    }
}

/// How the people named by a setting change.
#[derive(Debug, Default)]
pub(crate) struct Exceptions {
    pub(crate) add: Vec<Account>,
    pub(crate) remove: Vec<Account>,
    /// The state of the list that the client knows.
    pub(crate) believed: Option<String>,
}

/// The person's setting.
pub(crate) fn get(unit: &Unit<'_>, phone: &str, category: Category) -> Result<Value> {
    let stored: Option<String> = unit
        .prepare("SELECT value FROM privacy WHERE phone = ?1 AND category = ?2")?
        .query_row((phone, category.as_str()), |row| row.get(0))
        .optional()?;
    let default = category.values()[0];
    Ok(stored.and_then(|name| Value::find(&name)).unwrap_or(default))
}

/// Whom the person's setting names, in no order that matters.
pub(crate) fn exceptions(unit: &Unit<'_>, phone: &str, category: Category) -> Result<Vec<Account>> {
    let mut statement =
        unit.prepare("SELECT person FROM privacy_exceptions WHERE phone = ?1 AND category = ?2")?;
    let people = statement.query_map((phone, category.as_str()), |row| row.get::<_, String>(0))?;
    people.map(|person| directory::require(unit, &person?)).collect()
}

/// Names the state of a list of exceptions.
pub(crate) fn hash(people: &[Account]) -> String {
    super::hash(people.iter().map(|person| person.lid.as_str()))
}

/// Changes a setting and tells the account's other companions. `origin` is the companion that asked.
///
/// # Errors
/// [`Error::Invalid`] for a value that the category does not take, [`Error::Conflict`] where the list of exceptions is
/// not the one that the client knows.
pub(crate) fn set(
    unit: &mut Unit<'_>,
    account: &Account,
    (category, value): (Category, Value),
    change: &Exceptions,
    origin: Option<u16>,
) -> Result<()> {
    let value = Value::parse(category, value.as_str())?;
    let named = exceptions(unit, &account.phone, category)?;
    if !super::agrees(change.believed.as_deref(), &hash(&named), named.is_empty()) {
        return Err(Error::Conflict(
            "the list of exceptions has changed meanwhile".into(),
        ));
    }
    unit.execute(
        "INSERT OR REPLACE INTO privacy (phone, category, value) VALUES (?1, ?2, ?3)",
        (&account.phone, category.as_str(), value.as_str()),
    )?;
    for person in &change.remove {
        unit.execute(
            "DELETE FROM privacy_exceptions WHERE phone = ?1 AND category = ?2 AND person = ?3",
            (&account.phone, category.as_str(), &person.phone),
        )?;
    }
    for person in &change.add {
        unit.execute(
            "INSERT OR IGNORE INTO privacy_exceptions (phone, category, person) VALUES (?1, ?2, ?3)",
            (&account.phone, category.as_str(), &person.phone),
        )?;
    }
    if exceptions(unit, &account.phone, category)?.len() > MAX_EXCEPTIONS {
        return Err(Error::Invalid(format!(
            "a setting excepts up to {MAX_EXCEPTIONS} people"
        )));
    }
    let child = node(unit, &account.phone, category)?;
    let settings = NodeBuilder::new("privacy").children([child]).build();
    notices::siblings(unit, account, origin, settings)?;
    if category.is_mutual() {
        presence::show(unit, account, None)?;
        presence::show_others(unit, account)?;
    }
    Ok(())
}

/// The `<category>` with the person's setting.
pub(crate) fn node(unit: &Unit<'_>, phone: &str, category: Category) -> Result<Node> {
    let value = get(unit, phone, category)?;
    let mut builder = NodeBuilder::new("category")
        .attr("name", category.as_str())
        .attr("value", value.as_str());
    if matches!(value, Value::Except | Value::Only) {
        builder = builder.attr("dhash", hash(&exceptions(unit, phone, category)?));
    }
    Ok(builder.build())
}

/// The `<list>` of those whom a setting names.
pub(crate) fn list_node(unit: &Unit<'_>, phone: &str, category: Category) -> Result<Node> {
    let people = exceptions(unit, phone, category)?;
    let users = people.iter().map(|person| {
        NodeBuilder::new("user")
            .attr("jid", person.jid(Family::Lid, 0))
            .attr("pn_jid", person.jid(Family::Pn, 0))
            .build()
    });
    Ok(NodeBuilder::new("list")
        .attr("name", category.as_str())
        .attr("value", Value::Except.as_str())
        .attr("dhash", hash(&people))
        .attr("addressing_mode", "lid")
        .children(users)
        .build())
}

/// Whether `viewer` sees what `category` stands for of `person`.
pub(crate) fn may_see(unit: &Unit<'_>, viewer: &str, person: &str, category: Category) -> Result<bool> {
    Ok(permits(unit, person, viewer, category)?
        && (!category.is_mutual() || permits(unit, viewer, person, category)?))
}

/// Whether `adder` may put `person` into a group, rather than invite.
pub(crate) fn may_add_to_group(unit: &Unit<'_>, adder: &str, person: &str) -> Result<bool> {
    permits(unit, person, adder, Category::GroupAdd)
}

/// Whether two people tell each other what they have read.
pub(crate) fn share_read_receipts(unit: &Unit<'_>, one: &str, other: &str) -> Result<bool> {
    let open = |phone| Ok::<_, Error>(get(unit, phone, Category::ReadReceipts)? == Value::All);
    Ok(open(one)? && open(other)?)
}

/// Whether a setting of `owner` permits `other`. Blocked people are permitted nothing, own devices everything.
pub(crate) fn permits(unit: &Unit<'_>, owner: &str, other: &str, category: Category) -> Result<bool> {
    if owner == other {
        return Ok(true);
    }
    if blocks::blocks(unit, owner, other)? {
        return Ok(false);
    }
    Ok(match get(unit, owner, category)? {
        Value::All | Value::Off | Value::OnStandard => true,
        Value::None => false,
        Value::Contacts | Value::Known => contacts::has(unit, owner, other)?,
        Value::Except => contacts::has(unit, owner, other)? && !is_named(unit, owner, other, category)?,
        Value::Only => is_named(unit, owner, other, category)?,
        Value::MatchLastSeen => permits(unit, owner, other, Category::Last)?,
    })
}

fn is_named(unit: &Unit<'_>, owner: &str, other: &str, category: Category) -> Result<bool> {
    let mut named =
        unit.prepare("SELECT 1 FROM privacy_exceptions WHERE phone = ?1 AND category = ?2 AND person = ?3")?;
    Ok(named.exists((owner, category.as_str(), other))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn each_value_lets_whom_it_says() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let owner = identity::create(unit, None, None)?;
            let friend = identity::create(unit, None, None)?;
            let foe = identity::create(unit, None, None)?;
            let stranger = identity::create(unit, None, None)?;
            contacts::add(unit, &owner.phone, &friend.phone)?;
            contacts::add(unit, &owner.phone, &foe.phone)?;
            let except_foe = Exceptions {
                add: vec![foe.clone()],
                ..Exceptions::default()
            };
            for (value, change, expected) in [
                (Value::All, Exceptions::default(), [true, true, true]),
                (Value::Contacts, Exceptions::default(), [true, true, false]),
                (Value::Except, except_foe, [true, false, false]),
                (Value::None, Exceptions::default(), [false, false, false]),
            ] {
                set(unit, &owner, (Category::GroupAdd, value), &change, None)?;
                for (other, expected) in [&friend, &foe, &stranger].into_iter().zip(expected) {
                    assert_eq!(
                        may_add_to_group(unit, &other.phone, &owner.phone)?,
                        expected,
                        "{value:?}"
                    );
                }
            }
            assert!(may_see(unit, &stranger.phone, &owner.phone, Category::Status)?);
            blocks::set(unit, &owner, &stranger, true, (None, None))?;
            assert!(!may_see(unit, &stranger.phone, &owner.phone, Category::Status)?);
            Ok(())
        });
    }

    #[test]
    fn who_hides_does_not_see() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let one = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let see = |unit: &Unit<'_>, a: &Account, b: &Account, category| {
                may_see(unit, &a.phone, &b.phone, category)
            };
            set(
                unit,
                &one,
                (Category::Last, Value::None),
                &Exceptions::default(),
                None,
            )?;
            assert!(!see(unit, &one, &other, Category::Last)? && !see(unit, &other, &one, Category::Last)?);
            assert!(see(unit, &other, &one, Category::Online)?);
            set(
                unit,
                &one,
                (Category::Online, Value::MatchLastSeen),
                &Exceptions::default(),
                None,
            )?;
            assert!(
                !see(unit, &other, &one, Category::Online)? && !see(unit, &one, &other, Category::Online)?
            );
            assert!(share_read_receipts(unit, &one.phone, &other.phone)?);
            set(
                unit,
                &one,
                (Category::ReadReceipts, Value::None),
                &Exceptions::default(),
                None,
            )?;
            assert!(!share_read_receipts(unit, &other.phone, &one.phone)?);
            Ok(())
        });
    }

    #[test]
    fn a_list_that_changed_meanwhile_and_foreign_values_are_refused() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let owner = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let change = |believed: &str| Exceptions {
                add: vec![other.clone()],
                believed: Some(believed.into()),
                ..Exceptions::default()
            };
            let setting = (Category::Last, Value::Except);
            set(unit, &owner, setting, &change("none"), None)?;
            assert!(matches!(
                set(unit, &owner, setting, &change("none"), None),
                Err(Error::Conflict(_))
            ));
            let wrong = set(
                unit,
                &owner,
                (Category::Online, Value::None),
                &Exceptions::default(),
                None,
            );
            assert!(matches!(wrong, Err(Error::Invalid(message)) if message.contains("match_last_seen")));
            Ok(())
        });
    }
}
