//! The headers that a customer has us send along, such as a token of its own.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most headers of a webhook.
pub const MAX_HEADERS: usize = 20;

/// The longest name, in characters.
pub const MAX_HEADER_NAME: usize = 64;

/// The longest value, in characters.
pub const MAX_HEADER_VALUE: usize = 1_024;

/// Names that a customer may not choose: those that say how the request is carried (RFC 9110, 7.6.1, and RFC 9112), what
/// it is, or by whom it is made. Those that begin with `webhook-` or `proxy-` are not to be had either.
pub const FORBIDDEN_HEADERS: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Beginnings of such names.
const FORBIDDEN_BEGINNINGS: [&str; 2] = ["proxy-", "webhook-"];

/// Why a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Its name is none.
    #[error("must have a name of 1 to {MAX_HEADER_NAME} letters, digits or any of !#$%&'*+-.^_`|~")]
    Name,
    /// It is one that we send ourselves.
    #[error("is a header that Waxwing or the connection sets itself")]
    Forbidden,
    /// Its value is none.
    #[error("must be text of at most {MAX_HEADER_VALUE} printable ASCII characters, without space around it")]
    Value,
    /// The name is there already, in another case.
    #[error("is there twice: names are the same in upper and lower case")]
    Twice,
    /// There are too many.
    #[error("must be {MAX_HEADERS} headers or fewer")]
    TooMany,
}

/// Headers by their names in lower case.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Adds a header.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !(1..=MAX_HEADER_NAME).contains(&name.len()) || !name.bytes().all(is_token) {
            return Err(InvalidHeader::Name);
        }
        let name = name.to_ascii_lowercase();
        let is_forbidden = FORBIDDEN_HEADERS.contains(&&*name)
            || FORBIDDEN_BEGINNINGS
                .iter()
                .any(|beginning| name.starts_with(beginning));
        if is_forbidden {
            return Err(InvalidHeader::Forbidden);
        }
        let is_text = value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value;
        if value.len() > MAX_HEADER_VALUE || !is_text {
            return Err(InvalidHeader::Value);
        }
        if self.0.contains_key(&name) {
            return Err(InvalidHeader::Twice);
        }
        if self.0.len() >= MAX_HEADERS {
            return Err(InvalidHeader::TooMany);
        }
        self.0.insert(name, value.to_owned());
        Ok(())
    }

    /// Names, in lower case, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The names, in lower case.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Values are secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(name: &str, value: &str) -> Result<(), InvalidHeader> {
        Headers::default().add(name, value)
    }

    #[test]
    fn a_header_that_a_customer_needs_is_taken() {
        let mut headers = Headers::default();
        headers.add("Authorization", "Bearer x y").expect("fine");
        headers.add("X-Shop_1", "").expect("fine");
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("authorization", "Bearer x y"), ("x-shop_1", "")]);
        assert_eq!(headers.add("AUTHORIZATION", "z"), Err(InvalidHeader::Twice));
        assert_eq!(format!("{headers:?}"), r#"{"authorization", "x-shop_1"}"#);
    }

    #[test]
    fn what_would_change_the_request_is_refused() {
        for name in FORBIDDEN_HEADERS {
            assert_eq!(
                added(&name.to_uppercase(), "x"),
                Err(InvalidHeader::Forbidden),
                "{name}"
            );
        }
        for name in ["Webhook-Id", "webhook-", "Proxy-Authorization"] {
            assert_eq!(added(name, "x"), Err(InvalidHeader::Forbidden), "{name}");
        }
        for name in ["", "a b", "a:b", "a\r\nb", "ä", &"a".repeat(65)] {
            assert_eq!(added(name, "x"), Err(InvalidHeader::Name), "{name}");
        }
        for value in [
            " x",
            "x ",
            "a\r\nHost: b",
            "a\tb",
            "ä",
            "\u{7f}",
            &"a".repeat(1_025),
        ] {
            assert_eq!(added("x-a", value), Err(InvalidHeader::Value), "{value:?}");
        }
        assert!(added(&"a".repeat(64), &"a".repeat(1_024)).is_ok());
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let mut headers = Headers::default();
        for number in 0..MAX_HEADERS {
            headers.add(&format!("x-{number}"), "x").expect("fine");
        }
        assert_eq!(headers.add("x-more", "x"), Err(InvalidHeader::TooMany));
    }
}
