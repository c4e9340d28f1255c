//! `X-Request-Id`: the caller's own if it is well-formed, so that both sides' logs name a request alike; else one of
//! ours.

use axum::http::{HeaderMap, HeaderName};
use chrono::{DateTime, Utc};
use shared::ids::RequestId;

/// The header's name.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a caller.
const LONGEST: usize = 128;

/// The request's id. It goes into logs, so only plain characters are taken from a caller.
pub fn of(headers: &HeaderMap, now: DateTime<Utc>) -> String {
    let own = headers.get(HEADER).and_then(|value| value.to_str().ok());
    match own {
        Some(own) if is_well_formed(own) => own.to_owned(),
        _ => RequestId::new(now).to_string(),
    }
}

fn is_well_formed(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_is_kept_and_any_other_replaced() {
        let taken = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, id.parse().expect("a header value"));
            of(&headers, DateTime::UNIX_EPOCH)
        };
        assert_eq!(taken("order-42:retry.1"), "order-42:retry.1");
        for id in ["", "two words", "<script>", &"x".repeat(129)] {
            assert!(taken(id).starts_with("req_"), "{id}");
        }
    }
}
