//! In whose name something is asked of an instance: its user's, or that of whoever has a pairing link which a user has made.

use shared::domain::account::User;
use shared::domain::audit::{Action, Actor};
use shared::ids::InstanceId;
use shared::storage::rates::{Limit, Scope};

use crate::http::Record;

/// Codes that a user may ask for. Each makes a phone ring, which need not be the user's own.
const OF_A_USER: Limit = Limit::per_hour(20);

/// In whose name something is asked.
#[derive(Debug, Clone, Copy)]
pub struct Behalf<'a> {
    user: &'a User,
    by_link: bool,
}

impl<'a> Behalf<'a> {
    /// That of a user who is logged in.
    pub fn of(user: &'a User) -> Self {
        Self { user, by_link: false }
    }

    /// The user whose right it is.
    pub fn user(self) -> &'a User {
        self.user
    }

    /// What the audit log tells of it.
    pub fn record(self, action: Action) -> Record {
        let record = Record::by(self.user, action);
        if self.by_link {
            record.actor(Actor::Anonymous).detail("by", "pairing link")
        } else {
            record
        }
    }

    /// What counts the pairing codes that are asked for, and how many there may be.
    pub fn pairing_codes(self, _instance: InstanceId) -> (Scope, Limit) {
        (Scope::PairingCodes(self.user.id), OF_A_USER)
    }
}
