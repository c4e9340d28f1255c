//! The groups of FIFO queues: which are free, and which message is first in each.
//!
//! A group is blocked as long as any of its messages is in flight. FIFO messages are never delayed, so it is blocked
//! until its latest `visible_at`. That time and the group's first `seq` are each found at an end of an index.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::store::{Candidate, Millis, candidate};
use crate::queue::QueueError;

/// A message was put at the end of a group.
pub(super) fn joined(db: &Connection, queue: i64, group: &str, seq: i64) -> Result<(), QueueError> {
    db.prepare_cached(
        "INSERT INTO lanes (queue, grp, head, blocked_until) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO NOTHING",
    )?
    .execute(params![queue, group, seq])?;
    Ok(())
}

/// A message of the group was received, returned, deleted or moved: finds head and block anew.
pub(super) fn changed(db: &Connection, queue: i64, group: &str) -> Result<(), QueueError> {
    let head: Option<i64> = db
        .prepare_cached("SELECT min(seq) FROM messages WHERE queue = ?1 AND grp = ?2")?
        .query_row(params![queue, group], |row| row.get(0))?;
    if let Some(head) = head {
        db.prepare_cached(
            "UPDATE lanes SET head = ?3, blocked_until =
                (SELECT max(visible_at) FROM messages WHERE queue = ?1 AND grp = ?2)
             WHERE queue = ?1 AND grp = ?2",
        )?
        .execute(params![queue, group, head])?;
    } else {
        db.prepare_cached("DELETE FROM lanes WHERE queue = ?1 AND grp = ?2")?
            .execute(params![queue, group])?;
    }
    Ok(())
}

/// The first messages of free groups: groups by the age of their head, each with as many messages as fit. As on SQS,
/// free groups are looked for only among the queue's first `looked_at` messages, those of blocked groups included.
pub(super) fn candidates(
    db: &Connection,
    queue: i64,
    now: Millis,
    limit: usize,
    looked_at: u32,
) -> Result<Vec<Candidate>, QueueError> {
    let mut groups = db
        .prepare_cached(
            "SELECT grp, head FROM lanes WHERE queue = ?1 AND blocked_until <= ?2 ORDER BY head LIMIT ?3",
        )?
        .query_map(params![queue, now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, i64)>, _>>()?;
    if let Some((_, last)) = groups.last()
        && let Some(beyond) = beyond(db, queue, *last, looked_at)?
    {
        groups.retain(|(_, head)| *head < beyond);
    }
    let mut first = db.prepare_cached(
        "SELECT seq, message_id, grp, body, receive_count, sent_at FROM messages
         WHERE queue = ?1 AND grp = ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut found = Vec::new();
    for (group, _) in groups {
        let room = limit - found.len();
        if room == 0 {
            break;
        }
        for row in first.query_map(params![queue, group, room], candidate)? {
            found.push(row?);
        }
    }
    Ok(found)
}

/// The first message that is not looked at, where there may be one at `seq` or before it. Counting takes a step for
/// each message, so it is left out where the sequence numbers alone show that there is none.
fn beyond(db: &Connection, queue: i64, seq: i64, looked_at: u32) -> Result<Option<i64>, QueueError> {
    let first: Option<i64> = db
        .prepare_cached("SELECT min(seq) FROM messages WHERE queue = ?1")?
        .query_row([queue], |row| row.get(0))?;
    if first.is_none_or(|first| seq - first < i64::from(looked_at)) {
        return Ok(None);
    }
    Ok(db
        .prepare_cached("SELECT seq FROM messages WHERE queue = ?1 ORDER BY seq LIMIT 1 OFFSET ?2")?
        .query_row(params![queue, looked_at], |row| row.get(0))
        .optional()?)
}
