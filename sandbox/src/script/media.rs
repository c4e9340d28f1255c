//! The files that people send and get, their pictures, and the end of what the media host serves.

use std::sync::Arc;

use bytes::Bytes;

use super::Phone;
use crate::directory;
use crate::error::{Error, Result};
use crate::media::catalogue;
use crate::network::Network;
use crate::phone::gallery;
use crate::pictures::{self, Author, Owner};
use crate::store::Unit;

/// The file of a message as the phone decrypted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    /// The MIME type, which is the sender's word, and anything.
    pub mime_type: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Phone {
    /// The file of the message with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a message that is not there, has no media, or media that could not be had;
    /// [`Error::Conflict`] while they are being fetched.
    pub async fn media(&self, id: &str) -> Result<MediaFile> {
        let (mime_type, bytes) = gallery::open(&self.network, self.number.clone(), id.to_owned()).await?;
        Ok(MediaFile { mime_type, bytes })
    }

    /// The person deletes the file of the message with this id: the phone does not upload it again for a companion that asks.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a message that is not there, or whose file the phone does not have.
    pub async fn forget_media(&self, id: &str) -> Result<()> {
        let (number, id) = (self.number.clone(), id.to_owned());
        let forget = move |unit: &mut Unit<'_>| {
            directory::require(unit, &number)?;
            gallery::forget(unit, &number, &id)
        };
        self.network.store.run(forget).await
    }

    /// Changes the person's picture: a JPEG of at most 1 MiB, or none. The phone may be off.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no such picture.
    pub async fn set_picture(&self, picture: Option<Bytes>) -> Result<()> {
        let number = self.number.clone();
        self.change_picture(picture, move |unit| own_picture(unit, &number))
            .await
    }

    /// Changes a group's picture, in the same way.
    ///
    /// # Errors
    /// The same, and those of all acts on a group.
    pub async fn set_group_picture(&self, group: &str, picture: Option<Bytes>) -> Result<()> {
        let (number, group) = (self.number.clone(), super::groups::group_jid(group)?);
        self.change_picture(picture, move |unit| {
            let account = directory::require(unit, &number)?;
            let owner = Owner::editable(unit, &group, &account)?;
            Ok((owner, Author { account, device: 0 }))
        })
        .await
    }

    async fn change_picture(
        &self,
        picture: Option<Bytes>,
        of: impl FnOnce(&Unit<'_>) -> Result<(Owner, Author)> + Send + 'static,
    ) -> Result<()> {
        let Some(picture) = picture else {
            let remove = move |unit: &mut Unit<'_>| {
                let (owner, author) = of(unit)?;
                pictures::remove(unit, &owner, &author)
            };
            return self.network.store.run(remove).await;
        };
        if !pictures::is_picture(&picture) {
            let message = format!("a picture is a JPEG of at most {} bytes", pictures::MAX_BYTES);
            return Err(Error::Invalid(message));
        }
        self.network
            .media
            .keep(
                &self.network.store,
                [picture.clone(), picture],
                move |unit, kept| {
                    let (owner, author) = of(unit)?;
                    pictures::set(unit, &owner, &author, kept)
                },
            )
            .await
            .map(drop)
    }
}

/// Lets media expire now: the file at a path, or all. Answers how many paths were live before.
pub(crate) async fn expire(network: &Arc<Network>, direct_path: Option<String>) -> Result<usize> {
    network
        .store
        .run(move |unit| catalogue::expire(unit, direct_path.as_deref()))
        .await
}

/// A person with the own phone in hand.
fn own_picture(unit: &Unit<'_>, phone: &str) -> Result<(Owner, Author)> {
    let account = directory::require(unit, phone)?;
    Ok((Owner::Person(account.clone()), Author { account, device: 0 }))
}
