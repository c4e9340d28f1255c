//! Which path leads to which bytes, and for how long.
//!
//! A path is all that one needs to know to download, so its name cannot be guessed. The same bytes may be under
//! several: a re-upload after the old path has expired gets a new one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use rusqlite::OptionalExtension as _;

use super::blobs::Hash;
use crate::error::{Error, Result};
use crate::store::Unit;

/// How long a path is still known as expired. After that it is unknown.
const REMEMBERED_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// The kind of pictures, which are not encrypted and do not expire.
const PICTURE: &str = "picture";

const LIFETIME: &str = "media.lifetime";

/// Bytes that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) hash: Hash,
    pub(crate) length: u64,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file that is served.
    Live(Kept),
    /// A file that was served.
    Expired,
}

/// Sets how long encrypted files live from their upload. It is kept beside them: phones know nothing but the store.
pub(super) fn set_lifetime(unit: &Unit<'_>, lifetime_ms: i64) -> Result<()> {
    unit.set_meta(LIFETIME, &lifetime_ms.to_be_bytes())
}

fn lifetime_ms(unit: &Unit<'_>) -> Result<i64> {
    let stored = unit.meta(LIFETIME)?.and_then(|bytes| bytes.try_into().ok());
    stored
        .map(i64::from_be_bytes)
        .ok_or_else(|| Error::codec("the lifetime of media", "it is not 8 bytes"))
}

/// A path for an encrypted file: a new one, or the one it has if more than half of its life is left.
pub(crate) fn add(unit: &Unit<'_>, kind: &str, kept: &Kept) -> Result<String> {
    let lifetime = lifetime_ms(unit)?;
    let expires = unit.now_ms().saturating_add(lifetime);
    if let Some(path) = standing(unit, kind, &kept.hash, expires - lifetime / 2)? {
        return Ok(path);
    }
    let name = insert(unit, kind, kept, Some(expires))?;
    Ok(media_path(&name, expires))
}

/// A new path for a picture. Answers its name.
pub(crate) fn add_picture(unit: &Unit<'_>, kept: &Kept) -> Result<String> {
    insert(unit, PICTURE, kept, None)
}

fn insert(unit: &Unit<'_>, kind: &str, kept: &Kept, expires: Option<i64>) -> Result<String> {
    let name = URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 24]>());
    unit.execute(
        "INSERT INTO media (name, hash, kind, length, uploaded_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        rusqlite::params![
            name,
            kept.hash.0,
            kind,
            i64::try_from(kept.length).unwrap_or(i64::MAX),
            unit.now_ms(),
            expires
        ],
    )?;
    Ok(name)
}

