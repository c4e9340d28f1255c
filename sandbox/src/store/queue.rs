//! Stanzas that wait for a device.
//!
//! A row is stored before the sender's stanza is acknowledged. It goes when the device says that it has the stanza:
//! by a receipt for a message, by an `<ack>` for receipts and notifications. A device that dies in between gets the
//! row again at its next login.

use std::time::Duration;

use wacore_binary::Node;

use super::Unit;
use crate::directory::Address;
use crate::error::Result;

/// How many stanzas that expire wait for a device under one id.
const PASSING_KEPT: u32 = 8;

/// What kind of stanza a row holds; also the `class` of the `<ack>` that takes it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Receipt,
    Notification,
    Call,
    /// Nobody acknowledges these: they go when they are sent, or expire.
    Chatstate,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Receipt => "receipt",
            Self::Notification => "notification",
            Self::Call => "call",
            Self::Chatstate => "chatstate",
        }
    }

    pub(crate) fn parse(class: &str) -> Option<Self> {
        let all = [
            Self::Message,
            Self::Receipt,
            Self::Notification,
            Self::Call,
            Self::Chatstate,
        ];
        all.into_iter().find(|kind| kind.as_str() == class)
    }
}

/// A stanza to queue.
pub(crate) struct Stanza<'a> {
    pub(crate) kind: Kind,
    pub(crate) id: &'a str,
    /// The `type` of a receipt: one message may have a delivery and a read receipt under way.
    pub(crate) subtype: &'a str,
    pub(crate) sender: &'a Address,
    pub(crate) node: &'a Node,
}

/// A row on its way out.
pub(crate) struct Row {
    pub(crate) seq: i64,
    /// The stanza as it goes on the wire, flag byte included.
    pub(crate) payload: Vec<u8>,
    /// Whether it goes once it is sent, for nobody acknowledges it.
    pub(crate) passing: bool,
}

/// How much waits for a device, for `<offline_preview>`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) messages: u32,
    pub(crate) receipts: u32,
    pub(crate) notifications: u32,
    pub(crate) calls: u32,
    /// Notifications that app state has changed, which the preview counts apart.
    pub(crate) appdata: u32,
    /// The last row, of those that are not counted too.
    pub(crate) last: i64,
}

impl Backlog {
    pub(crate) fn total(&self) -> u32 {
        self.messages + self.receipts + self.notifications + self.calls + self.appdata
    }
}

/// Queues `stanza` for `to` and wakes whoever serves it.
pub(crate) fn push(unit: &mut Unit<'_>, to: &Address, stanza: &Stanza<'_>) -> Result<()> {
    insert(unit, to, stanza, None)
}

/// Queues `stanza` for `to` for `ttl`. Of those with the same kind and id the latest [`PASSING_KEPT`] wait.
pub(crate) fn push_for(unit: &mut Unit<'_>, to: &Address, stanza: &Stanza<'_>, ttl: Duration) -> Result<()> {
    let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    purge_expired(unit)?;
    unit.execute(
        "DELETE FROM queue WHERE seq IN (
             SELECT seq FROM queue INDEXED BY queue_passing
             WHERE phone = ?1 AND device = ?2 AND stanza_id = ?3 AND kind = ?4 AND expires_at IS NOT NULL
             ORDER BY seq DESC LIMIT -1 OFFSET ?5)",
        (
            &to.phone,
            to.device,
            stanza.id,
            stanza.kind.as_str(),
            PASSING_KEPT - 1,
        ),
    )?;
    insert(unit, to, stanza, Some(unit.now_ms().saturating_add(ttl)))
}

/// Drops what came too late for its device.
pub(crate) fn purge_expired(unit: &Unit<'_>) -> Result<()> {
    unit.execute("DELETE FROM queue WHERE expires_at <= ?1", [unit.now_ms()])?;
    Ok(())
}

fn insert(unit: &mut Unit<'_>, to: &Address, stanza: &Stanza<'_>, expires_at: Option<i64>) -> Result<()> {
    let payload = crate::wire::encode(stanza.node)?;
    unit.execute(
        "INSERT INTO queue (phone, device, kind, stanza_id, subtype, sender, sender_device, payload, queued_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        rusqlite::params![
            to.phone,
            to.device,
            stanza.kind.as_str(),
            stanza.id,
            stanza.subtype,
            stanza.sender.phone,
            stanza.sender.device,
            payload,
            unit.now_ms(),
            expires_at,
        ],
    )?;
    unit.wake(to);
    Ok(())
}

