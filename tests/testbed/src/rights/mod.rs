//! What each function and the daemon may do on AWS: the policies of their roles in `template.yaml`. Stand-ins know no policies, so
//! a test compares with them the calls that a [`Relay`](crate::relay::Relay) has seen.
//!
//! `rights.json` is the template's, written by `.ci/template.py --rights`, which also checks that it still is. What is judged is what
//! identity-based policies say (AWS, "Policy evaluation logic"): some statement allows, and none denies.

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

/// What these calls ask for and the role may not do, as `auth may not dynamodb:PutItem of …/waxwing with sess#…`.
pub fn denied<'a>(role: Role, calls: impl IntoIterator<Item = &'a Call>) -> BTreeSet<String> {
    let asked = calls.into_iter().flat_map(asked::by);
    asked
        .filter(|asked| !role.may(asked))
        .map(|asked| format!("{} may not {asked}", role.as_str()))
        .collect()
}
