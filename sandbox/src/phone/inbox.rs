//! What a phone's person sees.

use serde::Serialize;

use super::content::Content;
use crate::directory::{Account, Family};
use crate::error::{Error, Result};
use crate::store::Unit;

/// One message of an inbox.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// The message's id on the network.
    pub(crate) id: String,
    /// The other party's number, for a message to oneself one's own; or the JID of a group or of statuses.
    pub(crate) chat: String,
    /// The author's number.
    pub(crate) from: String,
    /// The author's LID.
    pub(crate) from_lid: String,
    #[serde(flatten)]
    pub(crate) content: Content,
    /// RFC 3339, UTC.
    pub(crate) received_at: String,
    /// How often this id arrived.
    pub(crate) copies: u32,
}

/// A message that a person has not read.
pub(crate) struct Unread {
    pub(crate) id: String,
    pub(crate) sender: String,
    /// The other party's number, or the JID of a group.
    pub(crate) chat: String,
    pub(crate) family: Family,
}

/// Shows a message, or counts one more copy of it.
pub(crate) fn put(
    unit: &Unit<'_>,
    phone: &str,
    (sender, family): (&Account, Family),
    (chat, id): (&str, &str),
    content: &Content,
) -> Result<()> {
    let body = serde_json::to_string(content).map_err(|error| Error::codec("an inbox entry", error))?;
    unit.execute(
        "INSERT INTO inbox (phone, sender, id, family, chat, sender_lid, body, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (phone, sender, id) DO UPDATE SET copies = copies + 1",
        rusqlite::params![
            phone,
            sender.phone,
            id,
            family.as_str(),
            chat,
            sender.lid,
            body,
            unit.now_ms()
        ],
    )?;
    Ok(())
}

/// Counts one more copy of a message that arrived before.
pub(crate) fn count_copy(unit: &Unit<'_>, phone: &str, sender: &str, id: &str) -> Result<()> {
    unit.execute(
        "UPDATE inbox SET copies = copies + 1 WHERE phone = ?1 AND sender = ?2 AND id = ?3",
        (phone, sender, id),
    )?;
    Ok(())
}

/// The messages after the one with id `after` (all without it), oldest first.
///
/// # Errors
/// [`Error::NotFound`] for an `after` that is not there.
pub(crate) fn list(unit: &Unit<'_>, phone: &str, after: Option<&str>) -> Result<Vec<Entry>> {
    use rusqlite::OptionalExtension as _;
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
              WHERE m.phone = inbox.phone AND m.sender = inbox.sender AND m.id = inbox.id AND m.state = 'held')
         FROM inbox WHERE phone = ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let mut rows = statement.query((phone, seq))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let body: String = row.get(4)?;
        let content: Content =
            serde_json::from_str(&body).map_err(|error| Error::codec("an inbox entry", error))?;
        let media: Option<Vec<u8>> = row.get(7)?;
        entries.push(Entry {
            id: row.get(0)?,
            chat: row.get(1)?,
            from: row.get(2)?,
            from_lid: row.get(3)?,
            content: Content {
                media_sha256: media.map(hex::encode),
                ..content
            },
            received_at: rfc3339(row.get(5)?),
            copies: row.get(6)?,
        });
    }
    Ok(entries)
}

/// Marks messages of others as read and answers those that were not before: the named ones, or all.
///
/// # Errors
/// [`Error::NotFound`] for an id that is not there.
pub(crate) fn mark_read(unit: &Unit<'_>, phone: &str, ids: Option<&[String]>) -> Result<Vec<Unread>> {
    if let Some(ids) = ids {
        let mut known = unit.prepare("SELECT 1 FROM inbox WHERE phone = ?1 AND id = ?2")?;
        for id in ids {
            if !known.exists((phone, id))? {
                return Err(Error::NotFound("one of `ids` is no message of this inbox".into()));
            }
        }
    }
    let unread: Vec<Unread> = {
        let mut statement = unit.prepare(
            "SELECT id, sender, family, chat FROM inbox
             WHERE phone = ?1 AND read = 0 AND sender <> ?1 ORDER BY seq",
        )?;
        let rows = statement.query_map([phone], |row| {
            Ok(Unread {
                id: row.get(0)?,
                sender: row.get(1)?,
                chat: row.get(3)?,
                family: Family::named(row.get_ref(2)?.as_str()?),
            })
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let chosen: Vec<Unread> = unread
        .into_iter()
        .filter(|entry| ids.is_none_or(|ids| ids.contains(&entry.id)))
        .collect();
    let mut mark = unit.prepare("UPDATE inbox SET read = 1 WHERE phone = ?1 AND sender = ?2 AND id = ?3")?;
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
                put(
                    unit,
                    &me.phone,
                    (&other, Family::Pn),
                    (&other.phone, id),
                    &content,
                )?;
            }
            let all = list(unit, &me.phone, None)?;
            let seen: Vec<_> = all
                .iter()
                .map(|entry| (entry.id.as_str(), entry.copies))
                .collect();
            assert_eq!(seen, [("A", 2), ("B", 1)]);
            assert_eq!(list(unit, &me.phone, Some("A"))?.len(), 1);
            assert!(matches!(
                list(unit, &me.phone, Some("C")),
                Err(Error::NotFound(_))
            ));
            assert_eq!(mark_read(unit, &me.phone, None)?.len(), 2);
            assert_eq!(mark_read(unit, &me.phone, None)?.len(), 0);
            Ok(())
        });
    }
}
