//! In whose name something is asked of an instance: its user's, or that of whoever has a pairing link which a user has made.

use shared::domain::account::User;
use shared::domain::audit::{Action, Actor};
use shared::ids::InstanceId;
use shared::storage::rates::{Limit, Scope};

use crate::http::Record;

/// Codes that a user may ask for. Each makes a phone ring, which need not be the user's own.
const OF_A_USER: Limit = Limit::per_hour(20);

/// What whoever has an instance's pairing link may ask of it: QR codes, pairing codes and answers to a request for a passkey. A
/// link that gets into wrong hands uses up nothing of its maker's own.
const OF_A_LINK: Limit = Limit::per_hour(20);

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

    /// That of whoever has a pairing link which this user has made.
    pub fn of_link(user: &'a User) -> Self {
        Self { user, by_link: true }
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
    pub fn pairing_codes(self, instance: InstanceId) -> (Scope, Limit) {
        self.link_limit(instance)
            .unwrap_or((Scope::PairingCodes(self.user.id), OF_A_USER))
    }

    /// What counts what a link's holder asks of an instance, where it is one who asks.
    pub fn link_limit(self, instance: InstanceId) -> Option<(Scope, Limit)> {
        self.by_link
            .then_some((Scope::PairingByLink(instance), OF_A_LINK))
    }
}
