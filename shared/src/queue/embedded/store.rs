//! The operations, each on one connection inside the worker's transaction.

use std::time::Duration;

use chrono::DateTime;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::lanes;
use crate::queue::{
    DEDUPLICATION_WINDOW, Depth, MAX_VISIBILITY, OutgoingMessage, QueueAttributes, QueueError, QueueName,
    Receipt, ReceiveOptions, Received, SendOutcome,
};

/// Milliseconds since the Unix epoch.
pub(super) type Millis = i64;

impl From<rusqlite::Error> for QueueError {
    fn from(source: rusqlite::Error) -> Self {
        Self::unavailable(source)
    }
}

/// A queue as stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredQueue {
    pub id: i64,
    pub fifo: bool,
    retention: Millis,
    dead_letter: Option<i64>,
    max_receives: Option<u32>,
}

/// What a receive found.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub messages: Vec<Received>,
    /// When the next hidden message comes back by itself; known only where nothing was found.
    pub next_visible: Option<Millis>,
    /// The queue that got dead letters, whose own waiters are to be woken.
    pub dead_letters_to: Option<QueueName>,
}

/// A message that may be delivered now.
pub(super) struct Candidate {
    pub seq: i64,
    pub message_id: String,
    pub group: String,
    pub body: String,
    pub receive_count: u32,
    pub sent_at: Millis,
}

pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

pub(super) fn find(db: &Connection, name: &QueueName) -> Result<StoredQueue, QueueError> {
    db.prepare_cached("SELECT id, retention_ms, dead_letter, max_receives FROM queues WHERE name = ?1")?
        .query_row([name.as_str()], |row| {
            Ok(StoredQueue {
                id: row.get(0)?,
                fifo: name.is_fifo(),
                retention: row.get(1)?,
                dead_letter: row.get(2)?,
                max_receives: row.get(3)?,
            })
        })
        .optional()?
        .ok_or_else(|| QueueError::NoSuchQueue(name.clone()))
}

pub(super) fn ensure(
    db: &Connection,
    name: &QueueName,
    attributes: &QueueAttributes,
) -> Result<(), QueueError> {
    let dead_letter = match &attributes.dead_letter {
        Some((dead, max)) => Some((find(db, dead)?.id, *max)),
        None => None,
    };
    db.prepare_cached(
        "INSERT INTO queues (name, retention_ms, dead_letter, max_receives) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET
            retention_ms = excluded.retention_ms,
            dead_letter = excluded.dead_letter,
            max_receives = excluded.max_receives",
    )?
    .execute(params![
        name.as_str(),
        millis(attributes.retention),
        dead_letter.map(|(id, _)| id),
        dead_letter.map(|(_, max)| max),
    ])?;
    Ok(())
}

pub(super) fn send(
    db: &Connection,
    name: &QueueName,
    message: &OutgoingMessage,
    now: Millis,
) -> Result<SendOutcome, QueueError> {
    let queue = find(db, name)?;
    let group = message.group.as_deref().unwrap_or_default();
    let message_id = hex::encode(rand::random::<[u8; 16]>());
    if let Some(dedup_id) = &message.dedup_id {
        db.prepare_cached("DELETE FROM sent WHERE forget_at <= ?1")?
            .execute([now])?;
        let fresh = db
            .prepare_cached(
                "INSERT INTO sent (queue, grp, dedup_id, message_id, forget_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                queue.id,
                group,
                dedup_id,
                message_id,
                now + millis(DEDUPLICATION_WINDOW)
            ])?;
        if fresh == 0 {
            let first = db
                .prepare_cached(
                    "SELECT message_id FROM sent WHERE queue = ?1 AND grp = ?2 AND dedup_id = ?3",
                )?
                .query_row(params![queue.id, group, dedup_id], |row| row.get(0))?;
            return Ok(SendOutcome {
                message_id: first,
                duplicate: Some(true),
            });
        }
    }
    let visible_at = now + message.delay.map_or(0, millis);
    db.prepare_cached(
        "INSERT INTO messages (queue, grp, message_id, body, sent_at, visible_at, receive_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
    )?
    .execute(params![
        queue.id,
        group,
        message_id,
        message.body,
        now,
        visible_at
    ])?;
    if queue.fifo {
        lanes::joined(db, queue.id, group, db.last_insert_rowid())?;
    }
    Ok(SendOutcome {
        message_id,
        duplicate: Some(false),
    })
}

