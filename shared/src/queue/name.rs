//! A queue's name.

use std::fmt;

use super::QueueError;

const FIFO_SUFFIX: &str = ".fifo";
/// SQS's limit, the suffix included.
const MAX_LENGTH: usize = 80;

/// The name of a queue, by SQS's rules: 1 to 80 letters, digits, `-` and `_`; FIFO queues end in `.fifo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(String);

impl QueueName {
    /// Checks a name; [`QueueError::Invalid`] when it breaks a rule.
    pub fn new(name: impl Into<String>) -> Result<Self, QueueError> {
        let name = name.into();
        let stem = name.strip_suffix(FIFO_SUFFIX).unwrap_or(&name);
        let fits = !stem.is_empty() && name.len() <= MAX_LENGTH;
        if fits
            && stem
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            Ok(Self(name))
        } else {
            Err(QueueError::invalid(format!("`{name}` is no queue name")))
        }
    }

    /// Whether the queue keeps order and deduplicates.
    pub fn is_fifo(&self) -> bool {
        self.0.ends_with(FIFO_SUFFIX)
    }

    /// The name as the service knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_sqs() {
        assert!(QueueName::new("waxwing-live-sends-0.fifo").unwrap().is_fifo());
        assert!(!QueueName::new("waxwing-live-queries-0").unwrap().is_fifo());
        for bad in ["", ".fifo", "a.b", "a.fifo.fifo", "a b", "ä", &"x".repeat(81)] {
            assert!(
                matches!(QueueName::new(bad), Err(QueueError::Invalid(_))),
                "{bad}"
            );
        }
    }
}
