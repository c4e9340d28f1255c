//! Faults on request, for tests of what a client does when the network misbehaves.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Messages are stored and relayed, but the server does not acknowledge them.
    HoldAcks,
    /// The sockets of the clients that are connected now are closed without a word.
    DropSocket,
}

/// Whose clients it befalls: those of one phone, or everyone's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// The number of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phone: Option<String>,
    /// Every account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) all: bool,
}

/// One fault in force.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) target: Target,
    pub(crate) fault: Fault,
    /// How often it still happens; without it, until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

/// The faults in force. They are part of a test, not of the network: a restart ends them.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    /// Puts a fault in force.
    pub(crate) fn add(&self, rule: Rule) {
        self.rules().push(rule);
    }

    /// The faults in force.
    pub(crate) fn list(&self) -> Vec<Rule> {
        self.rules().clone()
    }

    /// Ends all faults.
    pub(crate) fn clear(&self) {
        self.rules().clear();
    }

    /// Whether the acknowledgement of a message from `phone` is withheld; counts as one occurrence.
    pub(crate) fn holds_ack(&self, phone: &str) -> bool {
        let mut rules = self.rules();
        let hit = rules
            .iter_mut()
            .find(|rule| rule.fault == Fault::HoldAcks && rule.target.covers(phone));
        let Some(rule) = hit else { return false };
        if let Some(count) = &mut rule.count {
            *count = count.saturating_sub(1);
        }
        rules.retain(|rule| rule.count != Some(0));
        true
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    fn covers(&self, phone: &str) -> bool {
        self.all || self.phone.as_deref() == Some(phone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_ends_by_itself() {
        let faults = Faults::default();
        let target = Target {
            phone: Some("155501000001".into()),
            all: false,
        };
        faults.add(Rule {
            target,
            fault: Fault::HoldAcks,
            count: Some(2),
        });
        assert!(!faults.holds_ack("155501000002"));
        assert!(faults.holds_ack("155501000001"));
        assert!(faults.holds_ack("155501000001"));
        assert!(!faults.holds_ack("155501000001"));
        assert!(faults.list().is_empty());
    }
}
