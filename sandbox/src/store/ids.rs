//! Finds the messages of inboxes by their ids.
//!
//! Ids are random. An index that took each at once would change a page of its own for each, anywhere, and the more it
//! held, the more its pages would differ: the writes of a message would grow with the inboxes. So the ids of the latest
//! messages are in memory alone, and go into the index many at a time, in its order. Nothing depends on the memory: the
//! messages are stored, and those whose ids are not in the index yet are read at the start.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use rusqlite::{Connection, OptionalExtension as _};

use super::{Unit, run};
use crate::error::Result;

/// The store's name for the last message whose id is in the index.
const INDEXED: &str = "inbox_indexed";

/// How many ids go into the index at once. Few in tests, so that they find messages both in memory and in the index.
const AT_ONCE: usize = if cfg!(test) { 50 } else { 16_384 };

/// The ids that are not in the index yet, and where the next message goes.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// Where the next message goes.
    next: i64,
    /// The last message whose id is in the index.
    indexed: i64,
    /// The places of messages by the hash of phone and id. What was undone stays, and is not found at its place.
    places: HashMap<u64, Vec<i64>>,
    /// How many places there are.
    count: usize,
    /// How many there must be before they are to go into the index again, where that has failed; else 0.
    retry_at: usize,
    hasher: RandomState,
}

impl Ids {
    /// Those of the messages that are stored.
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        let indexed: Option<Vec<u8>> = connection
            .prepare("SELECT value FROM meta WHERE key = ?1")?
            .query_row([INDEXED], |row| row.get(0))
            .optional()?;
        let indexed = indexed.and_then(|bytes| bytes.try_into().ok());
        let mut ids = Self {
            indexed: indexed.map_or(0, i64::from_be_bytes),
            ..Self::default()
        };
        ids.next = ids.indexed + 1;
        let mut statement =
            connection.prepare("SELECT seq, phone, id FROM inbox WHERE seq > ?1 ORDER BY seq")?;
        let mut rows = statement.query([ids.indexed])?;
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            ids.note(
                row.get_ref(1)?.as_str().unwrap_or_default(),
                row.get_ref(2)?.as_str().unwrap_or_default(),
                seq,
            );
        }
        Ok(ids)
    }

    /// Puts the ids into the index, if they are many. Where that fails they stay in memory, and go once there are some more.
    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.count < AT_ONCE.max(self.retry_at) {
            return Ok(());
        }
        self.retry_at = self.count + AT_ONCE / 100 + 1;
        run(connection, "BEGIN IMMEDIATE")?;
        let last = self.next - 1;
        let moved = self
            .index(connection, last)
            .and_then(|()| run(connection, "COMMIT"));
        // Where the disk is full, the engine has rolled back by itself.
        if moved.is_err() && !connection.is_autocommit() {
            run(connection, "ROLLBACK")?;
        }
        moved?;
        self.indexed = last;
        self.places.clear();
        self.count = 0;
        self.retry_at = 0;
        Ok(())
    }

    fn index(&self, connection: &Connection, last: i64) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT INTO inbox_ids (phone, id, seq) SELECT phone, id, seq FROM inbox WHERE seq > ?1
                 ORDER BY phone, id, seq",
            )?
            .execute([self.indexed])?;
        connection
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
            .execute((INDEXED, last.to_be_bytes()))?;
        Ok(())
    }

    fn note(&mut self, phone: &str, id: &str, seq: i64) {
        let key = self.hasher.hash_one((phone, id));
        self.places.entry(key).or_default().push(seq);
        self.count += 1;
        self.next = self.next.max(seq + 1);
    }

    fn noted(&self, phone: &str, id: &str) -> Vec<i64> {
        let key = self.hasher.hash_one((phone, id));
        self.places.get(&key).cloned().unwrap_or_default()
    }
}

