//! Pictures of people and groups: what is shown of them, and who hears of a change.
//!
//! A picture is a JPEG in two sizes. Clients make the small one; if they send only one size, it stands for both. The
//! files are on the media host, open to whoever knows their path.

use rusqlite::OptionalExtension as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::groups::{self, Group};
use crate::media::catalogue::{self, Kept};
use crate::people::privacy::{self, Category};
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

/// Whose picture it is.
#[derive(Debug, Clone)]
pub(crate) enum Owner {
    Person(Account),
    Group(Box<Group>),
}

impl Owner {
    /// Whom `jid` names.
    pub(crate) fn find(unit: &Unit<'_>, jid: &Jid) -> Result<Option<Self>> {
        Ok(if jid.server == Server::Group {
            groups::find(unit, jid)?.map(|group| Self::Group(Box::new(group)))
        } else {
            directory::resolve(unit, jid)?.map(Self::Person)
        })
    }

    /// Whose picture `author` changes by naming `jid`.
    ///
    /// # Errors
    /// [`Error::Refused`] (403) for other people, and groups whose info `author` may not edit; [`Error::NotFound`].
    pub(crate) fn editable(unit: &Unit<'_>, jid: &Jid, author: &Account) -> Result<Self> {
        if jid.server == Server::Group {
            return Ok(Self::Group(Box::new(groups::may_edit_info(unit, jid, author)?)));
        }
        match directory::resolve(unit, jid)? {
            Some(account) if account == *author => Ok(Self::Person(account)),
            _ => Err(Error::forbidden("other people's pictures are their own")),
        }
    }

    /// Whether `viewer` gets to see the picture. Those of groups are for everybody.
    pub(crate) fn is_seen_by(&self, unit: &Unit<'_>, viewer: &str) -> Result<bool> {
        match self {
            Self::Person(account) => privacy::may_see(unit, viewer, &account.phone, Category::Profile),
            Self::Group(_) => Ok(true),
        }
    }

    fn jid(&self) -> Jid {
        match self {
            Self::Person(account) => account.jid(Family::Pn, 0),
            Self::Group(group) => group.jid(),
        }
    }

    /// The name of the owner in the table.
    fn key(&self) -> String {
        match self {
            Self::Person(account) => account.phone.clone(),
            Self::Group(group) => group.jid().to_string(),
        }
    }

