//! What is encrypted under another message's secret: votes, event responses, comments, edits.
//!
//! A message carries 32 random bytes that only its readers know. Whoever adds something to it later encrypts that
//! under a key from this secret, the message's id, its author and the one who adds. Both people go by their number or
//! their LID, and not everybody moves from one to the other at the same time. So what does not open under one pair of
//! names is tried under the others.

use rand::RngExt as _;
use wacore::secret_enc_addon::{AddonContext, ModificationType, decrypt_addon, encrypt_addon};
use waproto::whatsapp as wa;

use super::inbox::Found;
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::store::Unit;

/// An encrypted addition.
pub(crate) struct Sealed {
    pub(crate) payload: Vec<u8>,
    pub(crate) iv: Vec<u8>,
}

/// Opens what `author` added to `parent`; `None` if that cannot be.
pub(crate) fn open(
    unit: &Unit<'_>,
    (parent, author): (&Found, &Account),
    kind: ModificationType,
    (payload, iv): (Option<&[u8]>, Option<&[u8]>),
) -> Result<Option<Vec<u8>>> {
    let (Some(secret), Some(payload), Some(iv)) = (parent.secret.as_deref(), payload, iv) else {
        return Ok(None);
    };
    let Some(creator) = directory::by_phone(unit, &parent.sender)? else {
        return Ok(None);
    };
    for creators in [Family::Lid, Family::Pn] {
        for authors in [creators, other(creators)] {
            let names = (
                creator.jid(creators, 0).to_string(),
                author.jid(authors, 0).to_string(),
            );
            let context = AddonContext {
                stanza_id: &parent.id,
                parent_msg_original_sender: &names.0,
                modification_sender: &names.1,
                modification_type: kind,
            };
            if let Ok(plain) = decrypt_addon(payload, iv, secret, &context) {
                return Ok(Some(plain));
            }
        }
    }
    Ok(None)
}

/// Seals what `author` adds to `parent`, both under the names of `family`.
///
/// # Errors
/// [`Error::Conflict`] where the message has no secret.
pub(crate) fn seal(
    unit: &Unit<'_>,
    (parent, author, family): (&Found, &Account, Family),
    kind: ModificationType,
    plain: &[u8],
) -> Result<Sealed> {
    let secret = parent.secret.as_deref();
    let secret =
        secret.ok_or_else(|| Error::Conflict("the message has no secret to encrypt under".into()))?;
    let creator = directory::require(unit, &parent.sender)?
        .jid(family, 0)
        .to_string();
    let author = author.jid(family, 0).to_string();
    let context = AddonContext {
        stanza_id: &parent.id,
        parent_msg_original_sender: &creator,
        modification_sender: &author,
        modification_type: kind,
    };
    let (payload, iv) =
        encrypt_addon(plain, secret, &context).map_err(|error| Error::codec("an addition", error))?;
    Ok(Sealed {
        payload,
        iv: iv.to_vec(),
    })
}

/// Gives a message a secret of its own, as phones do with all messages to which something can be added.
pub(crate) fn give(message: &mut wa::Message) {
    let context = message.message_context_info.get_or_insert_default();
    if context.message_secret.is_none() {
        context.message_secret = Some(rand::rng().random::<[u8; 32]>().to_vec());
    }
}

fn other(family: Family) -> Family {
    match family {
        Family::Pn => Family::Lid,
        Family::Lid => Family::Pn,
    }
}
