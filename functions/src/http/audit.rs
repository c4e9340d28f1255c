//! Writing the audit log: an entry has what a handler tells, and what the request itself tells.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Display;
use std::net::IpAddr;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use shared::domain::account::User;
use shared::domain::audit::{Action, Actor, Entry, Outcome};
use shared::ids::{AuditId, SubscriptionId};

use super::context::RequestContext;
use super::log;
use super::source_address::source_address;
use crate::state::Base;

/// The traces of a request: where it comes from and its id.
#[derive(Debug, Clone)]
pub struct Trail {
    source: Option<IpAddr>,
    request: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Trail
where
    Base: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts, &Base::from_ref(state)))
    }
}

/// What a handler tells of.
#[derive(Debug, Clone)]
pub struct Record {
    subscription: Option<SubscriptionId>,
    actor: Actor,
    action: Action,
    outcome: Outcome,
    target: Option<String>,
    details: BTreeMap<String, String>,
}

impl Record {
    /// Something that a user did in a subscription.
    pub fn by(user: &User, action: Action) -> Self {
        Self {
            subscription: Some(user.subscription),
            actor: Actor::User(user.id),
            ..Self::anonymous(action)
        }
    }

    /// Something that somebody unknown did, about no subscription that is known.
    pub fn anonymous(action: Action) -> Self {
        Self {
            subscription: None,
            actor: Actor::Anonymous,
            action,
            outcome: Outcome::Success,
            target: None,
            details: BTreeMap::new(),
        }
    }

    /// The same about this subscription, where it is not the actor's own.
    #[must_use]
    pub fn of(self, subscription: SubscriptionId) -> Self {
        Self {
            subscription: Some(subscription),
            ..self
        }
    }

    /// The same by another actor.
    #[must_use]
    pub fn actor(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// The same on this thing.
    #[must_use]
    pub fn on(self, target: impl Display) -> Self {
        Self {
            target: Some(target.to_string()),
            ..self
        }
    }

    /// The same with another outcome.
    #[must_use]
    pub fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// The same with one more detail. Never a secret, content or a phone number.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Display) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }
}

impl Record {
    /// The same with what changed.
    #[must_use]
    pub fn changes(mut self, changes: Changes) -> Self {
        self.details.extend(changes.values);
        let fields = if changes.fields.is_empty() {
            "none".to_owned()
        } else {
            changes.fields.join(", ")
        };
        self.detail("fields", fields)
    }
}

/// The members that a change has changed. The entry's `fields` names them. For members whose values may be told,
/// `<member>.from` and `<member>.to` have the old and the new value.
#[derive(Debug, Default)]
pub struct Changes {
    fields: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Changes {
    /// Notes a member where its value has changed.
    #[must_use]
    pub fn value<T: PartialEq + Display>(self, field: &str, before: &T, after: &T) -> Self {
        self.text(field, &before.to_string(), &after.to_string())
    }

    /// The same for a member that may have no value.
    #[must_use]
    pub fn option<T: Display>(self, field: &str, before: Option<T>, after: Option<T>) -> Self {
        let text = |value: Option<T>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        self.text(field, &text(before), &text(after))
    }

    /// The same for a member with several values.
    #[must_use]
    pub fn list<T: Display>(
        self,
        field: &str,
        before: impl IntoIterator<Item = T>,
        after: impl IntoIterator<Item = T>,
    ) -> Self {
        let text = |values: Vec<String>| {
            if values.is_empty() {
                "none".to_owned()
            } else {
                values.join(", ")
            }
        };
        let before = before.into_iter().map(|value| value.to_string()).collect();
        let after = after.into_iter().map(|value| value.to_string()).collect();
        self.text(field, &text(before), &text(after))
    }

    /// Notes which of a customer's own strings have changed, but not their values.
    #[must_use]
    pub fn names(
        mut self,
        field: &str,
        before: &BTreeMap<String, String>,
        after: &BTreeMap<String, String>,
    ) -> Self {
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed = names
            .into_iter()
            .filter(|name| before.get(*name) != after.get(*name));
        self.fields.extend(changed.map(|name| format!("{field}.{name}")));
        self
    }

    /// Notes a member that was changed, but not its values.
    #[must_use]
    pub fn kept(mut self, field: &str, is_changed: bool) -> Self {
        if is_changed {
            self.fields.push(field.to_owned());
        }
        self
    }

    fn text(mut self, field: &str, before: &str, after: &str) -> Self {
        if before != after {
            self.fields.push(field.to_owned());
            self.values.insert(format!("{field}.from"), before.to_owned());
            self.values.insert(format!("{field}.to"), after.to_owned());
        }
        self
    }
}

impl Trail {
    /// The traces of this request.
    pub(crate) fn of(parts: &Parts, state: &Base) -> Self {
        let context = parts.extensions.get::<RequestContext>();
        Self {
            source: source_address(parts, state.trusted_proxies),
            request: context.map(|context| context.id().to_owned()),
        }
    }

    /// Where the request comes from.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Appends to the audit log. The entry tells of something done, so a store that fails now does not fail the
    /// request: the entry goes to the log instead, as an error.
    pub async fn record(&self, state: &Base, record: Record) {
        let at = state.clock.now();
        let entry = Entry {
            id: AuditId::new(at),
            at,
            subscription: record.subscription,
            actor: record.actor,
            action: record.action,
            target: record.target,
            outcome: record.outcome,
            source: self.source,
            request: self.request.clone(),
            details: record.details,
        };
        log::audited(&entry);
        if let Err(error) = state.audit.append(&entry).await {
            log::not_audited(&entry, &error);
        }
    }
}
