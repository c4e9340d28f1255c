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
    /// Milliseconds since the Unix epoch.
    pub(crate) received_at: i64,
    pub(crate) content: Content,
    /// As it was decrypted.
    pub(crate) message: Vec<u8>,
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
    if let Some(seq) = seq_of(unit, phone, &said.author.phone, said.id)? {
        copy(unit, seq)?;
        let copies = unit
            .prepare("SELECT copies FROM inbox WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))?;
        return Ok(copies);
    }
    let seq = unit.place_message(phone, said.id);
    unit.execute(
        "INSERT INTO inbox (seq, phone, sender, id, family, chat, kind, sent, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            seq,
            phone,
            &said.author.phone,
            said.id,
            said.family.as_str(),
            said.chat,
            &content.kind,
            said.sent,
            unit.now_ms(),
        ),
    )?;
    unit.execute(
        "INSERT INTO inbox_bodies (seq, sender_lid, body, message, secret) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            seq,
            &said.author.lid,
            json(content)?,
            message.encode_to_vec(),
            extract_message_secret(message),
        ),
    )?;
    unit.shown();
    Ok(1)
}

/// Counts one more copy of a message that arrived before.
pub(crate) fn count_copy(unit: &mut Unit<'_>, phone: &str, sender: &str, id: &str) -> Result<()> {
    match seq_of(unit, phone, sender, id)? {
        Some(seq) => copy(unit, seq),
        None => Ok(()),
    }
}

fn copy(unit: &mut Unit<'_>, seq: i64) -> Result<()> {
    let phone: Option<String> = unit
        .prepare("UPDATE inbox SET copies = copies + 1 WHERE seq = ?1 RETURNING phone")?
        .query_row([seq], |row| row.get(0))
        .optional()?;
    if let Some(phone) = phone {
        unit.amended(phone);
    }
    Ok(())
}

