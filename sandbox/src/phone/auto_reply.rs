//! Phones that answer by themselves: a rule of the phone, kept until it is taken back.
//!
//! Each message from another person is answered once, however often it arrives. Answers are known by their ids and
//! not answered, so that two phones with a rule do not keep each other busy for ever. An answer that is due later is
//! stored with its time, and survives a restart.

use std::sync::Arc;
use std::time::Duration;

use buffa::Message as _;
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};
use tracing::error;
use waproto::whatsapp as wa;

use super::content::{Content, unwrapped};
use super::inbox::Said;
use super::send::{self, Draft};
use super::{reading, secrets};
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::people::chatstates::{self, State};
use crate::store::Unit;

/// The longest delay of an answer.
const MAX_DELAY_MS: u32 = 24 * 60 * 60 * 1000;

/// The longest text of an answer in bytes, as of any message.
const MAX_TEXT: usize = 65_536;

/// Answers that a phone remembers as such, at least.
const KEPT: i64 = 10_000;

/// Answers that are given in one unit of work.
const AT_ONCE: u32 = 50;

/// How long to wait where the store fails.
const PAUSE: Duration = Duration::from_secs(1);

/// What a phone answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoReply {
    /// The text of each answer; or else `echo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether messages are answered with what they say themselves.
    #[serde(default)]
    pub echo: bool,
    /// How long an answer takes.
    #[serde(default)]
    pub delay_ms: u32,
    /// Whether the person reads what is answered.
    #[serde(default)]
    pub read: bool,
    /// Whether the person is seen typing until then.
    #[serde(default)]
    pub typing: bool,
}

impl AutoReply {
    fn check(&self) -> Result<()> {
        if self.text.is_some() == self.echo {
            return Err(Error::Invalid(
                "exactly one of `text` and `echo` is wanted".into(),
            ));
        }
        if self
            .text
            .as_ref()
            .is_some_and(|text| text.is_empty() || text.len() > MAX_TEXT)
        {
            return Err(Error::Invalid(format!("`text` has 1 to {MAX_TEXT} bytes")));
        }
        if self.delay_ms > MAX_DELAY_MS {
            return Err(Error::Invalid(format!("`delayMs` is at most {MAX_DELAY_MS}")));
        }
        Ok(())
    }
}

/// Puts a rule in force, or ends it. Answers that are still due under the former rule are given.
pub(crate) fn set(unit: &Unit<'_>, phone: &str, rule: Option<&AutoReply>) -> Result<()> {
    directory::require(unit, phone)?;
    let Some(rule) = rule else {
        unit.execute("DELETE FROM auto_reply WHERE phone = ?1", [phone])?;
        return Ok(());
    };
    rule.check()?;
    unit.execute(
        "INSERT OR REPLACE INTO auto_reply (phone, text, delay_ms, read, typing) VALUES (?1, ?2, ?3, ?4, ?5)",
        (phone, &rule.text, rule.delay_ms, rule.read, rule.typing),
    )?;
    Ok(())
}

/// The rule in force.
pub(crate) fn get(unit: &Unit<'_>, phone: &str) -> Result<Option<AutoReply>> {
    let rule = unit
        .prepare("SELECT text, delay_ms, read, typing FROM auto_reply WHERE phone = ?1")?
        .query_row([phone], |row| {
            let text: Option<String> = row.get(0)?;
            Ok(AutoReply {
                echo: text.is_none(),
                text,
                delay_ms: row.get(1)?,
                read: row.get(2)?,
                typing: row.get(3)?,
            })
        })
        .optional()?;
    Ok(rule)
}

/// Answers a message that `account` got for the first time, if its rule says so.
pub(crate) fn answer(
    unit: &mut Unit<'_>,
    account: &Account,
    said: &Said<'_>,
    message: &wa::Message,
) -> Result<()> {
    // Only chats with others: messages of one's own devices and of groups are not answered.
    if said.author.phone == account.phone || said.chat != said.author.phone {
        return Ok(());
    }
    let Some(rule) = get(unit, &account.phone)? else {
        return Ok(());
    };
    let answered = unit
        .prepare("SELECT 1 FROM auto_answers WHERE phone = ?1 AND id = ?2")?
        .exists((&said.author.phone, said.id))?;
    if answered || !is_said(message) {
        return Ok(());
    }
    if rule.read {
        reading::read(unit, account, Some(&[said.id.to_owned()]), false)?;
    }
    let message = rule.text.map_or_else(|| echo(message), text);
    let due = unit.now_ms() + i64::from(rule.delay_ms);
    unit.execute(
        "INSERT INTO auto_answers (phone, id, chat, family, message, typing, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        rusqlite::params![
            account.phone,
            send::new_id(),
            said.author.phone,
            said.family.as_str(),
            message.encode_to_vec(),
            rule.typing,
            due,
        ],
    )?;
    if unit.trims("auto_answers", &account.phone) {
        unit.execute(
            "DELETE FROM auto_answers WHERE phone = ?1 AND given AND seq <=
                 (SELECT seq FROM auto_answers WHERE phone = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            (&account.phone, KEPT),
        )?;
    }
    unit.answers_due();
    Ok(())
}

/// Whether a message says something: reactions, votes, pins and the like do not.
fn is_said(message: &wa::Message) -> bool {
    Content::read(message).is_some_and(|content| {
        !matches!(
            content.kind.as_str(),
            "reaction"
                | "poll-vote"
                | "event-response"
                | "comment"
                | "pin"
                | "unpin"
                | "keep"
                | "disappearing"
                | "call"
        )
    })
}

