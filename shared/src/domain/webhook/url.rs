//! Where a webhook leads.

use std::fmt;

use crate::reach::{MAX_URL, Reach, RefusedUrl};

/// Why a webhook may not lead there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    /// It is no URL.
    #[error("must be a whole URL, such as https://example.com/waxwing")]
    Malformed,
    /// The place of its host is empty.
    #[error("must name a host, as https://example.com/waxwing does")]
    NoHost,
    /// It is too long.
    #[error("must have at most {MAX_URL} bytes")]
    TooLong,
    /// Its scheme is another.
    #[error("must begin with https://")]
    Scheme,
    /// The same where `http` is fine as well.
    #[error("must begin with https:// or http://")]
    EitherScheme,
    /// It has a name or a password in it.
    #[error("must have no user name and no password: send those in `headers`")]
    UserInfo,
    /// It has a fragment, which no server sees.
    #[error("must have no fragment (`#`)")]
    Fragment,
    /// Its port is one of another protocol.
    #[error("must have the port 80, 443, or one above 1023")]
    Port,
    /// Its host is an address of a private network, or one for special use.
    #[error("must lead to an address of the internet: `localhost` and private networks are out of reach")]
    Address,
    /// The same where this machine is in reach.
    #[error(
        "must lead to an address of the internet or to this machine (`localhost`): private networks are out of reach"
    )]
    LocalAddress,
}

impl InvalidWebhookUrl {
    /// Why a URL that is refused so may be none of a webhook, where this is in reach.
    const fn of(refused: RefusedUrl, reach: Reach) -> Self {
        match refused {
            RefusedUrl::Malformed => Self::Malformed,
            RefusedUrl::NoHost => Self::NoHost,
            RefusedUrl::TooLong => Self::TooLong,
            RefusedUrl::Scheme if reach.is_local() => Self::EitherScheme,
            RefusedUrl::Scheme => Self::Scheme,
            RefusedUrl::Port => Self::Port,
            RefusedUrl::Address if reach.is_local() => Self::LocalAddress,
            RefusedUrl::Address => Self::Address,
        }
    }
}

/// The URL of a webhook, as it is called.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Reads a URL that a customer names. Odd spellings of an address are read as browsers read them. What a name leads to
    /// shows when it is connected to. Where this machine's own addresses are in reach, `http` is fine as well: then the
    /// deployment is one for tests.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, InvalidWebhookUrl> {
        let refused = |refused| InvalidWebhookUrl::of(refused, reach);
        let url = crate::reach::parse(text).map_err(refused)?;
        if url.scheme() != "https" && !reach.is_local() {
            return Err(InvalidWebhookUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidWebhookUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidWebhookUrl::Fragment);
        }
        reach.check(&url).map_err(refused)?;
        if url.as_str().len() > MAX_URL {
            return Err(InvalidWebhookUrl::TooLong);
        }
        Ok(Self(url.into()))
    }

    /// One that was parsed before, and stored.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// It may hold a token.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookUrl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERNET: Reach = Reach::INTERNET;
    const ANYWHERE: Reach = Reach::PRIVATE;

    #[test]
    fn a_url_of_the_internet_is_taken_as_it_is_called() {
        let url = WebhookUrl::parse("https://EXAMPLE.com:8443/a b?c=%2B", INTERNET).expect("fine");
        assert_eq!(url.as_str(), "https://example.com:8443/a%20b?c=%2B");
        assert_eq!(format!("{url:?}"), "WebhookUrl");
    }

    #[test]
    fn a_url_is_refused_by_its_rule() {
        for (text, refused) in [
            ("", InvalidWebhookUrl::Malformed),
            ("example.com/hook", InvalidWebhookUrl::Malformed),
            ("//example.com/hook", InvalidWebhookUrl::Malformed),
            ("https://", InvalidWebhookUrl::NoHost),
            ("https:///hook", InvalidWebhookUrl::NoHost),
            ("ftp://example.com/hook", InvalidWebhookUrl::Scheme),
            ("http://example.com/hook", InvalidWebhookUrl::Scheme),
            ("https://ada@example.com/", InvalidWebhookUrl::UserInfo),
            ("https://:word@example.com/", InvalidWebhookUrl::UserInfo),
            ("https://example.com/#part", InvalidWebhookUrl::Fragment),
            ("https://example.com/#", InvalidWebhookUrl::Fragment),
            ("https://example.com:22/", InvalidWebhookUrl::Port),
        ] {
            assert_eq!(WebhookUrl::parse(text, INTERNET), Err(refused), "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        assert_eq!(
            WebhookUrl::parse(&long, INTERNET),
            Err(InvalidWebhookUrl::TooLong)
        );
        // A space takes three bytes when it is called.
        let longer = format!("https://example.com/{}x", " ".repeat(MAX_URL / 2));
        assert_eq!(
            WebhookUrl::parse(&longer, INTERNET),
            Err(InvalidWebhookUrl::TooLong)
        );
    }

    #[test]
    fn what_is_refused_where_this_machine_is_in_reach_says_so() {
        for (text, refused) in [
            ("ftp://example.com/hook", InvalidWebhookUrl::EitherScheme),
            ("http://10.0.0.1:4000/hook", InvalidWebhookUrl::LocalAddress),
            ("http://0.0.0.0:4000/hook", InvalidWebhookUrl::LocalAddress),
        ] {
            let parsed = WebhookUrl::parse(text, Reach::LOOPBACK);
            assert_eq!(parsed, Err(refused), "{text}");
        }
    }

    #[test]
    fn a_private_address_is_refused_in_every_spelling_unless_the_deployment_has_them_in_reach() {
        for host in [
            "127.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f.1",
            "127.1",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "10.0.0.1",
            "169.254.169.254",
            "localhost",
            "LOCALHOST.",
            "hook.localhost",
        ] {
            let text = format!("https://{host}/hook");
            let refused = WebhookUrl::parse(&text, INTERNET);
            assert_eq!(refused, Err(InvalidWebhookUrl::Address), "{text}");
            for scheme in ["http", "https"] {
                let text = format!("{scheme}://{host}:4000/hook");
                assert!(WebhookUrl::parse(&text, ANYWHERE).is_ok(), "{text}");
            }
        }
    }
}