/// Where the message with this id by `sender` is.
fn seq_of(unit: &Unit<'_>, phone: &str, sender: &str, id: &str) -> Result<Option<i64>> {
    for seq in unit.places(phone, id)? {
        let mut is_by = unit.prepare("SELECT 1 FROM inbox WHERE seq = ?1 AND sender = ?2")?;
        if is_by.exists((seq, sender))? {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

/// The message with this id in this chat, the latest where there are several.
pub(crate) fn find_in(unit: &Unit<'_>, phone: &str, chat: &str, id: &str) -> Result<Option<Found>> {
    for seq in unit.places(phone, id)?.into_iter().rev() {
        let mut is_in = unit.prepare("SELECT 1 FROM inbox WHERE seq = ?1 AND chat = ?2")?;
        if is_in.exists((seq, chat))? {
            return found(unit, seq);
        }
    }
    Ok(None)
}

/// The message with this id, the latest where there are several.
pub(crate) fn find(unit: &Unit<'_>, phone: &str, id: &str) -> Result<Option<Found>> {
    match unit.places(phone, id)?.last() {
        Some(seq) => found(unit, *seq),
        None => Ok(None),
    }
}

/// The message with this id by `sender`.
pub(crate) fn find_by(unit: &Unit<'_>, phone: &str, sender: &str, id: &str) -> Result<Option<Found>> {
    match seq_of(unit, phone, sender, id)? {
        Some(seq) => found(unit, seq),
        None => Ok(None),
    }
}

fn found(unit: &Unit<'_>, seq: i64) -> Result<Option<Found>> {
    let row = unit
        .prepare(
            "SELECT i.id, i.sender, i.received_at, b.body, b.message, b.secret
             FROM inbox i JOIN inbox_bodies b ON b.seq = i.seq WHERE i.seq = ?1",
        )?
        .query_row([seq], |row| {
            let found = Found {
                seq,
                id: row.get(0)?,
                sender: row.get(1)?,
                received_at: row.get(2)?,
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
    for id in ids {
        if seq_of(unit, phone, phone, id)?.is_none() {
            continue;
        }
        let ticked = unit.execute(
            "INSERT OR IGNORE INTO ticks (phone, id, reader) VALUES (?1, ?2, ?3)",
            (phone, id, reader),
        )?;
        if ticked > 0 {
            unit.amended(phone);
        }
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
    let phone: Option<String> = unit
        .prepare("UPDATE inbox SET kind = ?2 WHERE seq = ?1 RETURNING phone")?
        .query_row((seq, &content.kind), |row| row.get(0))
        .optional()?;
    let Some(phone) = phone else {
        return Ok(());
    };
    unit.amended(phone);
    unit.execute(
        "UPDATE inbox_bodies SET body = ?2, message = COALESCE(?3, message) WHERE seq = ?1",
        (seq, json(content)?, message.map(wa::Message::encode_to_vec)),
    )?;
    Ok(())
}

/// Sets the text of the entry that `said` made.
pub(crate) fn set_text(unit: &mut Unit<'_>, phone: &str, said: &Said<'_>, text: &str) -> Result<()> {
    let Some(entry) = find_by(unit, phone, &said.author.phone, said.id)? else {
        return Ok(());
    };
    let content = Content {
        text: Some(text.to_owned()),
        ..entry.content
    };
    amend(unit, entry.seq, &content, None)
}

/// Where the message with this id is in the inbox; the last place where there are several.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub(crate) fn place(unit: &Unit<'_>, phone: &str, id: &str) -> Result<i64> {
    let place = unit.places(phone, id)?.pop();
    place.ok_or_else(|| Error::NotFound("`after` names no message of this inbox".into()))
}

const PAGE: &str = "SELECT i.id, i.chat, i.sender, b.sender_lid, b.body, i.received_at, i.copies,
         (SELECT hash FROM phone_media m
          WHERE m.phone = i.phone AND m.sender = i.sender AND m.id = i.id AND m.state = 'held'),
         (SELECT coalesce(sum(count), 0) FROM retries r
          WHERE r.phone = i.phone AND r.sender = i.sender AND r.id = i.id),
         (SELECT group_concat(reader) FROM ticks t
          WHERE t.phone = i.phone AND t.phone = i.sender AND t.id = i.id),
         i.seq
     FROM inbox i INDEXED BY inbox_by_phone JOIN inbox_bodies b ON b.seq = i.seq
     WHERE i.phone = ?1 AND i.seq > ?2 AND (?3 OR NOT i.sent) ORDER BY i.seq LIMIT ?4";

/// Up to `limit` messages after a place (0: from the beginning), each with its own place, oldest first; those that the
/// phone itself wrote only if `sent`. It costs what these messages cost, however large the inbox is.
pub(crate) fn page(
    unit: &Unit<'_>,
    phone: &str,
    (after, limit): (i64, u32),
    sent: bool,
) -> Result<Vec<(i64, Entry)>> {
    let mut statement = unit.prepare(PAGE)?;
    let mut rows = statement.query((phone, after, sent, limit))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let media: Option<Vec<u8>> = row.get(7)?;
        let entry = Entry {
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
        };
        entries.push((row.get(10)?, entry));
    }
    Ok(entries)
}

/// All messages after the one with id `after`, or all there are.
#[cfg(test)]
pub(crate) fn list(unit: &Unit<'_>, phone: &str, after: Option<&str>, sent: bool) -> Result<Vec<Entry>> {
    let place = after.map_or(Ok(0), |id| place(unit, phone, id))?;
    let entries = page(unit, phone, (place, u32::MAX), sent)?;
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
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
    let open: Vec<(i64, Unread)> = if let Some(ids) = ids {
        let mut open = Vec::new();
        for id in ids {
            open.extend(named(unit, phone, id, column)?);
        }
        // An id may be there twice.
        open.sort_unstable_by_key(|(seq, _)| *seq);
        open.dedup_by_key(|(seq, _)| *seq);
        open
    } else {
        let mut statement = unit.prepare(&format!(
            "SELECT seq, id, chat, sender, family, kind FROM inbox
             WHERE phone = ?1 AND {column} = 0 AND sender <> ?1 ORDER BY seq"
        ))?;
        let rows = statement.query_map([phone], unread)?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let mut mark = unit.prepare(&format!("UPDATE inbox SET {column} = 1 WHERE seq = ?1"))?;
    let mut chosen = Vec::new();
    for (seq, entry) in open {
        if counts(&entry) {
            mark.execute([seq])?;
            chosen.push(entry);
        }
    }
    Ok(chosen)
}

/// The messages of others with this id that are not marked yet.
fn named(unit: &Unit<'_>, phone: &str, id: &str, column: &'static str) -> Result<Vec<(i64, Unread)>> {
    let places = unit.places(phone, id)?;
    if places.is_empty() {
        return Err(Error::NotFound("one of `ids` is no message of this inbox".into()));
    }
    let mut open = Vec::new();
    for seq in places {
        let found = unit
            .prepare(&format!(
                "SELECT seq, id, chat, sender, family, kind FROM inbox
                 WHERE seq = ?1 AND {column} = 0 AND sender <> ?2"
            ))?
            .query_row((seq, phone), unread)
            .optional()?;
        open.extend(found);
    }
    Ok(open)
}

fn unread(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Unread)> {
    let unread = Unread {
        id: row.get(1)?,
        chat: row.get(2)?,
        sender: row.get(3)?,
        family: Family::named(row.get_ref(4)?.as_str()?),
        kind: row.get(5)?,
    };
    Ok((row.get(0)?, unread))
}

/// Milliseconds since the Unix epoch as RFC 3339.
pub(crate) fn rfc3339(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Account, Content, Family, Result, Said, Unit, wa};

    /// Shows `phone` an entry of `author`, or counts one more copy of it. Answers how many copies there are.
    pub(crate) fn put(unit: &mut Unit<'_>, phone: &str, author: &Account, id: &str) -> Result<u32> {
        let said = Said {
            author,
            family: Family::Pn,
            chat: &author.phone,
            id,
            sent: false,
        };
        super::put(unit, phone, &said, &Content::default(), &wa::Message::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    /// Shows `phone` that many texts, with their numbers from `from` on as ids and texts.
    fn fill(unit: &mut Unit<'_>, phone: &str, author: &Account, numbers: std::ops::Range<u32>) -> Result<()> {
        for n in numbers {
            let id = n.to_string();
            let content = Content {
                kind: "text".into(),
                text: Some(id.clone()),
                ..Content::default()
            };
            let said = Said {
                author,
                family: Family::Pn,
                chat: &author.phone,
                id: &id,
                sent: author.phone == phone,
            };
            put(unit, phone, &said, &content, &wa::Message::default())?;
        }
        Ok(())
    }

    /// How many steps the store takes for the page of ten after a place.
    fn steps(unit: &Unit<'_>, phone: &str, place: i64) -> Result<i32> {
        use rusqlite::StatementStatus::VmStep;
        // Statements stay prepared, and count for all times that they run.
        let count = |unit: &Unit<'_>| unit.prepare(PAGE).map(|statement| statement.reset_status(VmStep));
        count(unit)?;
        assert_eq!(page(unit, phone, (place, 10), false)?.len(), 10);
        Ok(count(unit)?)
    }

    #[test]
    fn a_page_costs_the_same_in_any_inbox() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let [me, other, third] = [
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
            ];
            fill(unit, &me.phone, &other, 0..20)?;
            let small = steps(unit, &me.phone, 0)?;
            assert!(small > 0);
            // Between them are those of another phone.
            fill(unit, &third.phone, &other, 0..1_000)?;
            fill(unit, &me.phone, &other, 20..1_000)?;
            assert_eq!(steps(unit, &me.phone, 0)?, small);
            for id in ["15", "500"] {
                let place = place(unit, &me.phone, id)?;
                assert_eq!(steps(unit, &me.phone, place)?, small, "after {id}");
            }
            Ok(())
        });
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            fill(unit, &me.phone, &other, 0..7)?;
            fill(unit, &me.phone, &me, 7..9)?;
            fill(unit, &me.phone, &other, 9..12)?;
            for (sent, wanted) in [(false, 10), (true, 12)] {
                let (mut place, mut seen) = (0, Vec::new());
                loop {
                    let part = page(unit, &me.phone, (place, 3), sent)?;
                    let Some((last, _)) = part.last() else { break };
                    place = *last;
                    seen.extend(
                        part.into_iter()
                            .map(|(_, entry)| entry.id.parse::<u32>().expect("a number")),
                    );
                }
                assert_eq!(seen.len(), wanted);
                assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn reading_by_id_marks_each_message_once_and_knows_all_ids() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            fill(unit, &me.phone, &other, 0..3)?;
            fill(unit, &me.phone, &me, 3..4)?;
            let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
            let read = mark_read(unit, &me.phone, Some(&ids(&["1", "1", "3"])))?;
            assert_eq!(
                read.iter().map(|unread| unread.id.as_str()).collect::<Vec<_>>(),
                ["1"]
            );
            assert!(mark_read(unit, &me.phone, Some(&ids(&["1"])))?.is_empty());
            let unknown = mark_read(unit, &me.phone, Some(&ids(&["2", "9"])));
            assert!(matches!(unknown, Err(Error::NotFound(_))));
            assert_eq!(mark_read(unit, &me.phone, None)?.len(), 2);
            Ok(())
        });
    }

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
