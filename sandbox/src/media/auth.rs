//! Who may upload: clients that `media_conn` gave a token not long ago.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use rusqlite::OptionalExtension as _;

use crate::error::Result;
use crate::store::Unit;

/// The authorisation of an account, and the seconds for which it holds: the present one while more than half of its
/// life is left, else a new one. It belongs to the account alone, and ends with it.
pub(crate) fn authorise(unit: &Unit<'_>, phone: &str, ttl_secs: i64) -> Result<(String, i64)> {
    let now = unit.now_secs();
    unit.execute(
        "DELETE FROM media_auth WHERE phone = ?1 AND expires_at <= ?2",
        (phone, unit.now_ms()),
    )?;
    let standing: Option<(String, i64)> = unit
        .prepare(
            "SELECT token, expires_at / 1000 FROM media_auth WHERE phone = ?1 ORDER BY expires_at DESC LIMIT 1",
        )?
        .query_row([phone], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((token, until)) = standing
        && until - now > ttl_secs / 2
    {
        return Ok((token, until - now));
    }
    // Clients put it into URLs as it is.
    let token = URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 33]>());
    unit.execute(
        "INSERT INTO media_auth (token, phone, expires_at) VALUES (?1, ?2, ?3)",
        (&token, phone, (now + ttl_secs) * 1000),
    )?;
    Ok((token, ttl_secs))
}

/// Whether a token authorises to upload now.
pub(super) fn holds(unit: &Unit<'_>, token: &str) -> Result<bool> {
    Ok(unit
        .prepare("SELECT 1 FROM media_auth WHERE token = ?1 AND expires_at > ?2")?
        .exists((token, unit.now_ms()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn tokens_are_an_accounts_own_and_end() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let (a, b) = (
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
            );
            let (first, ttl) = authorise(unit, &a.phone, 100)?;
            assert!(ttl > 50 && holds(unit, &first)?);
            assert_eq!(authorise(unit, &a.phone, 100)?.0, first);
            assert_ne!(authorise(unit, &b.phone, 100)?.0, first);
            let (short, _) = authorise(unit, &b.phone, 1000)?;
            assert!(holds(unit, &short)?);
            unit.execute("UPDATE media_auth SET expires_at = 1", [])?;
            assert!(!holds(unit, &first)?);
            assert_ne!(authorise(unit, &a.phone, 100)?.0, first);
            unit.execute("DELETE FROM phones", [])?;
            assert!(!holds(unit, &short)?);
            Ok(())
        });
    }
}