/// The file under `name`; `None` where there never was one, or long ago.
pub(crate) fn find(unit: &Unit<'_>, name: &str, picture: bool) -> Result<Option<Entry>> {
    let row: Option<(Vec<u8>, i64, Option<i64>)> = unit
        .prepare("SELECT hash, length, expires_at FROM media WHERE name = ?1 AND (kind = ?2) = ?3")?
        .query_row((name, PICTURE, picture), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((hash, length, expires)) = row else {
        return Ok(None);
    };
    if expires.is_some_and(|expires| expires <= unit.now_ms()) {
        return Ok(Some(Entry::Expired));
    }
    let hash = Hash::from_slice(&hash).ok_or_else(|| Error::codec("a hash", "it is not 32 bytes"))?;
    Ok(Some(Entry::Live(Kept {
        hash,
        length: length.unsigned_abs(),
    })))
}

/// A path of these bytes for this kind that lives beyond `until`, in milliseconds since the Unix epoch.
pub(crate) fn standing(unit: &Unit<'_>, kind: &str, hash: &Hash, until: i64) -> Result<Option<String>> {
    let found = unit
        .prepare(
            "SELECT name, expires_at FROM media
             WHERE hash = ?1 AND kind = ?2 AND expires_at > ?3 ORDER BY expires_at DESC LIMIT 1",
        )?
        .query_row((hash.0, kind, until), |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map(|(name, expires)| media_path(&name, expires)))
}

/// Lets media expire now: the one at a path, or all. Answers how many did.
///
/// # Errors
/// [`Error::NotFound`] for a path that nothing is at.
pub(crate) fn expire(unit: &Unit<'_>, path: Option<&str>) -> Result<usize> {
    let now = unit.now_ms();
    let Some(path) = path else {
        return Ok(unit.execute("UPDATE media SET expires_at = ?1 WHERE expires_at > ?1", [now])?);
    };
    let name =
        name_of(path).ok_or_else(|| Error::Invalid("`directPath` is no path of the media host".into()))?;
    match find(unit, name, false)? {
        None => Err(Error::NotFound("nothing is at `directPath`".into())),
        Some(_) => Ok(unit.execute(
            "UPDATE media SET expires_at = ?1 WHERE name = ?2 AND expires_at > ?1",
            (now, name),
        )?),
    }
}

/// Forgets what expired long ago, and authorisations that have ended.
pub(crate) fn forget_old(unit: &Unit<'_>) -> Result<()> {
    unit.execute(
        "DELETE FROM media WHERE expires_at <= ?1",
        [unit.now_ms() - REMEMBERED_MS],
    )?;
    unit.execute("DELETE FROM media_auth WHERE expires_at <= ?1", [unit.now_ms()])?;
    Ok(())
}

/// Whether anybody refers to these bytes: a live path, or a phone that has them.
pub(crate) fn is_referred_to(unit: &Unit<'_>, hash: &Hash) -> Result<bool> {
    let sql = "SELECT 1 FROM media WHERE hash = ?1 AND (expires_at IS NULL OR expires_at > ?2)
               UNION ALL SELECT 1 FROM phone_media WHERE enc_hash = ?1 AND state <> 'failed'";
    Ok(unit.prepare(sql)?.exists((hash.0, unit.now_ms()))?)
}

/// The path of an encrypted file. Clients append parameters, some with `?`, some with `&`. Only within a query do
/// both work, so the path has one already.
fn media_path(name: &str, expires_ms: i64) -> String {
    format!("/v/t62/{name}.enc?oe={:X}", expires_ms / 1000)
}

/// The path of a picture.
pub(crate) fn picture_path(name: &str) -> String {
    format!("/v/t61/{name}.jpg")
}

/// The name in the path of an encrypted file, whatever clients appended.
pub(crate) fn name_of(path: &str) -> Option<&str> {
    path.strip_prefix("/v/t62/")?
        .split_once(".enc")
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Bench;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn kept(byte: u8) -> Kept {
        Kept {
            hash: Hash([byte; 32]),
            length: 5,
        }
    }

    #[test]
    fn a_path_serves_until_it_expires_and_a_new_one_takes_its_place() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            set_lifetime(unit, DAY)?;
            let path = add(unit, "image", &kept(1))?;
            let name = name_of(&path).expect("a name").to_owned();
            assert_eq!(add(unit, "image", &kept(1))?, path, "the same bytes keep it");
            assert_ne!(add(unit, "image", &kept(2))?, path);
            assert_eq!(find(unit, &name, false)?, Some(Entry::Live(kept(1))));
            assert_eq!(find(unit, &name, true)?, None, "it is no picture");
            assert!(is_referred_to(unit, &Hash([1; 32]))?);
            assert_eq!(expire(unit, Some(&path))?, 1);
            assert_eq!(find(unit, &name, false)?, Some(Entry::Expired));
            assert!(!is_referred_to(unit, &Hash([1; 32]))?);
            assert_eq!(standing(unit, "image", &Hash([1; 32]), unit.now_ms())?, None);
            assert_ne!(add(unit, "image", &kept(1))?, path);
            assert_eq!(expire(unit, None)?, 2);
            Ok(())
        });
    }

    #[test]
    fn pictures_do_not_expire_and_other_paths_are_named() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let name = add_picture(unit, &kept(3))?;
            assert_eq!(expire(unit, None)?, 0);
            assert!(find(unit, &name, true)?.is_some());
            assert_eq!(find(unit, &name, false)?, None);
            assert!(matches!(
                expire(unit, Some("/v/t62/x.enc")),
                Err(Error::NotFound(_))
            ));
            assert!(matches!(expire(unit, Some("/else")), Err(Error::Invalid(_))));
            Ok(())
        });
    }
}
