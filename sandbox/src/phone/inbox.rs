//! What a phone's person sees.

use buffa::Message as _;
use rusqlite::OptionalExtension as _;
use serde::Serialize;
use wacore::reporting_token::extract_message_secret;
use waproto::whatsapp as wa;

use super::content::Content;
use crate::directory::{Account, Family};
use crate::error::{Error, Result};
use crate::store::Unit;

/// One message of an inbox.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The message's id on the network.
    pub id: String,
    /// The other party's number, for a message to oneself one's own; a group's JID; `status@broadcast`.
    pub chat: String,
    /// The author's number.
    pub from: String,
    /// The author's LID.
    pub from_lid: String,
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
    /// RFC 3339, UTC.
    pub received_at: String,
    /// How often this id arrived, or was sent by the phone itself.
    pub copies: u32,
    /// How often the phone could not read it and asked its sender to encrypt it again. Its place is where the
    /// readable copy came, after messages sent meanwhile.
    #[serde(skip_serializing_if = "is_none_at_all")]
    pub retries: u32,
    /// The numbers of those who have read it, where the phone's person wrote it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_by: Vec<String>,
}

/// A message on its way into an inbox.
pub(crate) struct Said<'a> {
    pub(crate) author: &'a Account,
    /// The JIDs that its stanza went by.
    pub(crate) family: Family,
    /// The other party's number, or a group's JID.
    pub(crate) chat: &'a str,
    pub(crate) id: &'a str,
    /// Whether the phone itself wrote it.
    pub(crate) sent: bool,
}

/// A message of an inbox, for what comes after it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) seq: i64,
    pub(crate) id: String,
    /// The author's number.
    pub(crate) sender: String,
    pub(crate) content: Content,
    message: Vec<u8>,
    /// What additions to it are encrypted under.
    pub(crate) secret: Option<Vec<u8>>,
}

impl Found {
    /// The message as it was decrypted.
    pub(crate) fn decoded(&self) -> Result<wa::Message> {
        wa::Message::decode_from_slice(&self.message)
            .map_err(|error| Error::codec("a message of an inbox", error))
    }
}

/// A message that a person has not read, or not played.
pub(crate) struct Unread {
    pub(crate) id: String,
    /// Where it was said: the sender's number, or a group's JID.
    pub(crate) chat: String,
    pub(crate) sender: String,
    pub(crate) family: Family,
    kind: String,
}

impl Unread {
    /// Whether it can be played: a voice message or a video note.
    fn plays(&self) -> bool {
        matches!(self.kind.as_str(), "voice" | "video-note")
    }
}

/// Shows a message, or counts one more copy of it. Answers how often it arrived.
pub(crate) fn put(
    unit: &mut Unit<'_>,
    phone: &str,
    said: &Said<'_>,
    content: &Content,
    message: &wa::Message,
) -> Result<u32> {
    unit.shown();
    let copies = unit
        .prepare(
            "INSERT INTO inbox (phone, sender, id, family, chat, sender_lid, kind, body, message, secret, sent,
                 copies, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, ?12)
             ON CONFLICT (phone, sender, id) DO UPDATE SET copies = copies + 1
             RETURNING copies",
        )?
        .query_row(
            rusqlite::params![
                phone,
                said.author.phone,
                said.id,
                said.family.as_str(),
                said.chat,
                said.author.lid,
                content.kind,
                json(content)?,
                message.encode_to_vec(),
                extract_message_secret(message),
                said.sent,
                unit.now_ms(),
            ],
            |row| row.get(0),
        )?;
    Ok(copies)
}

/// Counts one more copy of a message that arrived before.
pub(crate) fn count_copy(unit: &mut Unit<'_>, phone: &str, sender: &str, id: &str) -> Result<()> {
    unit.shown();
    unit.execute(
        "UPDATE inbox SET copies = copies + 1 WHERE phone = ?1 AND sender = ?2 AND id = ?3",
        (phone, sender, id),
    )?;
    Ok(())
}

const FOUND: &str = "seq, id, sender, body, message, secret";

/// The message with this id in this chat, the latest where there are several.
pub(crate) fn find_in(unit: &Unit<'_>, phone: &str, chat: &str, id: &str) -> Result<Option<Found>> {
    let sql = format!(
        "SELECT {FOUND} FROM inbox WHERE phone = ?1 AND chat = ?2 AND id = ?3 ORDER BY seq DESC LIMIT 1"
    );
    found(unit, &sql, (phone, chat, id))
}

