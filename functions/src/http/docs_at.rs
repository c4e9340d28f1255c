//! Where an error is explained: on a page of the very deployment that answers it.

use axum::http::header;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use shared::config::LOCAL_URL;

/// Where the pages of errors are, below the address of the API.
pub const ERROR_PAGES: &str = "/docs/errors";

/// Longest name of a host (RFC 1035, 2.3.4), with a port.
const LONGEST_HOST: usize = 255 + 6;

/// Where this deployment explains its errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocsAt(String);

impl DocsAt {
    /// The pages at the address that is configured, else at the one that the request was sent to. That one is the caller's own
    /// word, and goes to this caller alone: no answer may be kept.
    pub fn of(configured: Option<&str>, request: &Parts) -> Self {
        match configured {
            Some(url) => Self(url.trim_end_matches('/').to_owned()),
            None => named_by(request).map_or_else(Self::local, Self),
        }
    }

    /// The pages of a local stack.
    pub fn local() -> Self {
        Self(LOCAL_URL.to_owned())
    }

    /// A path below the same address.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The page of a code.
    pub fn page_of(&self, code: &str) -> String {
        self.at(&format!("{ERROR_PAGES}/{code}"))
    }
}

/// The address that a request names as its own. API Gateway's requests have a whole URL.
fn named_by(request: &Parts) -> Option<String> {
    let host = match request.uri.authority() {
        Some(authority) => authority.clone(),
        None => request
            .headers
            .get(header::HOST)?
            .to_str()
            .ok()?
            .parse::<Authority>()
            .ok()?,
    };
    let is_a_host = host.as_str().len() <= LONGEST_HOST && !host.as_str().contains('@');
    let scheme = request.uri.scheme_str().filter(|scheme| *scheme == "https");
    is_a_host.then(|| format!("{}://{host}", scheme.unwrap_or("http")))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn page(configured: Option<&str>, uri: &str, host: Option<&str>) -> String {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let (parts, ()) = request.body(()).expect("well-formed").into_parts();
        DocsAt::of(configured, &parts).page_of("CONFLICT")
    }

    #[test]
    fn the_configured_address_comes_before_the_one_that_is_called() {
        for (configured, uri, host, expected) in [
            (
                Some("https://api.example.org/"),
                "/x",
                Some("evil.example"),
                "https://api.example.org",
            ),
            (None, "/x", Some("10.0.0.7:3000"), "http://10.0.0.7:3000"),
            (
                None,
                "https://abc.execute-api.eu-west-1.amazonaws.com/x",
                None,
                "https://abc.execute-api.eu-west-1.amazonaws.com",
            ),
            (None, "/x", None, "http://localhost:3000"),
            (None, "/x", Some("ada@example.org"), "http://localhost:3000"),
            (None, "/x", Some("no host"), "http://localhost:3000"),
        ] {
            assert_eq!(
                page(configured, uri, host),
                format!("{expected}/docs/errors/CONFLICT"),
                "{uri} {host:?}"
            );
        }
    }
}
