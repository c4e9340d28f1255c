//! Addresses as people type them.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// An `http` or `https` address. `localhost:4000/hook` is one of `http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is none at all.
    #[error("it is no address such as `localhost:4000/hook`")]
    Malformed,
    /// It is one of another protocol.
    #[error("it must be an address of `http` or `https`")]
    Protocol,
    /// It has a user name or a password, which would be shown and logged.
    #[error("it must have no user name and no password")]
    Credentials,
}

impl Address {
    /// The address as it is posted to.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// What is below this address at `path`, which begins with a slash.
    pub fn at(&self, path: &str) -> String {
        let mut base = self.0.clone();
        base.set_query(None);
        format!("{}{path}", base.as_str().trim_end_matches('/'))
    }

    /// Host and port, for words to people.
    pub fn place(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let url = if text.contains("://") {
            Url::parse(text)
        } else {
            Url::parse(&format!("http://{text}"))
        };
        let mut url = url.map_err(|_| InvalidAddress::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidAddress::Protocol);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidAddress::Credentials);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, InvalidAddress> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn an_address_without_a_protocol_is_one_of_http() {
        assert_eq!(
            read("localhost:4000/hook"),
            Ok("http://localhost:4000/hook".into())
        );
        assert_eq!(read("127.0.0.1:4000"), Ok("http://127.0.0.1:4000/".into()));
        assert_eq!(
            read("https://example.com/a?b=c"),
            Ok("https://example.com/a?b=c".into())
        );
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        assert_eq!(read(""), Err(InvalidAddress::Malformed));
        assert_eq!(read("localhost:port"), Err(InvalidAddress::Malformed));
        assert_eq!(read("ftp://localhost/hook"), Err(InvalidAddress::Protocol));
        assert_eq!(
            read("http://me:secret@localhost"),
            Err(InvalidAddress::Credentials)
        );
    }

    #[test]
    fn paths_are_below_the_address() {
        for base in ["http://127.0.0.1:9000/stage", "http://127.0.0.1:9000/stage/"] {
            let address: Address = base.parse().expect("an address");
            assert_eq!(address.at("/api"), "http://127.0.0.1:9000/stage/api");
        }
        let address: Address = "https://example.com".parse().expect("an address");
        assert_eq!(address.at("/api"), "https://example.com/api");
        assert_eq!(address.place(), "example.com:443");
    }
}
