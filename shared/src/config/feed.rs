//! Where browsers reach the realtime feed, as far as a page must be told.

use url::Url;

use super::{ConfigError, Lookup, problem};

const VARIABLE: &str = "WAXWING_REALTIME_URL";

/// The path of the feed.
const PATH: &str = "/socket.io/";

/// Where the realtime feed is, for a page of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedAddress {
    /// On the host of the page.
    OwnHost,
    /// On another one: `ws` or `wss`, host and port.
    Host(String),
}

impl FeedAddress {
    /// What a page opens: a path, or a URL.
    pub fn url(&self) -> String {
        match self {
            Self::OwnHost => PATH.to_owned(),
            Self::Host(origin) => format!("{origin}{PATH}"),
        }
    }
}

pub(super) fn read(get: Lookup<'_>) -> Result<Option<FeedAddress>, ConfigError> {
    let Some(text) = get(VARIABLE) else {
        return Ok(None);
    };
    if text == "/" {
        return Ok(Some(FeedAddress::OwnHost));
    }
    let rule = || {
        problem(
            VARIABLE,
            "must be `/` or a URL of a scheme and a host, such as `https://feed.example.com`",
        )
    };
    let url: Url = text.parse().map_err(|_| rule())?;
    let scheme = match url.scheme() {
        "https" | "wss" => "wss",
        "http" | "ws" => "ws",
        _ => return Err(rule()),
    };
    let Some(host) = url.host_str().filter(|host| is_bare(&url) && is_plain(host)) else {
        return Err(rule());
    };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Ok(Some(FeedAddress::Host(format!("{scheme}://{host}{port}"))))
}

/// Whether a URL names no more than a host: what else it had would be lost.
fn is_bare(url: &Url) -> bool {
    url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Whether a host may stand in a policy, in which spaces, commas and semicolons part one thing from another.
fn is_plain(host: &str) -> bool {
    host.chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-[]:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<FeedAddress>, ConfigError> {
        read(&|_| Some(text.to_owned()))
    }

    #[test]
    fn the_feed_is_on_the_own_host_or_on_another() {
        assert!(matches!(read(&|_| None), Ok(None)));
        for (text, url) in [
            ("/", "/socket.io/"),
            ("https://feed.example.com", "wss://feed.example.com/socket.io/"),
            ("wss://feed.example.com/", "wss://feed.example.com/socket.io/"),
            ("http://localhost:3002", "ws://localhost:3002/socket.io/"),
        ] {
            let read = of(text).expect("an address").expect("one");
            assert_eq!(read.url(), url, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "feed.example.com",
            "ftp://feed.example.com",
            "https://feed.example.com/socket.io",
            "https://feed.example.com?x",
            "https://ada@feed.example.com",
            "https://a.example;script-src",
            "https://a.example,b.example",
            "https://a.example b",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
