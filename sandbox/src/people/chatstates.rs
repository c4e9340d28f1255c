//! "… is typing": chat states between people.
//!
//! A chat state goes to the devices of those in the chat. For a device that is not connected it waits a short while
//! (`Config::chatstate_ttl`) and is then dropped: it does not matter who was typing a minute ago.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};

use super::blocks;
use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
use crate::groups;
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::wire;

/// What a person does in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Writes.
    #[default]
    Composing,
    /// Records a voice message.
    Recording,
    /// Does neither any longer.
    Paused,
}

impl State {
    fn read(node: &Node) -> Option<Self> {
        let child = wire::children(node).first()?;
        match (child.tag.as_ref(), wire::attr(child, "media").as_deref()) {
            ("composing", Some("audio")) => Some(Self::Recording),
            ("composing", _) => Some(Self::Composing),
            ("paused", _) => Some(Self::Paused),
            _ => None,
        }
    }

    fn node(self) -> Node {
        match self {
            Self::Composing => NodeBuilder::new("composing").build(),
            Self::Recording => NodeBuilder::new("composing").attr("media", "audio").build(),
            Self::Paused => NodeBuilder::new("paused").build(),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Composing => "composing",
            Self::Recording => "recording",
            Self::Paused => "paused",
        }
    }

    /// The state that the store names so.
    fn named(name: &str) -> Self {
        match name {
            "recording" => Self::Recording,
            "paused" => Self::Paused,
            _ => Self::Composing,
        }
    }
}

/// Who hears what somebody does in a chat, and how the chat is named to them.
struct Audience {
    people: Vec<Account>,
    /// The chat's key in the store: a number or a group.
    chat: String,
    /// `from`, and `participant` where the chat is a group.
    from: Jid,
    participant: Option<Jid>,
}

/// Takes a client's `<chatstate>`. It is never answered; what cannot be understood has no effect.
pub(crate) fn take(unit: &mut Unit<'_>, ttl: Duration, from: &Address, node: &Node) -> Result<()> {
    let (Some(to), Some(state)) = (wire::attr_jid(node, "to"), State::read(node)) else {
        return Ok(());
    };
    let sender = directory::require(unit, &from.phone)?;
    send(unit, ttl, (&sender, from.device), &to, state)
}

/// Shows those in the chat `to` what a device of `sender` does in it. A chat that does not exist hears nothing.
pub(crate) fn send(
    unit: &mut Unit<'_>,
    ttl: Duration,
    (sender, device): (&Account, u16),
    to: &Jid,
    state: State,
) -> Result<()> {
    let Some(audience) = audience(unit, sender, to)? else {
        return Ok(());
    };
    let mut builder = NodeBuilder::new("chatstate").attr("from", audience.from);
    if let Some(participant) = audience.participant {
        builder = builder.attr("participant", participant);
    }
    let node = builder.children([state.node()]).build();
    let address = Address::new(&sender.phone, device);
    let id = format!("{}/{}", audience.chat, sender.phone);
    let stanza = Stanza {
        kind: Kind::Chatstate,
        id: &id,
        subtype: state.as_str(),
        sender: &address,
        node: &node,
    };
    for person in audience.people {
        for device in directory::devices(unit, &person.phone)? {
            queue::push_for(unit, &Address::new(&person.phone, device), &stanza, ttl)?;
        }
    }
    Ok(())
}

fn audience(unit: &Unit<'_>, sender: &Account, to: &Jid) -> Result<Option<Audience>> {
    if to.is_group() {
        return in_group(unit, sender, to);
    }
    let (Some(person), Some(family)) = (directory::resolve(unit, to)?, Family::of(to)) else {
        return Ok(None);
    };
    if person.phone == sender.phone || blocks::blocks(unit, &person.phone, &sender.phone)? {
        return Ok(None);
    }
    Ok(Some(Audience {
        people: vec![person],
        chat: sender.phone.clone(),
        from: sender.jid(family, 0),
        participant: None,
    }))
}

/// Everybody in a group but the one who writes, who must be in it.
fn in_group(unit: &Unit<'_>, sender: &Account, to: &Jid) -> Result<Option<Audience>> {
    let Some(group) = groups::find(unit, to)? else {
        return Ok(None);
    };
    let people: Vec<Account> = groups::members(unit, &group.id)?
        .into_iter()
        .map(|member| member.account)
        .collect();
    if !people.iter().any(|person| person.phone == sender.phone) {
        return Ok(None);
    }
    let others = people.into_iter().filter(|person| person.phone != sender.phone);
    Ok(Some(Audience {
        people: others.collect(),
        chat: group.jid().to_string(),
        from: group.jid(),
        participant: Some(group.name(sender)),
    }))
}

/// What a phone saw last of somebody in a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The other party's number, or the group's JID.
    pub chat: String,
    /// The number of who does it.
    pub from: String,
    /// What they do.
    pub state: State,
    /// RFC 3339, UTC.
    pub at: String,
}

/// A phone takes a `<chatstate>` from its queue.
pub(crate) fn see(unit: &Unit<'_>, phone: &str, node: &Node) -> Result<()> {
    let (Some(from), Some(state)) = (wire::attr_jid(node, "from"), State::read(node)) else {
        return Ok(());
    };
    let participant = wire::attr_jid(node, "participant");
    let Some(person) = directory::resolve(unit, participant.as_ref().unwrap_or(&from))? else {
        return Ok(());
    };
    let chat = match participant {
        Some(_) => from.to_string(),
        None => person.phone.clone(),
    };
    unit.execute(
        "INSERT OR REPLACE INTO typing (phone, chat, person, state, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (phone, chat, person.phone, state.as_str(), unit.now_ms()),
    )?;
    Ok(())
}

/// What a phone saw last of everybody who wrote to it, latest first.
pub(crate) fn seen(unit: &Unit<'_>, phone: &str) -> Result<Vec<Seen>> {
    let mut statement = unit
        .prepare("SELECT chat, person, state, seen_at FROM typing WHERE phone = ?1 ORDER BY seen_at DESC")?;
    let rows = statement.query_map([phone], |row| {
        Ok(Seen {
            chat: row.get(0)?,
            from: row.get(1)?,
            state: State::named(row.get_ref(2)?.as_str()?),
            at: crate::phone::inbox::rfc3339(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn states_survive_the_wire() {
        for state in [State::Composing, State::Recording, State::Paused] {
            let node = NodeBuilder::new("chatstate").children([state.node()]).build();
            assert_eq!(State::read(&node), Some(state));
        }
        let odd = NodeBuilder::new("chatstate")
            .children([NodeBuilder::new("dancing").build()])
            .build();
        assert_eq!(State::read(&odd), None);
    }

    #[test]
    fn a_blocked_person_types_unseen() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let sender = identity::create(unit, None, None)?;
            let person = identity::create(unit, None, None)?;
            let phone = Address::primary(&person.phone);
            let to = person.jid(Family::Lid, 0);
            let type_to = |unit: &mut Unit<'_>| {
                send(unit, Duration::from_secs(9), (&sender, 0), &to, State::Composing)?;
                Ok::<_, crate::error::Error>(queue::after(unit, &phone, 0, 9)?.len())
            };
            assert_eq!(type_to(unit)?, 1);
            blocks::set(unit, &person, &sender, true, (None, None))?;
            assert_eq!(type_to(unit)?, 1);
            Ok(())
        });
    }
}
