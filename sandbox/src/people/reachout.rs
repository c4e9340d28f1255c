//! Times in which an account may begin no chats.
//!
//! The network refuses messages to people with whom the account has never written then, as it refuses those without a
//! proof of trust, and tells the account until when, if it is asked. Chats that exist go on.

use rusqlite::OptionalExtension as _;

use crate::error::{Error, Result};
use crate::store::Unit;

/// The longest such time, in seconds: 30 days.
pub(crate) const LONGEST: u32 = 30 * 24 * 60 * 60;

/// Lets an account begin no chats for so many seconds from now; 0 ends it.
///
/// # Errors
/// [`Error::Invalid`] for more than [`LONGEST`].
pub(crate) fn lock(unit: &Unit<'_>, phone: &str, seconds: u32) -> Result<()> {
    if seconds > LONGEST {
        return Err(Error::Invalid(format!("`seconds` is at most {LONGEST}")));
    }
    unit.execute(
        "INSERT INTO reachout_locks (phone, until) VALUES (?1, ?2)
         ON CONFLICT (phone) DO UPDATE SET until = excluded.until",
        (phone, unit.now_secs() + i64::from(seconds)),
    )?;
    Ok(())
}

/// Until when the account may begin no chats, in Unix seconds; `None` where it may.
pub(crate) fn locked_until(unit: &Unit<'_>, phone: &str) -> Result<Option<i64>> {
    let until = unit
        .prepare("SELECT until FROM reachout_locks WHERE phone = ?1 AND until > ?2")?
        .query_row((phone, unit.now_secs()), |row| row.get(0))
        .optional()?;
    Ok(until)
}

/// Whether a message of `from` to `to` would begin a chat, and may not.
pub(crate) fn holds_back(unit: &Unit<'_>, from: &str, to: &str) -> Result<bool> {
    if from == to || locked_until(unit, from)?.is_none() {
        return Ok(false);
    }
    let mut written = unit.prepare(
        "SELECT 1 FROM correspondents WHERE (phone = ?1 AND writer = ?2) OR (phone = ?2 AND writer = ?1)",
    )?;
    Ok(!written.exists((from, to))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;
    use crate::switches;

    #[test]
    fn only_chats_that_do_not_exist_are_held_back_and_only_in_that_time() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let [a, new, written_to, writer] = [(); 4].map(|()| identity::create(unit, None, None));
            let [a, new, written_to, writer] = [a?.phone, new?.phone, written_to?.phone, writer?.phone];
            assert!(!holds_back(unit, &a, &new)?);
            switches::wrote(unit, &written_to, &a)?;
            switches::wrote(unit, &a, &writer)?;
            assert!(matches!(lock(unit, &a, LONGEST + 1), Err(Error::Invalid(_))));
            lock(unit, &a, 60)?;
            assert_eq!(locked_until(unit, &a)?, Some(unit.now_secs() + 60));
            assert!(holds_back(unit, &a, &new)?);
            for (from, to) in [(&a, &a), (&a, &written_to), (&a, &writer), (&new, &a)] {
                assert!(!holds_back(unit, from, to)?);
            }
            lock(unit, &a, 0)?;
            assert_eq!(locked_until(unit, &a)?, None);
            assert!(!holds_back(unit, &a, &new)?);
            Ok(())
        });
    }
}
