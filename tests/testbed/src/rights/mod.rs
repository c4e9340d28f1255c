//! What each function and the daemon may do on AWS: the policies of their roles in `template.yaml`. Stand-ins know no policies, so tests
//! compare the policies with the calls that a [`Relay`](crate::relay::Relay) has seen.
//!
//! `rights.json` has the template's policies. `.ci/template.py --rights` writes it, and without the option checks that it is up to date. A
//! call is allowed as identity-based policies have it (AWS, "Policy evaluation logic"): some statement allows it, and none denies it.

mod asked;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use shared::config::Function;

use self::asked::Asked;
use crate::relay::Call;

/// Whose rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The function `auth`.
    Auth,
    /// The function `management`.
    Management,
    /// The function `messaging`.
    Messaging,
    /// The function `webhooks`.
    Webhooks,
    /// The daemon.
    Daemon,
}

impl From<Function> for Role {
    fn from(function: Function) -> Self {
        match function {
            Function::Auth => Self::Auth,
            Function::Management => Self::Management,
            Function::Messaging => Self::Messaging,
        }
    }
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Auth,
        Self::Management,
        Self::Messaging,
        Self::Webhooks,
        Self::Daemon,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Management => "management",
            Self::Messaging => "messaging",
            Self::Webhooks => "webhooks",
            Self::Daemon => "daemon",
        }
    }

    fn statements(self) -> &'static [Value] {
        static RIGHTS: LazyLock<Value> =
            LazyLock::new(|| serde_json::from_str(include_str!("rights.json")).expect("JSON"));
        RIGHTS[self.as_str()].as_array().expect("a list of statements")
    }

    fn may(self, asked: &Asked) -> bool {
        let effect_of = |effect: &str| {
            let statements = self.statements().iter();
            statements
                .filter(|statement| statement["effect"] == effect)
                .any(|statement| statement::is_about(statement, asked))
        };
        effect_of("Allow") && !effect_of("Deny")
    }
}

/// What these calls do and the role may not, as `auth may not dynamodb:PutItem of table/waxwing with sess#…`.
pub fn denied<'a>(role: Role, calls: impl IntoIterator<Item = &'a Call>) -> BTreeSet<String> {
    let asked = calls.into_iter().flat_map(asked::by);
    asked
        .filter(|asked| !role.may(asked))
        .map(|asked| format!("{} may not {asked}", role.as_str()))
        .collect()
}
