//! Scopes as types: a handler's signature says which one its route needs.

use shared::auth::api_key::Scope;

/// A scope that a route needs.
pub trait Permission: Send + Sync + 'static {
    /// Which one.
    const SCOPE: Scope;
}

macro_rules! permissions {
    ($($name:ident,)+) => {$(
        #[doc = concat!("The scope [`Scope::", stringify!($name), "`].")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Permission for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )+};
}

permissions! {
    MessagesSend,
    MessagesRead,
    MediaWrite,
    MediaRead,
    ContactsRead,
    ContactsWrite,
    GroupsRead,
    GroupsWrite,
    PresenceWrite,
    StatsRead,
    InstanceRead,
    WebhookRead,
    WebhookWrite,
}