/// Up to `limit` rows for `to` after `seq`, in order.
pub(crate) fn after(unit: &Unit<'_>, to: &Address, seq: i64, limit: u32) -> Result<Vec<Row>> {
    let mut statement = unit.prepare(
        "SELECT seq, payload, expires_at IS NOT NULL FROM queue
         WHERE phone = ?1 AND device = ?2 AND seq > ?3 AND (expires_at IS NULL OR expires_at > ?5)
         ORDER BY seq LIMIT ?4",
    )?;
    let rows = statement.query_map((&to.phone, to.device, seq, limit, unit.now_ms()), |row| {
        Ok(Row {
            seq: row.get(0)?,
            payload: row.get(1)?,
            passing: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What waits for `to`.
pub(crate) fn backlog(unit: &Unit<'_>, to: &Address) -> Result<Backlog> {
    let mut statement = unit.prepare(
        "SELECT kind, COUNT(*), MAX(seq), subtype = 'server_sync' AS appdata FROM queue
         WHERE phone = ?1 AND device = ?2 GROUP BY kind, appdata",
    )?;
    let mut rows = statement.query((&to.phone, to.device))?;
    let mut backlog = Backlog::default();
    while let Some(row) = rows.next()? {
        let count: u32 = row.get(1)?;
        match Kind::parse(row.get_ref(0)?.as_str().unwrap_or_default()) {
            Some(Kind::Message) => backlog.messages += count,
            Some(Kind::Receipt) => backlog.receipts += count,
            Some(Kind::Notification) if row.get(3)? => backlog.appdata += count,
            Some(Kind::Notification) => backlog.notifications += count,
            Some(Kind::Call) => backlog.calls += count,
            Some(Kind::Chatstate) | None => {}
        }
        backlog.last = backlog.last.max(row.get(2)?);
    }
    Ok(backlog)
}

/// Takes one row off.
pub(crate) fn remove(unit: &Unit<'_>, seq: i64) -> Result<()> {
    unit.execute("DELETE FROM queue WHERE seq = ?1", [seq])?;
    Ok(())
}

/// Which device of `sender`'s account a message that waits for `to`, a client, is from.
pub(crate) fn sender_device(unit: &Unit<'_>, to: &Address, sender: &str, id: &str) -> Result<Option<u16>> {
    use rusqlite::OptionalExtension as _;
    Ok(unit
        .prepare(
            "SELECT sender_device FROM queue
             WHERE phone = ?1 AND device = ?2 AND device > 0 AND stanza_id = ?3 AND sender = ?4
             AND kind = 'message'
             ORDER BY seq DESC LIMIT 1",
        )?
        .query_row((&to.phone, to.device, id, sender), |row| row.get(0))
        .optional()?)
}

/// Takes off what waits for `to` up to one row, that row included.
pub(crate) fn remove_until(unit: &Unit<'_>, to: &Address, seq: i64) -> Result<()> {
    unit.execute(
        "DELETE FROM queue WHERE phone = ?1 AND device = ?2 AND seq <= ?3",
        (&to.phone, to.device, seq),
    )?;
    Ok(())
}

/// Takes messages of `sender`'s account off: `to`, a client, has them. Answers how many rows went.
///
/// Only rows that `to` was sent, those up to `sent`, go. A message that is encrypted again has the id of the one that
/// could not be read, and a late receipt of that one must not take it off before it was sent.
pub(crate) fn received(
    unit: &Unit<'_>,
    (to, sent): (&Address, i64),
    sender: &str,
    ids: &[String],
) -> Result<usize> {
    let mut statement = unit.prepare(
        "DELETE FROM queue
         WHERE phone = ?1 AND device = ?2 AND device > 0 AND stanza_id = ?3 AND sender = ?4 AND kind = 'message'
         AND seq <= ?5",
    )?;
    let mut gone = 0;
    for id in ids {
        gone += statement.execute((&to.phone, to.device, id, sender, sent))?;
    }
    Ok(gone)
}

/// Takes the stanza that a client's `<ack>` names off, if it is among those sent (up to `sent`). Clients differ in how
/// exactly they repeat its sender. If nothing matches with the sender, the stanza is found without.
///
/// A client acknowledges each stanza that it is sent. So of several with one id, as of a message that was encrypted again, the first
/// alone goes: the word about a copy that could not be read must not take off the one that was sent after it.
pub(crate) fn acked(
    unit: &Unit<'_>,
    (to, sent): (&Address, i64),
    (kind, id, subtype): (Kind, &str, &str),
    sender: Option<&Address>,
) -> Result<()> {
    if let Some(sender) = sender {
        let gone = unit.execute(
            "DELETE FROM queue WHERE seq = (
                 SELECT MIN(seq) FROM queue
                 WHERE phone = ?1 AND device = ?2 AND device > 0 AND stanza_id = ?3 AND kind = ?4
                 AND subtype = ?5 AND sender = ?6 AND sender_device = ?7 AND seq <= ?8)",
            (
                &to.phone,
                to.device,
                id,
                kind.as_str(),
                subtype,
                &sender.phone,
                sender.device,
                sent,
            ),
        )?;
        if gone > 0 {
            return Ok(());
        }
    }
    unit.execute(
        "DELETE FROM queue WHERE seq = (
             SELECT MIN(seq) FROM queue
             WHERE phone = ?1 AND device = ?2 AND device > 0 AND stanza_id = ?3 AND kind = ?4 AND subtype = ?5
             AND seq <= ?6)",
        (&to.phone, to.device, id, kind.as_str(), subtype, sent),
    )?;
    Ok(())
}

/// Drops notifications of one type that wait for `to` and whose ids begin with `prefix`: a newer one says all that
/// they do.
pub(crate) fn supersede(unit: &Unit<'_>, to: &Address, subtype: &str, prefix: &str) -> Result<()> {
    unit.execute(
        "DELETE FROM queue WHERE phone = ?1 AND device = ?2 AND kind = 'notification' AND subtype = ?3
         AND substr(stanza_id, 1, length(?4)) = ?4",
        (&to.phone, to.device, subtype, prefix),
    )?;
    Ok(())
}

/// Forgets all that waits for a device that is no more.
pub(crate) fn discard(unit: &Unit<'_>, to: &Address) -> Result<()> {
    unit.execute(
        "DELETE FROM queue WHERE phone = ?1 AND device = ?2",
        (&to.phone, to.device),
    )?;
    Ok(())
}

/// The phones (devices 0) for which something waits.
pub(crate) fn waiting_phones(unit: &Unit<'_>) -> Result<Vec<String>> {
    let mut statement = unit.prepare("SELECT DISTINCT phone FROM queue WHERE device = 0")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn a_word_about_the_first_copy_leaves_the_second() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let to = Address::new(identity::create(unit, None, None)?.phone, 1);
            let sender = Address::primary("155501000009");
            let node = wacore_binary::builder::NodeBuilder::new("message")
                .attr("id", "A")
                .build();
            let stanza = Stanza {
                kind: Kind::Message,
                id: "A",
                subtype: "",
                sender: &sender,
                node: &node,
            };
            push(unit, &to, &stanza)?;
            let sent = backlog(unit, &to)?.last;
            push(unit, &to, &stanza)?;
            assert_eq!(received(unit, (&to, sent), &sender.phone, &["A".into()])?, 1);
            acked(unit, (&to, sent), (Kind::Message, "A", ""), None)?;
            assert_eq!(backlog(unit, &to)?.messages, 1);
            // Both are sent before anything is said of either.
            push(unit, &to, &stanza)?;
            for left in [1, 0] {
                acked(unit, (&to, sent + 2), (Kind::Message, "A", ""), Some(&sender))?;
                assert_eq!(backlog(unit, &to)?.total(), left);
            }
            Ok(())
        });
    }

    #[test]
    fn what_expires_is_neither_counted_nor_kept() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let to = Address::new(identity::create(unit, None, None)?.phone, 1);
            let node = wacore_binary::builder::NodeBuilder::new("chatstate").build();
            let stanza = Stanza {
                kind: Kind::Chatstate,
                id: "chat",
                subtype: "",
                sender: &Address::primary("155501000009"),
                node: &node,
            };
            for _ in 0..2 * PASSING_KEPT {
                push_for(unit, &to, &stanza, Duration::from_mins(1))?;
            }
            assert_eq!(after(unit, &to, 0, 100)?.len(), PASSING_KEPT as usize);
            assert_eq!(backlog(unit, &to)?.total(), 0);
            discard(unit, &to)?;
            push_for(unit, &to, &stanza, Duration::ZERO)?;
            assert!(after(unit, &to, 0, 100)?.is_empty());
            purge_expired(unit)?;
            assert_eq!(backlog(unit, &to)?.last, 0);
            Ok(())
        });
    }
}
