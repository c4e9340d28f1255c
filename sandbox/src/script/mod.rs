//! What a script can let people do. The admin API and programs in Rust call the same functions, so that what works
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

mod chats;
mod phones;

use std::sync::Arc;

pub use crate::phone::auto_reply::AutoReply;
pub use crate::phone::compose::{
    Body, Contact, Contacts, Disappearing, Edit, Event, EventResponse, File, LiveLocation, Location, Pin,
    Poll, PollVote, Preview, Raw, Reaction, Revoke, SendRequest, Text,
};
pub use crate::phone::content::{Content, Reaction as ShownReaction};
pub use crate::phone::inbox::Entry;
pub(crate) use chats::reachable;
pub use chats::{InboxQuery, ReadReport, ReadRequest, Sent};
pub use phones::{Companion, Linked, NewPhone, PhoneInfo};

use crate::Sandbox;
use crate::network::Network;

/// A person's phone. The handle is cheap; whether there is such a phone shows with the first call.
///
/// All calls fail with [`crate::Error::NotFound`] where the phone does not exist, and what a person does with a
/// phone with [`crate::Error::Conflict`] where it is off.
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
    /// [`crate::Error::Conflict`] where the number is taken, [`crate::Error::Invalid`] where it is none.
    pub async fn create_phone(&self, new: NewPhone) -> crate::error::Result<Phone> {
        let info = create_phone(&self.network, new, None).await?;
        Ok(self.phone(info.phone))
    }

    /// All phones, oldest first.
    pub async fn phones(&self) -> crate::error::Result<Vec<PhoneInfo>> {
        list_phones(&self.network).await
    }

    /// Lets a phone scan the QR code that a client shows: the named phone, made if need be, or the next that has no
    /// companion.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a text that is no QR code, [`crate::Error::NotFound`] where no client shows it.
    pub async fn scan(&self, qr: &str, phone: Option<String>) -> crate::error::Result<Linked> {
        scan(&self.network, qr.to_owned(), phone).await
    }
}

pub(crate) use phones::{create as create_phone, list as list_phones, scan};
