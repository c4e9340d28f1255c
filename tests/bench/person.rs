//! A person whom instances write to.

use sandbox::script::{Entry, NewPhone};
use sandbox::{Phone, Sandbox};

use crate::bare::after;

/// A person with a phone of its own.
pub struct Person {
    phone: Phone,
    /// How far its inbox was read.
    place: Option<String>,
}

impl Person {
    /// A new one.
    pub async fn new(sandbox: &Sandbox) -> Self {
        let phone = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        Self { phone, place: None }
    }

    /// The phone's number.
    pub fn number(&self) -> &str {
        self.phone.number()
    }

    /// What has come since this was asked last.
    pub async fn news(&mut self) -> Vec<Entry> {
        after(&self.phone, &mut self.place).await
    }
}