/// The message with this id, the latest where there are several.
pub(crate) fn find(unit: &Unit<'_>, phone: &str, id: &str) -> Result<Option<Found>> {
    let sql = format!("SELECT {FOUND} FROM inbox WHERE phone = ?1 AND id = ?2 ORDER BY seq DESC LIMIT 1");
    found(unit, &sql, (phone, id))
}

fn found(unit: &Unit<'_>, sql: &str, params: impl rusqlite::Params) -> Result<Option<Found>> {
    let row = unit
        .prepare(sql)?
        .query_row(params, |row| {
            let found = Found {
                seq: row.get(0)?,
                id: row.get(1)?,
                sender: row.get(2)?,
                content: Content::default(),
                message: row.get(4)?,
                secret: row.get(5)?,
            };
            Ok((found, row.get::<_, String>(3)?))
        })
        .optional()?;
    row.map(|(found, body)| {
        Ok(Found {
            content: parsed(&body)?,
            ..found
        })
    })
    .transpose()
}

/// Somebody has read messages that the phone's person wrote.
pub(crate) fn tick(unit: &mut Unit<'_>, phone: &str, ids: &[String], reader: &str) -> Result<()> {
    unit.shown();
    for id in ids {
        unit.execute(
            "INSERT OR IGNORE INTO ticks (phone, id, reader)
             SELECT ?1, ?2, ?3 WHERE EXISTS
                 (SELECT 1 FROM inbox WHERE phone = ?1 AND sender = ?1 AND id = ?2)",
            (phone, id, reader),
        )?;
    }
    Ok(())
}

/// Changes what an entry says, and the message kept for it where there is a new one.
pub(crate) fn amend(
    unit: &mut Unit<'_>,
    seq: i64,
    content: &Content,
    message: Option<&wa::Message>,
) -> Result<()> {
    unit.shown();
    unit.execute(
        "UPDATE inbox SET kind = ?2, body = ?3, message = COALESCE(?4, message) WHERE seq = ?1",
        (
            seq,
            &content.kind,
            json(content)?,
            message.map(wa::Message::encode_to_vec),
        ),
    )?;
    Ok(())
}

/// Sets the text of the entry that `said` made.
pub(crate) fn set_text(unit: &mut Unit<'_>, phone: &str, said: &Said<'_>, text: &str) -> Result<()> {
    let sql = format!("SELECT {FOUND} FROM inbox WHERE phone = ?1 AND sender = ?2 AND id = ?3");
    let Some(entry) = found(unit, &sql, (phone, &said.author.phone, said.id))? else {
        return Ok(());
    };
    let content = Content {
        text: Some(text.to_owned()),
        ..entry.content
    };
    amend(unit, entry.seq, &content, None)
}