pub(super) fn receive(
    db: &Connection,
    name: &QueueName,
    options: ReceiveOptions,
    now: Millis,
    looked_at: u32,
) -> Result<Taken, QueueError> {
    let queue = find(db, name)?;
    expire(db, queue, now)?;
    let mut taken = Taken::default();
    // Candidates that turn out to be dead letters make room for others.
    loop {
        let room = usize::from(options.max) - taken.messages.len();
        let candidates = match (room, queue.fifo) {
            (0, _) => break,
            (_, true) => lanes::candidates(db, queue.id, now, room, looked_at)?,
            (_, false) => standard_candidates(db, queue.id, now, room)?,
        };
        let mut dead = 0;
        for candidate in candidates {
            match (queue.dead_letter, queue.max_receives) {
                (Some(target), Some(max)) if candidate.receive_count >= max => {
                    bury(db, queue, target, &candidate, now)?;
                    dead += 1;
                }
                _ => taken
                    .messages
                    .push(hand_out(db, queue, candidate, now, options.visibility)?),
            }
        }
        if dead == 0 {
            break;
        }
        taken.dead_letters_to = dead_letter_name(db, queue)?;
    }
    if taken.messages.is_empty() {
        taken.next_visible = next_visible(db, queue, now)?;
    }
    Ok(taken)
}

fn standard_candidates(
    db: &Connection,
    queue: i64,
    now: Millis,
    limit: usize,
) -> Result<Vec<Candidate>, QueueError> {
    let mut statement = db.prepare_cached(
        "SELECT seq, message_id, grp, body, receive_count, sent_at FROM messages
         WHERE queue = ?1 AND grp = '' AND visible_at <= ?2 ORDER BY visible_at, seq LIMIT ?3",
    )?;
    let rows = statement.query_map(params![queue, now, limit], candidate)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Reads a row of `seq, message_id, grp, body, receive_count, sent_at`.
pub(super) fn candidate(row: &rusqlite::Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        seq: row.get(0)?,
        message_id: row.get(1)?,
        group: row.get(2)?,
        body: row.get(3)?,
        receive_count: row.get(4)?,
        sent_at: row.get(5)?,
    })
}

fn hand_out(
    db: &Connection,
    queue: StoredQueue,
    candidate: Candidate,
    now: Millis,
    visibility: Duration,
) -> Result<Received, QueueError> {
    let visible_at = now + millis(visibility);
    let secret = hex::encode(rand::random::<[u8; 8]>());
    db.prepare_cached(
        "UPDATE messages SET visible_at = ?2, receipt = ?3, received_at = ?4, receive_count = receive_count + 1
         WHERE seq = ?1",
    )?
    .execute(params![candidate.seq, visible_at, secret, now])?;
    if queue.fifo {
        lanes::changed(db, queue.id, &candidate.group)?;
    }
    Ok(Received {
        body: candidate.body,
        receipt: Receipt(format!("{}.{secret}", candidate.seq)),
        message_id: candidate.message_id,
        group: queue.fifo.then_some(candidate.group),
        receive_count: candidate.receive_count + 1,
        sent_at: DateTime::from_timestamp_millis(candidate.sent_at),
    })
}

/// Moves a message to the end of a dead-letter queue. As on SQS, its age counts anew in a FIFO queue only.
fn bury(
    db: &Connection,
    queue: StoredQueue,
    target: i64,
    candidate: &Candidate,
    now: Millis,
) -> Result<(), QueueError> {
    db.prepare_cached(
        "INSERT INTO messages (queue, grp, message_id, body, sent_at, visible_at, receive_count)
         SELECT ?2, grp, message_id, body, iif(?4, ?3, sent_at), ?3, receive_count FROM messages WHERE seq = ?1",
    )?
    .execute(params![candidate.seq, target, now, queue.fifo])?;
    let seq = db.last_insert_rowid();
    db.prepare_cached("DELETE FROM messages WHERE seq = ?1")?
        .execute([candidate.seq])?;
    if queue.fifo {
        lanes::joined(db, target, &candidate.group, seq)?;
        lanes::changed(db, queue.id, &candidate.group)?;
    }
    Ok(())
}

fn dead_letter_name(db: &Connection, queue: StoredQueue) -> Result<Option<QueueName>, QueueError> {
    db.prepare_cached("SELECT name FROM queues WHERE id = ?1")?
        .query_row([queue.dead_letter], |row| row.get::<_, String>(0))
        .optional()?
        .map(QueueName::new)
        .transpose()
}

