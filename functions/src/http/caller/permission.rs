//! Scopes as types: a handler's signature says which one its route needs.

use std::marker::PhantomData;

use shared::auth::api_key::Scope;

/// A scope that a route needs.
pub trait Permission: Send + Sync + 'static {
    /// Which one.
    const SCOPE: Scope;

    /// Whether the route needs the key's instance as well, which is then read with the key.
    const WITH_INSTANCE: bool = false;
}

/// The scope `P`, on a route that needs the key's instance as well.
#[derive(Debug, Clone, Copy)]
pub struct WithInstance<P>(PhantomData<P>);

impl<P: Permission> Permission for WithInstance<P> {
    const SCOPE: Scope = P::SCOPE;
    const WITH_INSTANCE: bool = true;
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