/// The messages after the one with id `after` (all without it), oldest first; those that the phone itself wrote
/// only if `sent`.
///
/// # Errors
/// [`Error::NotFound`] for an `after` that is not there.
pub(crate) fn list(unit: &Unit<'_>, phone: &str, after: Option<&str>, sent: bool) -> Result<Vec<Entry>> {
    let seq: i64 = match after {
        None => 0,
        Some(id) => unit
            .prepare("SELECT MAX(seq) FROM inbox WHERE phone = ?1 AND id = ?2")?
            .query_row((phone, id), |row| row.get::<_, Option<i64>>(0))
            .optional()?
            .flatten()
            .ok_or_else(|| Error::NotFound("`after` names no message of this inbox".into()))?,
    };
    let mut statement = unit.prepare(
        "SELECT id, chat, sender, sender_lid, body, received_at, copies,
             (SELECT hash FROM phone_media m
              WHERE m.phone = inbox.phone AND m.sender = inbox.sender AND m.id = inbox.id AND m.state = 'held'),
             (SELECT coalesce(sum(count), 0) FROM retries r
              WHERE r.phone = inbox.phone AND r.sender = inbox.sender AND r.id = inbox.id),
             (SELECT group_concat(reader) FROM ticks t
              WHERE t.phone = inbox.phone AND t.phone = inbox.sender AND t.id = inbox.id)
         FROM inbox WHERE phone = ?1 AND seq > ?2 AND (?3 OR NOT sent) ORDER BY seq",
    )?;
    let mut rows = statement.query((phone, seq, sent))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let media: Option<Vec<u8>> = row.get(7)?;
        entries.push(Entry {
            id: row.get(0)?,
            chat: row.get(1)?,
            from: row.get(2)?,
            from_lid: row.get(3)?,
            content: Content {
                media_sha256: media.map(hex::encode),
                ..parsed(&row.get::<_, String>(4)?)?
            },
            received_at: rfc3339(row.get(5)?),
            copies: row.get(6)?,
            retries: row.get(8)?,
            read_by: row
                .get::<_, Option<String>>(9)?
                .map(|readers| readers.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
        });
    }
    Ok(entries)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_none_at_all(count: &u32) -> bool {
    *count == 0
}

fn json(content: &Content) -> Result<String> {
    serde_json::to_string(content).map_err(|error| Error::codec("an inbox entry", error))
}

fn parsed(body: &str) -> Result<Content> {
    serde_json::from_str(body).map_err(|error| Error::codec("an inbox entry", error))
}

/// Marks messages of others as read and answers those that were not before: the named ones, or all.
///
/// # Errors
/// [`Error::NotFound`] for an id that is not there.
pub(crate) fn mark_read(unit: &Unit<'_>, phone: &str, ids: Option<&[String]>) -> Result<Vec<Unread>> {
    mark(unit, phone, ids, "read", |_| true)
}

/// The same for playing; only voice messages and video notes can be played.
///
/// # Errors
/// [`Error::NotFound`] for an id that is not there.
pub(crate) fn mark_played(unit: &Unit<'_>, phone: &str, ids: Option<&[String]>) -> Result<Vec<Unread>> {
    mark(unit, phone, ids, "played", Unread::plays)
}

fn mark(
    unit: &Unit<'_>,
    phone: &str,
    ids: Option<&[String]>,
    column: &'static str,
    counts: impl Fn(&Unread) -> bool,
) -> Result<Vec<Unread>> {
    if let Some(ids) = ids {
        let mut known = unit.prepare("SELECT 1 FROM inbox WHERE phone = ?1 AND id = ?2")?;
        for id in ids {
            if !known.exists((phone, id))? {
                return Err(Error::NotFound("one of `ids` is no message of this inbox".into()));
            }
        }
    }
    let open: Vec<Unread> = {
        let mut statement = unit.prepare(&format!(
            "SELECT id, chat, sender, family, kind FROM inbox
             WHERE phone = ?1 AND {column} = 0 AND sender <> ?1 ORDER BY seq"
        ))?;
        let rows = statement.query_map([phone], |row| {
            Ok(Unread {
                id: row.get(0)?,
                chat: row.get(1)?,
                sender: row.get(2)?,
                family: Family::named(row.get_ref(3)?.as_str()?),
                kind: row.get(4)?,
            })
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let chosen: Vec<Unread> = open
        .into_iter()
        .filter(|entry| counts(entry) && ids.is_none_or(|ids| ids.contains(&entry.id)))
        .collect();
    let mut mark = unit.prepare(&format!(
        "UPDATE inbox SET {column} = 1 WHERE phone = ?1 AND sender = ?2 AND id = ?3"
    ))?;
    for entry in &chosen {
        mark.execute((phone, &entry.sender, &entry.id))?;
    }
    Ok(chosen)
}

/// Milliseconds since the Unix epoch as RFC 3339.
pub(crate) fn rfc3339(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn a_repeated_id_is_shown_once_and_counted() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let content = Content {
                kind: "text".into(),
                text: Some("hi".into()),
                ..Content::default()
            };
            for id in ["A", "B", "A"] {
                let said = Said {
                    author: &other,
                    family: Family::Pn,
                    chat: &other.phone,
                    id,
                    sent: false,
                };
                put(unit, &me.phone, &said, &content, &wa::Message::default())?;
            }
            let all = list(unit, &me.phone, None, false)?;
            let seen: Vec<_> = all
                .iter()
                .map(|entry| (entry.id.as_str(), entry.copies))
                .collect();
            assert_eq!(seen, [("A", 2), ("B", 1)]);
            assert_eq!(list(unit, &me.phone, Some("A"), false)?.len(), 1);
            assert!(matches!(
                list(unit, &me.phone, Some("C"), false),
                Err(Error::NotFound(_))
            ));
            assert_eq!(mark_read(unit, &me.phone, None)?.len(), 2);
            assert_eq!(mark_read(unit, &me.phone, None)?.len(), 0);
            Ok(())
        });
    }
}