/// Drops messages that are older than the queue keeps them.
fn expire(db: &Connection, queue: StoredQueue, now: Millis) -> Result<(), QueueError> {
    let mut groups = db
        .prepare_cached("DELETE FROM messages WHERE queue = ?1 AND sent_at <= ?2 RETURNING grp")?
        .query_map([queue.id, now - queue.retention], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    if queue.fifo {
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            lanes::changed(db, queue.id, &group)?;
        }
    }
    Ok(())
}

/// When time alone brings the next message. A group that is free already does not count: its messages are behind
/// those that are looked at.
fn next_visible(db: &Connection, queue: StoredQueue, now: Millis) -> Result<Option<Millis>, QueueError> {
    let sql = if queue.fifo {
        "SELECT min(blocked_until) FROM lanes WHERE queue = ?1 AND blocked_until > ?2"
    } else {
        "SELECT min(visible_at) FROM messages WHERE queue = ?1 AND grp = '' AND visible_at > ?2"
    };
    Ok(db
        .prepare_cached(sql)?
        .query_row([queue.id, now], |row| row.get(0))?)
}

/// A message, as found by its receipt.
struct Held {
    seq: i64,
    group: String,
    received_at: Millis,
    /// Whether its visibility time goes on.
    is_in_flight: bool,
}

/// The message that a receipt stands for.
fn held(db: &Connection, queue: StoredQueue, receipt: &Receipt, now: Millis) -> Result<Held, QueueError> {
    let parts = receipt
        .0
        .split_once('.')
        .and_then(|(seq, secret)| Some((seq.parse::<i64>().ok()?, secret)));
    let Some((seq, secret)) = parts else {
        return Err(QueueError::StaleReceipt);
    };
    db.prepare_cached(
        "SELECT grp, coalesce(received_at, ?4), visible_at > ?4 FROM messages
         WHERE seq = ?1 AND queue = ?2 AND receipt = ?3",
    )?
    .query_row(params![seq, queue.id, secret, now], |row| {
        Ok(Held {
            seq,
            group: row.get(0)?,
            received_at: row.get(1)?,
            is_in_flight: row.get(2)?,
        })
    })
    .optional()?
    .ok_or(QueueError::StaleReceipt)
}

/// As on SQS, in queues of either kind, a visibility time that is over cannot be extended, and none ends later than
/// 12 h after the receive.
pub(super) fn extend(
    db: &Connection,
    name: &QueueName,
    receipt: &Receipt,
    visibility: Duration,
    now: Millis,
) -> Result<(), QueueError> {
    let queue = find(db, name)?;
    let held = held(db, queue, receipt, now)?;
    if !held.is_in_flight {
        return Err(QueueError::StaleReceipt);
    }
    let visible_at = now + millis(visibility);
    if visible_at > held.received_at + millis(MAX_VISIBILITY) {
        return Err(QueueError::invalid(
            "the message's total visibility time is over 12 h",
        ));
    }
    db.prepare_cached("UPDATE messages SET visible_at = ?2 WHERE seq = ?1")?
        .execute([held.seq, visible_at])?;
    if queue.fifo {
        lanes::changed(db, queue.id, &held.group)?;
    }
    Ok(())
}

/// As on SQS, a receipt of a FIFO queue ends with the visibility time; one of a standard queue holds until the message
/// is delivered again.
pub(super) fn delete(
    db: &Connection,
    name: &QueueName,
    receipt: &Receipt,
    now: Millis,
) -> Result<(), QueueError> {
    let queue = find(db, name)?;
    let held = held(db, queue, receipt, now)?;
    if queue.fifo && !held.is_in_flight {
        return Err(QueueError::StaleReceipt);
    }
    db.prepare_cached("DELETE FROM messages WHERE seq = ?1")?
        .execute([held.seq])?;
    if queue.fifo {
        lanes::changed(db, queue.id, &held.group)?;
    }
    Ok(())
}

pub(super) fn depth(db: &Connection, name: &QueueName, now: Millis) -> Result<Depth, QueueError> {
    let queue = find(db, name)?;
    expire(db, queue, now)?;
    let depth = db
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE visible_at <= ?2),
                    count(*) FILTER (WHERE visible_at > ?2 AND receive_count > 0),
                    count(*) FILTER (WHERE visible_at > ?2 AND receive_count = 0)
             FROM messages WHERE queue = ?1",
        )?
        .query_row([queue.id, now], |row| {
            Ok(Depth {
                visible: row.get(0)?,
                in_flight: row.get(1)?,
                delayed: row.get(2)?,
            })
        })?;
    Ok(depth)
}
