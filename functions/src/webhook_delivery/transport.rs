//! One attempt: a signed request to an endpoint, and how that answers.
//!
//! An endpoint is somebody else's, and may do anything. So all of an attempt has one deadline, redirects are not followed, no
//! address is connected to that is not within reach ([`shared::reach`]), and of what it answers the status and one header are
//! read. Each attempt has a connection of its own: one that an endpoint closes after an answer would end the next attempt in a
//! way of which nobody can tell whether it arrived.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use shared::reach::client::{self, Lookup, System};
use shared::reach::{Reach, RefusedUrl};
use tokio::time::Instant;

/// How long an attempt may take: look-up, connection, TLS, request and the answer's head.
const DEADLINE: Duration = Duration::from_secs(15);

/// For how long an answer's body is read. It says nothing to us; an endpoint that may end its answer writes no error into its
/// log.
const LINGER: Duration = Duration::from_millis(500);

/// How much of it is read, in bytes.
const LINGER_BYTES: usize = 4 * 1_024;

/// How attempts are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How far they may reach.
    pub reach: Reach,
    /// Who says where names lead.
    pub lookup: Arc<dyn Lookup>,
    /// How long one may take.
    pub deadline: Duration,
    /// The root certificates (PEM) that are believed in the place of the system's.
    pub roots: Option<String>,
}

impl Settings {
    /// The usual ones with this reach.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            lookup: Arc::new(System),
            deadline: DEADLINE,
            roots: None,
        }
    }
}

/// What is sent, and where to.
#[derive(Debug)]
pub struct Request<'a> {
    /// The endpoint.
    pub url: &'a str,
    /// What its customer has us send along; names and values were checked when they were set.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Ours, the signature among them.
    pub signed: Vec<(&'static str, String)>,
    /// The event.
    pub body: Bytes,
}

/// How an attempt went.
#[derive(Debug)]
pub struct Tried {
    /// What came of it.
    pub end: Result<Answer, Missed>,
    /// How long it took.
    pub took: Duration,
}

/// What an endpoint answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// How long it asks us to wait, where it does.
    pub retry_after: Option<TimeDelta>,
}

impl Answer {
    /// Whether it has the event.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Why an endpoint has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It, or each address of its name, is out of reach.
    Refused(RefusedUrl),
    /// Not in time.
    Late,
    /// Its name leads nowhere.
    Unnamed,
    /// Nobody took the connection.
    Unreached,
    /// It has no certificate that is believed, or speaks no TLS.
    Tls,
    /// The connection ended before the answer.
    Broken,
    /// What came is no HTTP, or more than any answer's head has.
    NoHttp,
    /// It is our own fault: this process or machine has no files left. Nothing was tried.
    Ours,
}

/// Makes attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transport {
    client: Client,
    settings: Settings,
}

impl Transport {
    /// A transport with these settings.
    pub fn new(settings: Settings) -> reqwest::Result<Self> {
        let roots = settings.roots.as_deref();
        let client = client::builder_over(settings.reach, roots, Arc::clone(&settings.lookup))?
            .http1_only()
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, settings })
    }

    /// Sends a request, once.
    pub async fn send(&self, request: Request<'_>, now: DateTime<Utc>) -> Tried {
        let began = Instant::now();
        let end = match tokio::time::timeout(self.settings.deadline, self.post(request)).await {
            Ok(Ok(response)) => {
                let answer = Answer {
                    status: response.status().as_u16(),
                    retry_after: retry_after(response.headers(), now),
                };
                let took = began.elapsed();
                linger(response, LINGER.min(self.settings.deadline.saturating_sub(took))).await;
                return Tried {
                    end: Ok(answer),
                    took,
                };
            }
            Ok(Err(missed)) => Err(missed),
            Err(_) => Err(Missed::Late),
        };
        Tried {
            end,
            took: began.elapsed(),
        }
    }

    async fn post(&self, request: Request<'_>) -> Result<Response, Missed> {
        let url = self.settings.reach.url(request.url).map_err(Missed::Refused)?;
        let mut headers = HeaderMap::new();
        let ours = request.signed.iter().map(|(name, value)| (*name, &**value));
        for (name, value) in request.headers.into_iter().chain(ours) {
            // Each was checked when it was set, so none is left out.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = self.client.post(url).headers(headers).body(request.body);
        request.send().await.map_err(|error| sorted(&error))
    }
}

/// Reads a little of a body and drops the rest, with its connection.
async fn linger(mut response: Response, for_at_most: Duration) {
    let reading = async {
        let mut left = LINGER_BYTES;
        while left > 0 {
            match response.chunk().await {
                Ok(Some(chunk)) => left = left.saturating_sub(chunk.len()),
                Ok(None) | Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(for_at_most, reading).await;
}

/// What `Retry-After` says: a number of seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => TimeDelta::seconds(seconds.into()),
        Err(_) => DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now,
    };
    Some(wait.max(TimeDelta::zero()))
}

fn sorted(error: &reqwest::Error) -> Missed {
    if let Some(refused) = client::refused(error) {
        return Missed::Refused(refused);
    }
    let causes = || std::iter::successors(error.source(), |error| (*error).source());
    if causes().any(is_ours) {
        Missed::Ours
    } else if client::is_unnamed(error) {
        Missed::Unnamed
    } else if causes().any(is_tls) {
        Missed::Tls
    } else if error.is_timeout() {
        Missed::Late
    } else if error.is_connect() {
        Missed::Unreached
    } else if causes().any(is_no_http) {
        Missed::NoHttp
    } else {
        Missed::Broken
    }
}

fn is_no_http(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(hyper::Error::is_parse)
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    // An I/O error does not name what it was made of as its source, and that may be another one.
    let error_within = error
        .downcast_ref::<io::Error>()
        .and_then(|error| error.get_ref());
    error.is::<rustls::Error>() || error_within.is_some_and(|error| is_tls(error))
}

/// Whether this process or this machine has no more files. An address that is not available is the endpoint's affair: it is
/// what each IPv6 address is where IPv6 is switched off.
fn is_ours(error: &(dyn Error + 'static)) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| matches!(error.raw_os_error(), Some(EMFILE | ENFILE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<TimeDelta> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().expect("a header"));
        // Sunday, 6 November 1994, 08:49:37 UTC: the example of RFC 9110.
        let now = DateTime::from_timestamp(784_111_777, 0).expect("in range");
        retry_after(&headers, now)
    }

    /// By their numbers on Linux.
    #[test]
    fn only_files_that_run_out_are_our_own_fault() {
        for (number, ours) in [(24, true), (23, true), (99, false), (101, false), (111, false)] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(is_ours(&error), ours, "{error}");
        }
    }

    #[test]
    fn how_long_to_wait_is_a_number_or_a_date() {
        assert_eq!(said("120"), Some(TimeDelta::seconds(120)));
        assert_eq!(said("0"), Some(TimeDelta::zero()));
        assert_eq!(
            said("Sun, 06 Nov 1994 08:51:37 GMT"),
            Some(TimeDelta::seconds(120))
        );
        assert_eq!(
            said("Sun, 06 Nov 1994 08:00:00 GMT"),
            Some(TimeDelta::zero()),
            "it is over"
        );
        for nonsense in ["soon", "-5", "1.5", "", "99999999999999999999"] {
            assert_eq!(said(nonsense), None, "{nonsense}");
        }
    }
}
