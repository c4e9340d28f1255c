//! Times as callers see them, in answers and in events: RFC 3339 in UTC with milliseconds. By itself `chrono` writes as many
//! decimals as a time has, none or nine, and not every client reads nine.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize as _, Serializer};

/// The text of a time.
pub fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Writes a member that is a time.
pub(crate) fn told<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*at))
}

/// Writes a member that is a time or `null`.
#[expect(clippy::ref_option, reason = "serde calls it with a reference to the member")]
pub(crate) fn told_if_any<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    at.map(text).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_time_has_three_decimals_whatever_it_is_measured_in() {
        let at = |nanoseconds| text(DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(nanoseconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(412_000_000), "1970-01-01T00:00:00.412Z");
        assert_eq!(at(1_999_999_999), "1970-01-01T00:00:01.999Z");
    }
}
