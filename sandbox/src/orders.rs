//! What a test can order the network to do to clients, besides what phones do.

use crate::Sandbox;
use crate::error::Result;
use crate::pairing;
use crate::server::refusals::{self, Refusal, StreamEnd};

impl Sandbox {
    /// Refuses the logins of `phone`'s companions until the refusal ends or is lifted. Those that are connected are
    /// disconnected, and meet it when they come back.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) for a phone that does not exist,
    /// [`Error::Invalid`](crate::Error::Invalid) for a refusal that cannot be.
    pub async fn refuse(&self, phone: &str, refusal: Refusal) -> Result<()> {
        let number = phone.to_owned();
        self.network
            .store
            .run(move |unit| refusals::set(unit, &number, &refusal))
            .await?;
        self.end_streams(Some(phone), StreamEnd::Closed);
        Ok(())
    }

    /// Lets `phone`'s companions log in again. `false` if nothing kept them out.
    ///
    /// # Errors
    /// The store's.
    pub async fn admit(&self, phone: &str) -> Result<bool> {
        let phone = phone.to_owned();
        self.network
            .store
            .run(move |unit| refusals::lift(unit, &phone))
            .await
    }

    /// Ends the streams of `phone`'s connected companions, or of all that are linked. Answers how many there were.
    pub fn end_streams(&self, phone: Option<&str>, how: StreamEnd) -> usize {
        let clients = self.network.registry.clients(phone);
        clients
            .iter()
            .inspect(|client| refusals::end(client, how))
            .count()
    }

    /// Tells all clients that show a QR code to replace the secret in it: codes shown so far stop working. Answers how
    /// many there were.
    pub fn rotate_qr_codes(&self) -> usize {
        let clients = self.network.registry.pairing_clients();
        clients
            .iter()
            .filter(|client| client.send(&pairing::rotation()).is_ok())
            .count()
    }
}