fn text(text: String) -> wa::Message {
    let mut message = wa::Message {
        conversation: Some(text),
        ..Default::default()
    };
    secrets::give(&mut message);
    message
}

/// The same words, or the same media, as a message of one's own.
fn echo(message: &wa::Message) -> wa::Message {
    let mut echo = unwrapped(message).clone();
    if let Some(said) = echo
        .extended_text_message
        .as_option()
        .and_then(|part| part.text.clone())
    {
        return text(said);
    }
    echo.message_context_info = buffa::MessageField::none();
    secrets::give(&mut echo);
    echo
}

/// Shows those who wait for an answer that it is being written. For devices that are away it waits for `ttl`.
fn show_typing(unit: &mut Unit<'_>, ttl: Duration) -> Result<()> {
    let typing: Vec<(i64, String, String, String)> = unit
        .prepare(
            "SELECT a.seq, a.phone, a.chat, a.family FROM auto_answers a
             JOIN phones p ON p.phone = a.phone AND p.online
             WHERE NOT a.given AND a.typing ORDER BY a.seq LIMIT ?1",
        )?
        .query_map([AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, phone, chat, family) in typing {
        unit.execute("UPDATE auto_answers SET typing = 0 WHERE seq = ?1", [seq])?;
        let account = directory::require(unit, &phone)?;
        if let Some(to) = directory::by_phone(unit, &chat)? {
            let to = to.jid(Family::named(&family), 0);
            chatstates::send(unit, ttl, (&account, 0), &to, State::Composing)?;
        }
    }
    Ok(())
}

/// Gives the answers that are due, in the order of their times, and tells when the next one is. Answers of phones
/// that are off wait until they are on again.
fn give(unit: &mut Unit<'_>, ttl: Duration) -> Result<Option<i64>> {
    type Row = (i64, String, String, String, String, Vec<u8>);
    show_typing(unit, ttl)?;
    let due: Vec<Row> = unit
        .prepare(
            "SELECT a.seq, a.phone, a.id, a.chat, a.family, a.message FROM auto_answers a
             JOIN phones p ON p.phone = a.phone AND p.online
             WHERE NOT a.given AND a.due_at <= ?1 ORDER BY a.due_at, a.seq LIMIT ?2",
        )?
        .query_map((unit.now_ms(), AT_ONCE), |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, phone, id, chat, family, message) in due {
        unit.execute("UPDATE auto_answers SET given = 1 WHERE seq = ?1", [seq])?;
        let account = directory::require(unit, &phone)?;
        let Some(to) = directory::by_phone(unit, &chat)? else {
            continue;
        };
        let message =
            wa::Message::decode_from_slice(&message).map_err(|error| Error::codec("an answer", error))?;
        let draft = Draft {
            message,
            id: Some(id),
            family: Family::named(&family),
        };
        send::message(unit, &account, &to, draft)?;
    }
    let next = unit
        .prepare(
            "SELECT MIN(a.due_at) FROM auto_answers a JOIN phones p ON p.phone = a.phone AND p.online
             WHERE NOT a.given",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(next)
}

/// Gives answers when their time comes, until the network stops.
pub(crate) async fn run(network: Arc<Network>) {
    let ttl = network.config.chatstate_ttl;
    loop {
        let told = network.registry.answers.notified();
        let wait = match network.store.run(move |unit| give(unit, ttl)).await {
            Ok(next) => next.map(|at| {
                let ms = at.saturating_sub(network.config.clock.now_ms());
                Duration::from_millis(ms.try_into().unwrap_or(0))
            }),
            Err(Error::Stopped) => return,
            Err(cause) => {
                error!(cause = %cause.for_log(), "answers were not given");
                Some(PAUSE)
            }
        };
        let due = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = network.stop.cancelled() => return,
            () = told => {}
            () = due => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{identity, inbox};
    use crate::store::testing::Bench;

    #[test]
    fn an_answer_is_given_once_and_not_to_an_answer() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let one = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let rule = AutoReply {
                text: Some("later".into()),
                ..AutoReply::default()
            };
            set(unit, &one.phone, Some(&rule))?;
            assert_eq!(get(unit, &one.phone)?.as_ref(), Some(&rule));
            let said = |id| Said {
                author: &other,
                family: Family::Pn,
                chat: &other.phone,
                id,
                sent: false,
            };
            answer(unit, &one, &said("A"), &text("hi".into()))?;
            assert_eq!(give(unit, Duration::ZERO)?, None);
            let sent = inbox::list(unit, &one.phone, None, true)?;
            assert_eq!((sent.len(), sent[0].content.text.as_deref()), (1, Some("later")));
            // What comes back under the same id is an answer, and not answered.
            set(unit, &other.phone, Some(&rule))?;
            let back = Said {
                author: &one,
                chat: &one.phone,
                id: &sent[0].id,
                ..said("")
            };
            answer(unit, &other, &back, &text("later".into()))?;
            give(unit, Duration::ZERO)?;
            assert_eq!(inbox::list(unit, &other.phone, None, true)?.len(), 0);
            set(unit, &one.phone, None)?;
            assert_eq!(get(unit, &one.phone)?, None);
            Ok(())
        });
    }

    #[test]
    fn rules_are_checked() {
        let both = AutoReply {
            text: Some("a".into()),
            echo: true,
            ..AutoReply::default()
        };
        assert!(matches!(both.check(), Err(Error::Invalid(_))));
        assert!(matches!(AutoReply::default().check(), Err(Error::Invalid(_))));
        let slow = AutoReply {
            echo: true,
            delay_ms: MAX_DELAY_MS + 1,
            ..AutoReply::default()
        };
        assert!(matches!(slow.check(), Err(Error::Invalid(_))));
    }
}
