//! Keys of subscriptions, of their users and invitations, of logins and of the audit log.

use chrono::NaiveDate;

use super::Key;
use crate::domain::account::EmailAddress;
use crate::domain::instance::InstanceName;
use crate::ids::{AuditId, InstanceId, SubscriptionId, UserId};

/// A subscription.
pub fn subscription(id: SubscriptionId) -> Key {
    Key::new(format!("sub#{id}"), "meta")
}

/// The sort keys of a subscription's references to its instances begin with this.
pub const INSTANCE_REFERENCE_PREFIX: &str = "inst#";

/// A subscription's reference to one of its instances.
pub fn instance_reference(subscription: SubscriptionId, instance: InstanceId) -> Key {
    Key::new(
        format!("sub#{subscription}"),
        format!("{INSTANCE_REFERENCE_PREFIX}{instance}"),
    )
}

/// The item that holds an instance's name unique within its subscription.
pub fn instance_name(subscription: SubscriptionId, name: &InstanceName) -> Key {
    Key::new(format!("sub#{subscription}"), format!("name#{name}"))
}

/// The sort keys of a subscription's users begin with this.
pub const USER_PREFIX: &str = "user#";

/// A user.
pub fn user(subscription: SubscriptionId, id: UserId) -> Key {
    Key::new(format!("sub#{subscription}"), format!("{USER_PREFIX}{id}"))
}

/// The sort keys of a subscription's invitations begin with this.
pub const INVITATION_PREFIX: &str = "invite#";

/// An invitation into a subscription, by the id that its user will have.
pub fn invitation(subscription: SubscriptionId, id: UserId) -> Key {
    Key::new(format!("sub#{subscription}"), format!("{INVITATION_PREFIX}{id}"))
}

/// The item that keeps an e-mail address from being invited into a subscription twice at a time.
pub fn invited_address(subscription: SubscriptionId, address: &EmailAddress) -> Key {
    Key::new(
        format!("sub#{subscription}"),
        format!("invited#{}", address.canonical()),
    )
}

/// The item that leads to an invitation into whichever subscription.
pub fn invitation_reference(id: UserId) -> Key {
    Key::new(format!("invite#{id}"), "invite")
}

/// The item that holds an e-mail address unique, however it is written.
pub fn email(address: &EmailAddress) -> Key {
    Key::new(format!("email#{}", address.canonical()), "email")
}

/// A session, by its name.
pub fn session(name: &str) -> Key {
    Key::new(format!("session#{name}"), "session")
}

/// The count of a rate limit's window of `length` seconds that begins at `begin` (Unix
/// seconds).
pub fn rate(scope: &str, length: i64, begin: i64) -> Key {
    Key::new(format!("rate#{scope}"), format!("{length}#{begin}"))
}

/// Failed logins of an account, from a network or altogether, of an address or a session.
pub fn lockout(scope: &str) -> Key {
    Key::new(format!("lock#{scope}"), "lock")
}

/// A code sent by e-mail, by its hash.
pub fn mail_code(hash: &str) -> Key {
    Key::new(format!("code#{hash}"), "code")
}

/// The partition of a subscription's audit entries of one day (UTC), or of those that
/// belong to none.
pub fn audit_partition(subscription: Option<SubscriptionId>, day: NaiveDate) -> String {
    match subscription {
        Some(id) => format!("audit#{id}#{day}"),
        None => format!("audit#none#{day}"),
    }
}

/// An entry of the audit log.
pub fn audit(subscription: Option<SubscriptionId>, id: AuditId) -> Key {
    Key::new(
        audit_partition(subscription, id.created_at().date_naive()),
        id.to_string(),
    )
}
