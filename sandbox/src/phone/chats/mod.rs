//! What a message does to a phone's chats: most make an entry of their own, some change an existing one.
//!
//! An edit, a revoke, a reaction or a vote names the message it is about. If that one has not arrived yet (it may
//! wait for a retry), the change waits for it, as in the apps.

mod change;

use buffa::Message as _;
use waproto::whatsapp as wa;

use super::content::{Content, unwrapped};
use super::gallery;
use super::inbox::{self, Said};
use crate::directory::{self, Family};
use crate::error::{Error, Result};
use crate::store::Unit;
use change::{Change, apply};

/// The changes a phone keeps for messages that it does not have yet, at least.
const KEPT_WAITING: i64 = 500;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It shows, for the first time.
    New,
    /// It showed before.
    Again,
    /// It is no entry of its own.
    Unseen,
}

/// Takes a decrypted message, no longer wrapped for an own device, into the chats of `phone`.
pub(crate) fn take(
    unit: &mut Unit<'_>,
    phone: &str,
    said: &Said<'_>,
    message: &wa::Message,
) -> Result<Taken> {
    let taken = match Content::read(message) {
        None => Taken::Unseen,
        Some(content) if inbox::put(unit, phone, said, &content, message)? == 1 => {
            gallery::note(unit, phone, (&said.author.phone, said.id), unwrapped(message))?;
            Taken::New
        }
        Some(_) => Taken::Again,
    };
    if let Some((target, change)) = Change::read(message) {
        match inbox::find_in(unit, phone, said.chat, &target)? {
            Some(found) => apply(unit, phone, said, &change, found)?,
            None => wait(unit, phone, said, &target, message)?,
        }
    }
    if taken == Taken::New {
        settle(unit, phone, said)?;
    }
    Ok(taken)
}

/// The poll in a message.
pub(crate) fn poll(message: &wa::Message) -> Option<&wa::message::PollCreationMessage> {
    let message = unwrapped(message);
    [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option())
}

/// The options of a poll; none if the message is no poll.
pub(crate) fn poll_options(message: &wa::Message) -> Vec<String> {
    let options = poll(message)
        .map(|poll| poll.options.as_slice())
        .unwrap_or_default();
    options
        .iter()
        .map(|option| option.option_name.clone().unwrap_or_default())
        .collect()
}

fn wait(unit: &Unit<'_>, phone: &str, said: &Said<'_>, target: &str, message: &wa::Message) -> Result<()> {
    unit.execute(
        "INSERT INTO changes (phone, chat, target, author, id, family, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        rusqlite::params![
            phone,
            said.chat,
            target,
            said.author.phone,
            said.id,
            said.family.as_str(),
            message.encode_to_vec(),
        ],
    )?;
    if unit.trims("changes", phone) {
        unit.execute(
            "DELETE FROM changes WHERE phone = ?1 AND seq <=
                 (SELECT seq FROM changes WHERE phone = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            (phone, KEPT_WAITING),
        )?;
    }
    Ok(())
}