impl Unit<'_> {
    /// The place of a new message of `phone`'s inbox with this id, behind all others. The message is to be stored there.
    pub(crate) fn place_message(&self, phone: &str, id: &str) -> i64 {
        let mut ids = self.ids.borrow_mut();
        let seq = ids.next;
        ids.note(phone, id, seq);
        seq
    }

    /// Where the messages of `phone`'s inbox with this id are, the oldest first; most often there is one.
    pub(crate) fn places(&self, phone: &str, id: &str) -> Result<Vec<i64>> {
        let mut places: Vec<i64> = self
            .prepare("SELECT seq FROM inbox_ids WHERE phone = ?1 AND id = ?2 ORDER BY seq")?
            .query_map((phone, id), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let noted = self.ids.borrow().noted(phone, id);
        for seq in noted {
            // A unit that was undone has left no message.
            let mut is_there =
                self.prepare("SELECT 1 FROM inbox WHERE seq = ?1 AND phone = ?2 AND id = ?3")?;
            if is_there.exists((seq, phone, id))? && !places.contains(&seq) {
                places.push(seq);
            }
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::error::Error;
    use crate::phone::identity;
    use crate::phone::inbox::{self, testing::put};
    use crate::store::testing::Bench;
    use crate::store::{Store, schema};

    /// How many ids are in the index.
    fn indexed(unit: &Unit<'_>) -> Result<usize> {
        Ok(unit
            .prepare("SELECT COUNT(*) FROM inbox_ids")?
            .query_row([], |row| row.get(0))?)
    }

    #[test]
    fn a_message_is_found_before_and_after_its_id_goes_into_the_index() {
        let mut bench = Bench::new();
        let (me, other) = bench.run(|unit| {
            Ok((
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
            ))
        });
        for n in 0..2 * AT_ONCE + 10 {
            let (id, later) = (n.to_string(), n.saturating_sub(AT_ONCE / 2).to_string());
            bench.run(|unit| {
                assert_eq!(put(unit, &me.phone, &other, &id)?, 1);
                assert!(inbox::find(unit, &me.phone, &id)?.is_some(), "{id}");
                assert!(
                    inbox::find_by(unit, &me.phone, &other.phone, &later)?.is_some(),
                    "{later}"
                );
                assert!(inbox::find(unit, &other.phone, &id)?.is_none());
                Ok(())
            });
        }
        bench.run(|unit| {
            assert_eq!(indexed(unit)?, 2 * AT_ONCE);
            assert_eq!(put(unit, &me.phone, &other, "0")?, 2);
            assert_eq!(put(unit, &me.phone, &other, &(2 * AT_ONCE + 1).to_string())?, 2);
            assert_eq!(inbox::list(unit, &me.phone, None, false)?.len(), 2 * AT_ONCE + 10);
            unit.execute("DELETE FROM phones WHERE phone = ?1", [&me.phone])?;
            assert_eq!(indexed(unit)?, 0);
            assert!(unit.places(&me.phone, "1")?.is_empty());
            Ok(())
        });
    }

    /// The engine rolls back by itself, as it does where the disk is full.
    #[test]
    fn why_ids_stay_out_of_the_index_is_told_and_they_go_once_there_are_more() {
        let connection = schema::open(None).expect("a store");
        let note_next = |ids: &mut Ids| {
            let seq = ids.next;
            ids.note("155501000001", &seq.to_string(), seq);
        };
        connection
            .execute_batch(
                "CREATE TRIGGER no_room BEFORE INSERT ON meta BEGIN SELECT RAISE(ROLLBACK, 'no room'); END",
            )
            .expect("a trigger");
        let mut ids = Ids::load(&connection).expect("an empty store");
        for _ in 0..AT_ONCE {
            note_next(&mut ids);
        }
        let refused = ids.settle(&connection).expect_err("there is no room").to_string();
        assert!(refused.contains("no room"), "{refused}");
        assert!(connection.is_autocommit());
        ids.settle(&connection)
            .expect("it is not tried again for the same");
        assert_eq!(ids.count, AT_ONCE);
        note_next(&mut ids);
        assert!(ids.settle(&connection).is_err());
        connection.execute_batch("DROP TRIGGER no_room").expect("room");
        note_next(&mut ids);
        ids.settle(&connection).expect("they go into the index");
        assert_eq!((ids.count, ids.indexed), (0, ids.next - 1));
    }

    #[test]
    fn what_was_undone_is_not_found() {
        let mut bench = Bench::new();
        let (me, other) = bench.run(|unit| {
            Ok((
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
            ))
        });
        let undone: Result<()> = bench.attempt(|unit| {
            put(unit, &me.phone, &other, "A")?;
            Err(Error::Conflict("no".into()))
        });
        assert!(undone.is_err());
        bench.run(|unit| {
            assert!(unit.places(&me.phone, "A")?.is_empty());
            assert_eq!(put(unit, &me.phone, &other, "A")?, 1);
            assert_eq!(unit.places(&me.phone, "A")?.len(), 1);
            Ok(())
        });
    }

    #[tokio::test]
    async fn ids_are_known_after_a_restart_whether_they_were_in_the_index_or_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || Store::open(Some(directory.path()), Arc::new(SystemClock), |_| ()).expect("a store");
        let store = open();
        let people = store
            .run(|unit| {
                Ok((
                    identity::create(unit, None, None)?,
                    identity::create(unit, None, None)?,
                ))
            })
            .await
            .expect("people");
        for n in 0..AT_ONCE + 5 {
            let (me, other) = people.clone();
            let put = move |unit: &mut Unit<'_>| put(unit, &me.phone, &other, &n.to_string());
            assert_eq!(store.run(put).await.expect("it is stored"), 1);
        }
        store.close().await;
        let store = open();
        let (me, other) = people;
        let again = move |unit: &mut Unit<'_>| {
            assert_eq!(indexed(unit)?, AT_ONCE);
            for n in 0..AT_ONCE + 5 {
                assert_eq!(put(unit, &me.phone, &other, &n.to_string())?, 2, "{n}");
            }
            assert_eq!(put(unit, &me.phone, &other, "new")?, 1);
            Ok(inbox::list(unit, &me.phone, None, false)?.len())
        };
        assert_eq!(store.run(again).await.expect("they are counted"), AT_ONCE + 6);
        store.close().await;
    }
}
