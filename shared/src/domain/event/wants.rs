//! Which events somebody has asked for.

use std::collections::BTreeSet;

use super::EventType;

/// The types of events that an instance's webhook wants. Nobody wants any until somebody says so.
///
/// Names that only a newer version knows are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants(BTreeSet<String>);

impl Wants {
    /// The name that stands for every type, those of newer versions too.
    pub const EVERYTHING: &str = "*";

    /// All events.
    pub fn everything() -> Self {
        Self::named([Self::EVERYTHING])
    }

    /// Events of these types alone.
    pub fn only(types: &[EventType]) -> Self {
        Self::named(types.iter().map(|kind| kind.as_str()))
    }

    /// Events of the types with these names.
    pub fn named<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether nothing is wanted.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether events of this type are wanted.
    pub fn wants(&self, kind: EventType) -> bool {
        self.0.contains(kind.as_str()) || self.0.contains(Self::EVERYTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wanted_until_somebody_says_so() {
        for kind in EventType::ALL {
            assert!(!Wants::default().wants(*kind), "{kind}");
            assert!(Wants::everything().wants(*kind), "{kind}");
        }
        let status = Wants::only(&[EventType::MessageStatus]);
        assert!(status.wants(EventType::MessageStatus) && !status.wants(EventType::MessageReceived));
        let newer = Wants::named(["message.levitated"]);
        assert!(!newer.wants(EventType::MessageStatus) && !newer.is_nothing());
        assert_eq!(newer.names().collect::<Vec<_>>(), ["message.levitated"]);
    }
}