/// Makes the changes that waited for the message which `said` brought.
fn settle(unit: &mut Unit<'_>, phone: &str, said: &Said<'_>) -> Result<()> {
    let waiting: Vec<(i64, String, String, String, Vec<u8>)> = unit
        .prepare(
            "SELECT seq, author, id, family, message FROM changes
             WHERE phone = ?1 AND chat = ?2 AND target = ?3 ORDER BY seq",
        )?
        .query_map((phone, said.chat, said.id), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, author, id, family, message) in waiting {
        unit.execute("DELETE FROM changes WHERE seq = ?1", [seq])?;
        let Some(author) = directory::by_phone(unit, &author)? else {
            continue;
        };
        let message =
            wa::Message::decode_from_slice(&message).map_err(|error| Error::codec("a kept change", error))?;
        let change = Said {
            author: &author,
            family: Family::named(&family),
            chat: said.chat,
            id: &id,
            sent: false,
        };
        if let (Some((_, what)), Some(target)) = (
            Change::read(&message),
            inbox::find_in(unit, phone, said.chat, said.id)?,
        ) {
            apply(unit, phone, &change, &what, target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use waproto::whatsapp::message::protocol_message::Type as Protocol;

    use super::*;
    use crate::directory::Account;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn text(text: &str) -> wa::Message {
        wa::Message {
            conversation: Some(text.into()),
            ..Default::default()
        }
    }

    fn protocol(kind: Protocol, target: &str, edited: Option<wa::Message>) -> wa::Message {
        wa::Message {
            protocol_message: wa::message::ProtocolMessage {
                r#type: Some(kind),
                key: wa::MessageKey {
                    id: Some(target.into()),
                    ..Default::default()
                }
                .into(),
                edited_message: edited.map(buffa::MessageField::some).unwrap_or_default(),
                ..Default::default()
            }
            .into(),
            ..Default::default()
        }
    }

    /// A phone, someone who writes to it, and someone who should not.
    fn people(unit: &Unit<'_>) -> Result<[Account; 3]> {
        Ok([
            identity::create(unit, None, None)?,
            identity::create(unit, None, None)?,
            identity::create(unit, None, None)?,
        ])
    }

    fn said<'a>(author: &'a Account, chat: &'a Account, id: &'a str) -> Said<'a> {
        Said {
            author,
            family: Family::Pn,
            chat: &chat.phone,
            id,
            sent: false,
        }
    }

    #[test]
    fn a_change_waits_for_its_message_and_only_the_author_makes_it() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let [me, other, stranger] = people(unit)?;
            let edit = protocol(Protocol::MESSAGE_EDIT, "A", Some(text("new")));
            assert_eq!(
                take(unit, &me.phone, &said(&other, &other, "E"), &edit)?,
                Taken::Unseen
            );
            assert_eq!(inbox::list(unit, &me.phone, None, false)?.len(), 0);
            assert_eq!(
                take(unit, &me.phone, &said(&other, &other, "A"), &text("old"))?,
                Taken::New
            );
            let shown = inbox::list(unit, &me.phone, None, false)?;
            assert_eq!(shown.len(), 1);
            assert_eq!(
                (shown[0].content.text.as_deref(), shown[0].content.edited),
                (Some("new"), true)
            );
            // Somebody else, even in the same chat, changes nothing.
            for change in [
                protocol(Protocol::MESSAGE_EDIT, "A", Some(text("forged"))),
                protocol(Protocol::REVOKE, "A", None),
            ] {
                take(unit, &me.phone, &said(&stranger, &other, "F"), &change)?;
            }
            assert_eq!(
                inbox::list(unit, &me.phone, None, false)?[0].content,
                shown[0].content
            );
            take(
                unit,
                &me.phone,
                &said(&other, &other, "R"),
                &protocol(Protocol::REVOKE, "A", None),
            )?;
            let revoked = &inbox::list(unit, &me.phone, None, false)?[0];
            assert_eq!(
                (revoked.content.kind.as_str(), &revoked.content.text),
                ("revoked", &None)
            );
            Ok(())
        });
    }

    #[test]
    fn a_person_has_one_reaction() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let [me, other, _] = people(unit)?;
            take(unit, &me.phone, &said(&other, &other, "A"), &text("hi"))?;
            for (id, emoji) in [("1", "👍"), ("2", "❤"), ("3", "")] {
                let key = wa::MessageKey {
                    id: Some("A".into()),
                    ..Default::default()
                };
                let reaction = wacore::proto_helpers::build_reaction_message(key, emoji, 1);
                take(unit, &me.phone, &said(&other, &other, id), &reaction)?;
                let shown = inbox::list(unit, &me.phone, None, false)?;
                let standing: Vec<_> = shown[0]
                    .content
                    .reactions
                    .iter()
                    .map(|r| r.text.as_str())
                    .collect();
                assert_eq!(standing, if emoji.is_empty() { vec![] } else { vec![emoji] });
            }
            // Each is an entry too, and says what it is about.
            let entries = inbox::list(unit, &me.phone, Some("A"), false)?;
            assert_eq!(entries.len(), 3);
            assert!(entries.iter().all(|e| e.content.quoted.as_deref() == Some("A")));
            Ok(())
        });
    }
}
