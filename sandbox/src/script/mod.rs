//! What a script can make people do. The admin API and programs in Rust call the same functions, so that what works
//! in one works in the other.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sandbox::script::{NewPhone, SendRequest};
//!
//! let sandbox = sandbox::Sandbox::start(sandbox::Config::new("127.0.0.1:0".parse()?)).await?;
//! let ada = sandbox.create_phone(NewPhone::default()).await?;
//! let sent = ada.send(SendRequest::text("155501000002", "hello")).await?;
//! println!("{}", sent.id);
//! # Ok(())
//! # }
//! ```

mod app_state;
mod chats;
mod groups;
mod media;
mod people;
mod phones;
mod privacy;
mod stanzas;
mod stats;

use std::sync::Arc;

pub use crate::groups::Role;
pub use crate::people::business::{Business, Day, Hours};
pub use crate::people::chatstates::{Seen as TypingSeen, State as ChatState};
pub use crate::phone::app_state::Record as AppStateRecord;
pub use crate::phone::app_state::actions::Action as AppStateAction;
pub use crate::phone::auto_reply::AutoReply;
pub use crate::phone::compose::{
    Body, Contact, Contacts, Disappearing, Edit, Event, EventResponse, File, LiveLocation, Location, Pin,
    Poll, PollVote, Preview, Raw, Reaction, Revoke, SendRequest, Text,
};
pub use crate::phone::content::{Content, Reaction as ShownReaction};
pub use crate::phone::inbox::Entry;
pub use crate::phone::passkey::PasskeyInfo;
pub use crate::stats::{Counts, Handshakes, Stanzas};
pub use chats::{InboxPage, InboxQuery, PageQuery, ReadReport, ReadRequest, Sent};
pub use groups::{
    GroupEdit, GroupInfo, Joined, NewGroup, Participant, ParticipantAction, ParticipantResult,
    ParticipantsRequest,
};
pub use media::MediaFile;
pub(crate) use media::expire as expire_media;
pub use people::{BlockRequest, Call, CallRequest, TypingRequest};
pub use phones::{Companion, Linked, NewPhone, PhoneInfo};
pub(crate) use phones::{create as create_phone, list as list_phones, scan};
pub use privacy::{PrivacySetting, PrivacySettings};
pub use stanzas::StanzaRequest;
pub use stats::Stats;
pub(crate) use stats::stats;

use crate::Sandbox;
use crate::directory::{self, Account};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::store::Unit;

/// A person's phone. The handle is cheap; whether there is such a phone shows with the first call.
///
/// All calls fail with [`Error::NotFound`] where the phone does not exist. Calls that need the phone in a person's
/// hand fail with [`Error::Conflict`] where it is off.
#[derive(Clone)]
pub struct Phone {
    network: Arc<Network>,
    number: String,
}

impl Phone {
    pub(crate) fn new(network: Arc<Network>, number: String) -> Self {
        Self { network, number }
    }

    /// The phone's number, digits only.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Does what the person does with the phone in hand, which must be on, as one unit of work.
    async fn act<T, F>(&self, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>, &Account) -> Result<T> + Send + 'static,
    {
        self.work(|unit, account| {
            if account.online {
                act(unit, account)
            } else {
                Err(Error::Conflict("this phone is offline".into()))
            }
        })
        .await
    }

    /// Does what works with a phone that is off too, as one unit of work.
    async fn work<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>, &Account) -> Result<T> + Send + 'static,
    {
        let number = self.number.clone();
        let unit = move |unit: &mut Unit<'_>| {
            let account = directory::require(unit, &number)?;
            work(unit, &account)
        };
        self.network.store.run(unit).await
    }
}

impl std::fmt::Debug for Phone {
    /// Without the number: numbers stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// The phone with this number.
    pub fn phone(&self, number: impl Into<String>) -> Phone {
        Phone::new(Arc::clone(&self.network), number.into())
    }

    /// Makes a phone.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the number is taken, [`Error::Invalid`] where it is none and for a business profile that
    /// cannot be.
    pub async fn create_phone(&self, new: NewPhone) -> Result<Phone> {
        let info = create_phone(&self.network, new).await?;
        Ok(self.phone(info.phone))
    }

    /// All phones, oldest first.
    pub async fn phones(&self) -> Result<Vec<PhoneInfo>> {
        list_phones(&self.network).await
    }

    /// Lets a phone scan the QR code that a client shows: the named phone, made if need be, or the next that has no
    /// companion.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that is no QR code, [`Error::NotFound`] where no client shows it.
    pub async fn scan(&self, qr: &str, phone: Option<String>) -> Result<Linked> {
        scan(&self.network, qr.to_owned(), phone).await
    }

    /// Lets media on the media host expire now: the file at a path such as `/v/t62/…`, or all. Answers how many there
    /// were. Downloads are refused with 410; phones that hold a file upload it again for their own companions.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no path of the media host, [`Error::NotFound`] where nothing is at it.
    pub async fn expire_media(&self, direct_path: Option<String>) -> Result<usize> {
        expire_media(&self.network, direct_path).await
    }

    /// What there is on the network, and what has passed through it since the start.
    pub async fn stats(&self) -> Result<Stats> {
        stats(&self.network).await
    }
}