    /// The companions that hear of a change: of the members, or of the person and those who know them.
    fn audience(&self, unit: &Unit<'_>) -> Result<Vec<Address>> {
        let mut devices = match self {
            Self::Group(group) => groups::members::devices(unit, &group.id)?,
            Self::Person(account) => {
                let mut told: Vec<String> = unit
                    .prepare("SELECT watcher FROM device_watchers WHERE phone = ?1 AND watcher <> ?1")?
                    .query_map([&account.phone], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                told.push(account.phone.clone());
                let mut all = Vec::new();
                for phone in told {
                    if !self.is_seen_by(unit, &phone)? {
                        continue;
                    }
                    let own = directory::devices(unit, &phone)?;
                    all.extend(own.into_iter().map(|device| Address::new(&phone, device)));
                }
                all
            }
        };
        // Phones do nothing with the news.
        devices.retain(|address| address.device != 0);
        Ok(devices)
    }
}

/// Who changes a picture, on which device.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) account: Account,
    pub(crate) device: u16,
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

/// The picture of `owner`.
pub(crate) fn of(unit: &Unit<'_>, owner: &Owner) -> Result<Option<Picture>> {
    let row: Option<(i64, Option<String>, Option<String>)> = unit
        .prepare("SELECT id, image, preview FROM pictures WHERE owner = ?1")?
        .query_row([owner.key()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
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

/// Gives `owner` a picture (the whole one and the small one). Answers its id.
pub(crate) fn set(
    unit: &mut Unit<'_>,
    owner: &Owner,
    author: &Author,
    [image, preview]: [Kept; 2],
) -> Result<i64> {
    let key = owner.key();
    forget_files(unit, &key)?;
    let image = catalogue::add_picture(unit, &image)?;
    let preview = catalogue::add_picture(unit, &preview)?;
    let id = unit
        .prepare(
            "INSERT INTO pictures (owner, id, image, preview) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (owner) DO UPDATE SET id = MAX(id + 1, excluded.id), image = excluded.image,
                 preview = excluded.preview RETURNING id",
        )?
        .query_row((key, unit.now_secs(), image, preview), |row| row.get(0))?;
    announce(unit, owner, author, (id, "set"))?;
    Ok(id)
}

/// Takes the picture of `owner` away. Nothing happens where there is none.
pub(crate) fn remove(unit: &mut Unit<'_>, owner: &Owner, author: &Author) -> Result<()> {
    let Some(picture) = of(unit, owner)? else {
        return Ok(());
    };
    let key = owner.key();
    forget_files(unit, &key)?;
    // The id stays, so that the next one differs.
    unit.execute(
        "UPDATE pictures SET image = NULL, preview = NULL WHERE owner = ?1",
        [key],
    )?;
    announce(unit, owner, author, (picture.id, "delete"))
}

/// Removes the picture of an owner that is gone. Nobody is told, since there is nothing left to look at.
pub(crate) fn remove_with_owner(unit: &Unit<'_>, owner: &Owner) -> Result<()> {
    let key = owner.key();
    forget_files(unit, &key)?;
    unit.execute("DELETE FROM pictures WHERE owner = ?1", [key])?;
    Ok(())
}

fn forget_files(unit: &Unit<'_>, key: &str) -> Result<()> {
    unit.execute(
        "DELETE FROM media WHERE name IN (SELECT image FROM pictures WHERE owner = ?1
             UNION SELECT preview FROM pictures WHERE owner = ?1)",
        [key],
    )?;
    Ok(())
}

/// Tells the audience, but for the device that did it.
fn announce(
    unit: &mut Unit<'_>,
    owner: &Owner,
    author: &Author,
    (id, change): (i64, &'static str),
) -> Result<()> {
    let jid = owner.jid();
    let stanza_id = format!("picture-{}-{id}-{change}", jid.user);
    let mut child = NodeBuilder::new(change).attr("jid", jid.clone());
    if change == "set" {
        child = child.attr("id", id);
    }
    let mut builder = NodeBuilder::new("notification")
        .attr("from", jid)
        .attr("id", stanza_id.as_str())
        .attr("type", "picture")
        .attr("t", unit.now_secs());
    // Of a person's picture everybody knows whose doing it is.
    if let Owner::Group(group) = owner {
        let name = group.name(&author.account);
        child = child.attr("author", name.clone());
        builder = builder
            .attr("participant", name)
            .attr("notify", author.account.name.as_str());
    }
    let node: Node = builder.children([child.build()]).build();
    let from = Address::new(&author.account.phone, author.device);
    let stanza = Stanza {
        kind: Kind::Notification,
        id: &stanza_id,
        subtype: "picture",
        sender: &from,
        node: &node,
    };
    for address in owner.audience(unit)? {
        if address != from {
            queue::push(unit, &address, &stanza)?;
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
            let owner = Owner::Person(account.clone());
            let author = Author { account, device: 0 };
            assert_eq!(of(unit, &owner)?, None);
            let first = set(unit, &owner, &author, [kept(1), kept(2)])?;
            let second = set(unit, &owner, &author, [kept(3), kept(3)])?;
            assert!(second > first);
            assert!(!catalogue::is_referred_to(unit, &kept(1).hash)?);
            assert!(!catalogue::is_referred_to(unit, &kept(2).hash)?);
            assert!(catalogue::is_referred_to(unit, &kept(3).hash)?);
            remove(unit, &owner, &author)?;
            assert_eq!(of(unit, &owner)?, None);
            assert!(!catalogue::is_referred_to(unit, &kept(3).hash)?);
            assert!(set(unit, &owner, &author, [kept(1), kept(1)])? > second);
            remove_with_owner(unit, &owner)?;
            assert!(!catalogue::is_referred_to(unit, &kept(1).hash)?);
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
