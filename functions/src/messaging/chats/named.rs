//! The chat that a request names, as the directory of people knows it.

use shared::domain::person::Acquaintance;
use shared::domain::recipient::Recipient;

use crate::http::ApiError;
use crate::messaging::asking::Socket;
use crate::messaging::messages::view::ChatView;

/// A chat, and who is on its other side.
pub struct NamedChat {
    known: Acquaintance,
    given: Recipient,
}

impl NamedChat {
    /// The chat that is called so.
    pub async fn find<P>(socket: &Socket<P>, given: Recipient) -> Result<Self, ApiError> {
        let (state, instance) = (&socket.state, socket.caller.grant.instance);
        let known = state.people.get(instance, &given, state.clock.now()).await?;
        Ok(Self { known, given })
    }

    /// Its canonical name, by which records go.
    pub fn canonical(&self) -> &Recipient {
        &self.known.chat
    }

    /// Its name to WhatsApp.
    pub fn to_whatsapp(&self) -> Recipient {
        self.known.as_spelt(&self.given)
    }

    /// Its name among the settings that the account's devices share: the number, where that is known.
    pub fn in_settings(&self) -> Recipient {
        let number = self.known.person.phone.clone().map(Recipient::Phone);
        number.unwrap_or_else(|| self.given.clone())
    }

    /// The chat as the API shows it.
    pub fn view(&self) -> ChatView {
        ChatView::new(&self.known.chat, &self.known.person)
    }
}
