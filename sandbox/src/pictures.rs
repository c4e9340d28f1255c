//! Pictures of people: what is shown of an account, and who hears of a change.
//!
//! A picture is a JPEG in two sizes. Clients scale it down themselves where the server is to have a small one; of one
//! that came alone both sizes are the same. The files are on the media host, open to whoever knows their path.

use rusqlite::OptionalExtension as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
use crate::media::catalogue::{self, Kept};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};

/// The largest picture, in bytes. Clients send some hundred kilobytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// What a JPEG begins with.
const JPEG: [u8; 3] = [0xFF, 0xD8, 0xFF];

/// Whether these bytes can be a picture.
pub(crate) fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(&JPEG) && bytes.len() <= MAX_BYTES
}

/// A picture that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Rises with every change.
    pub(crate) id: i64,
    /// Path of the whole picture.
    pub(crate) image: String,
    /// Path of the small one.
    pub(crate) preview: String,
}

/// The picture of an account.
pub(crate) fn of(unit: &Unit<'_>, phone: &str) -> Result<Option<Picture>> {
    let row: Option<(i64, Option<String>, Option<String>)> = unit
        .prepare("SELECT id, image, preview FROM pictures WHERE owner = ?1")?
        .query_row([phone], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(match row {
        Some((id, Some(image), Some(preview))) => Some(Picture {
            id,
            image: catalogue::picture_path(&image),
            preview: catalogue::picture_path(&preview),
        }),
        _ => None,
    })
}

/// Gives an account a picture (the whole one and the small one), set by `author`. Answers its id.
pub(crate) fn set(
    unit: &mut Unit<'_>,
    account: &Account,
    author: &Address,
    [image, preview]: [Kept; 2],
) -> Result<i64> {
    forget(unit, &account.phone)?;
    let image = catalogue::add_picture(unit, &image)?;
    let preview = catalogue::add_picture(unit, &preview)?;
    let id = unit
        .prepare(
            "INSERT INTO pictures (owner, id, image, preview) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (owner) DO UPDATE SET id = MAX(id + 1, excluded.id), image = excluded.image,
                 preview = excluded.preview RETURNING id",
        )?
        .query_row((&account.phone, unit.now_secs(), image, preview), |row| {
            row.get(0)
        })?;
    let change = NodeBuilder::new("set")
        .attr("jid", account.jid(Family::Pn, 0))
        .attr("id", id)
        .build();
    announce(unit, account, author, (id, change))?;
    Ok(id)
}

/// Takes an account's picture away. Nothing happens where there is none.
pub(crate) fn remove(unit: &mut Unit<'_>, account: &Account, author: &Address) -> Result<()> {
    let Some(picture) = of(unit, &account.phone)? else {
        return Ok(());
    };
    forget(unit, &account.phone)?;
    // The id stays, so that the next one differs.
    unit.execute(
        "UPDATE pictures SET image = NULL, preview = NULL WHERE owner = ?1",
        [&account.phone],
    )?;
    let change = NodeBuilder::new("delete")
        .attr("jid", account.jid(Family::Pn, 0))
        .build();
    announce(unit, account, author, (picture.id, change))
}

/// An account ends, and its picture with it. Nobody is told: there is nobody to look at.
pub(crate) fn remove_with_account(unit: &Unit<'_>, phone: &str) -> Result<()> {
    forget(unit, phone)?;
    unit.execute("DELETE FROM pictures WHERE owner = ?1", [phone])?;
    Ok(())
}

/// Forgets the files of the present picture.
fn forget(unit: &Unit<'_>, phone: &str) -> Result<()> {
    unit.execute(
        "DELETE FROM media WHERE name IN (SELECT image FROM pictures WHERE owner = ?1
             UNION SELECT preview FROM pictures WHERE owner = ?1)",
        [phone],
    )?;
    Ok(())
}

/// Tells the companions of the account, and of those who know it, but the device that did it.
fn announce(
    unit: &mut Unit<'_>,
    account: &Account,
    author: &Address,
    (id, change): (i64, Node),
) -> Result<()> {
    let stanza_id = format!("picture-{}-{id}-{}", account.lid, change.tag);
    let node = NodeBuilder::new("notification")
        .attr("from", account.jid(Family::Pn, 0))
        .attr("id", stanza_id.as_str())
        .attr("type", "picture")
        .attr("t", unit.now_secs())
        .children([change])
        .build();
    let sender = Address::primary(&account.phone);
    let stanza = Stanza {
        kind: Kind::Notification,
        id: &stanza_id,
        subtype: "picture",
        sender: &sender,
        node: &node,
    };
    let mut told: Vec<String> = unit
        .prepare("SELECT watcher FROM device_watchers WHERE phone = ?1 AND watcher <> ?1")?
        .query_map([&account.phone], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    told.push(account.phone.clone());
    for phone in told {
        for device in directory::devices(unit, &phone)?
            .into_iter()
            .filter(|device| *device != 0)
        {
            let address = Address::new(&phone, device);
            if address != *author {
                queue::push(unit, &address, &stanza)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::blobs::Hash;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn kept(byte: u8) -> Kept {
        Kept {
            hash: Hash([byte; 32]),
            length: 4,
        }
    }

    #[test]
    fn every_change_has_an_id_of_its_own_and_drops_the_former_files() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let account = identity::create(unit, None, None)?;
            let author = Address::primary(&account.phone);
            assert_eq!(of(unit, &account.phone)?, None);
            let first = set(unit, &account, &author, [kept(1), kept(2)])?;
            let second = set(unit, &account, &author, [kept(3), kept(3)])?;
            assert!(second > first);
            assert!(!catalogue::is_referred_to(unit, &kept(1).hash)?);
            assert!(!catalogue::is_referred_to(unit, &kept(2).hash)?);
            assert!(catalogue::is_referred_to(unit, &kept(3).hash)?);
            remove(unit, &account, &author)?;
            assert_eq!(of(unit, &account.phone)?, None);
            assert!(!catalogue::is_referred_to(unit, &kept(3).hash)?);
            assert!(set(unit, &account, &author, [kept(1), kept(1)])? > second);
            Ok(())
        });
    }

    #[test]
    fn what_is_no_jpeg_or_too_large_is_no_picture() {
        assert!(is_picture(&[0xFF, 0xD8, 0xFF, 0xE0]));
        assert!(!is_picture(b"\x89PNG"));
        let mut large = vec![0; MAX_BYTES + 1];
        large[..3].copy_from_slice(&JPEG);
        assert!(!is_picture(&large));
    }
}
