//! One fault on request: what goes wrong for whom, how often and until when.

use serde::{Deserialize, Serialize};

use super::kind::Fault;
use super::target::Target;
use crate::error::{Error, Result};

/// Which way a stanza goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From a client to the server.
    In,
    /// From the server to a client.
    Out,
}

/// One fault on request.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Whom it befalls.
    pub target: Target,
    /// What goes wrong.
    pub fault: Fault,
    /// How often it strikes at most; without it, until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How likely it strikes where it could, 0 to 1; without it, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// What `chance` is drawn from; the same seed and the same stanzas give the same strikes. Without it, the rule's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How late stanzas come, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The code of a refusal or an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Only stanzas with this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stanza: Option<String>,
    /// Only stanzas that go this way; without it, both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How long it is in force, in seconds of the network's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// How many messages a second a device may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// By how much the server's clock is ahead, in milliseconds; negative means behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<i64>,
}

/// A delay beyond this is a mistake: clients take a connection for dead long before.
const MAX_DELAY_MS: u64 = 10 * 60 * 1000;

/// Ten years: beyond that stamps leave the range that clients parse.
const MAX_SKEW_MS: i64 = 10 * 366 * 24 * 3600 * 1000;

impl Rule {
    /// `fault` for `target`, always, until it is deleted.
    pub fn new(target: Target, fault: Fault) -> Self {
        Self {
            target,
            fault,
            count: None,
            chance: None,
            seed: None,
            delay_ms: None,
            code: None,
            stanza: None,
            direction: None,
            seconds: None,
            per_second: None,
            skew_ms: None,
        }
    }

    /// Whether it happens when it is added, and is over then.
    pub(super) fn is_blow(&self) -> bool {
        match self.fault {
            Fault::LogOut | Fault::Restart => true,
            Fault::DropSocket | Fault::Replace | Fault::StreamError => self.stanza.is_none(),
            _ => false,
        }
    }

    pub(super) fn goes(&self, direction: Direction) -> bool {
        self.direction.is_none_or(|wanted| wanted == direction)
    }

    pub(super) fn concerns(&self, tag: &str) -> bool {
        self.stanza.as_deref().is_none_or(|wanted| wanted == tag)
    }

    /// Checks that the members make sense together.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the member and the rule.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::Invalid(message));
        let Target {
            phone,
            device,
            client,
            all,
        } = &self.target;
        if usize::from(phone.is_some()) + usize::from(client.is_some()) + usize::from(*all) != 1 {
            return invalid("`target` wants exactly one of `phone`, `client` and `all`".into());
        }
        if device.is_some() && phone.is_none() {
            return invalid("`target.device` goes with `target.phone`".into());
        }
        let name = self.fault.name();
        if self.fault.only_for_all() && !all {
            return invalid(format!("`target` of {name} is `all`"));
        }
        self.check_members(name)?;
        if self.count == Some(0) {
            return invalid("`count` is at least 1".into());
        }
        if self.chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return invalid("`chance` is from 0 to 1".into());
        }
        if self.seconds == Some(0) {
            return invalid("`seconds` is at least 1".into());
        }
        if self.delay_ms.is_some_and(|ms| ms > MAX_DELAY_MS) {
            return invalid(format!("`delayMs` is at most {MAX_DELAY_MS}"));
        }
        if self.skew_ms.is_some_and(|ms| ms.abs() > MAX_SKEW_MS) {
            return invalid(format!("`skewMs` is from -{MAX_SKEW_MS} to {MAX_SKEW_MS}"));
        }
        let codes = match self.fault {
            // The reason within a 402: WhatsApp's own numbers from 101 on.
            Fault::Ban => 100..=199,
            Fault::StreamError => 100..=599,
            _ => 400..=599,
        };
        if self.code.is_some_and(|code| !codes.contains(&code)) {
            return invalid(format!(
                "`code` of {name} is from {} to {}",
                codes.start(),
                codes.end()
            ));
        }
        Ok(())
    }

    fn check_members(&self, name: &str) -> Result<()> {
        let (required, optional) = self.fault.members();
        let given = [
            ("delayMs", self.delay_ms.is_some()),
            ("code", self.code.is_some()),
            ("stanza", self.stanza.is_some()),
            ("direction", self.direction.is_some()),
            ("perSecond", self.per_second.is_some()),
            ("skewMs", self.skew_ms.is_some()),
        ];
        for (member, given) in given {
            if given && !required.contains(&member) && !optional.contains(&member) {
                return Err(Error::Invalid(format!("`{member}` means nothing to {name}")));
            }
            if !given && required.contains(&member) {
                return Err(Error::Invalid(format!("{name} wants `{member}`")));
            }
        }
        if required.contains(&"seconds") && self.seconds.is_none() {
            return Err(Error::Invalid(format!("{name} wants `seconds`")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Rule> {
        let rule: Rule = serde_json::from_str(json).map_err(|error| Error::Invalid(error.to_string()))?;
        rule.check()?;
        Ok(rule)
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, named) in [
            (r#"{"target": {}, "fault": "lose"}"#, "`target`"),
            (
                r#"{"target": {"all": true, "phone": "1"}, "fault": "lose"}"#,
                "`target`",
            ),
            (
                r#"{"target": {"all": true, "device": 1}, "fault": "lose"}"#,
                "`target.device`",
            ),
            (
                r#"{"target": {"phone": "1"}, "fault": "skew-clock", "skewMs": 1}"#,
                "`target`",
            ),
            (r#"{"target": {"all": true}, "fault": "delay"}"#, "`delayMs`"),
            (r#"{"target": {"all": true}, "fault": "refuse"}"#, "`code`"),
            (
                r#"{"target": {"all": true}, "fault": "refuse", "code": 99}"#,
                "`code`",
            ),
            (r#"{"target": {"all": true}, "fault": "ban"}"#, "`seconds`"),
            (
                r#"{"target": {"all": true}, "fault": "mute", "delayMs": 1}"#,
                "`delayMs`",
            ),
            (
                r#"{"target": {"all": true}, "fault": "lose", "chance": 1.5}"#,
                "`chance`",
            ),
            (
                r#"{"target": {"all": true}, "fault": "lose", "count": 0}"#,
                "`count`",
            ),
            (
                r#"{"target": {"all": true}, "fault": "lose", "seconds": 0}"#,
                "`seconds`",
            ),
            (
                r#"{"target": {"all": true}, "fault": "lose", "direction": "up"}"#,
                "up",
            ),
            (
                r#"{"target": {"all": true}, "fault": "lose", "often": 1}"#,
                "often",
            ),
        ] {
            let error = parsed(json).expect_err(json).to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }
}
