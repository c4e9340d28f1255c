//! Fetches files from URLs that callers named, and from nothing but the internet: see [`shared::reach`]. Knows nothing of
//! messages.
//!
//! Redirects are followed here and not by the HTTP client, so that each is checked as the first URL was.

mod hosts;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use shared::reach::{Reach, RefusedUrl, client};
use tokio::time::Instant;

use hosts::Hosts;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// How long connecting may take, its TLS included.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long a host may say nothing in the middle.
const IDLE_DEADLINE: Duration = Duration::from_secs(20);

/// How long a file may take, from the first redirect to its last byte.
const TOTAL_DEADLINE: Duration = Duration::from_mins(10);

/// Why a URL gave no file.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It, or one that it redirects to, may not be called.
    #[error("the URL, or one that it redirects to, {0}")]
    Refused(#[from] RefusedUrl),
    /// It answered that there is nothing, or nothing for us.
    #[error("the host answered with the status {0}")]
    Status(StatusCode),
    /// It redirects in circles, or nowhere.
    #[error("the host redirects too often, or nowhere")]
    Redirects,
    /// It is longer than what is wanted.
    #[error("the file is longer than {0} bytes")]
    TooLarge(u64),
    /// The host did not answer, has trouble, or broke off: this may pass.
    #[error("the host did not answer, or broke off")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The host was not reached a moment ago, and is not tried again so soon: this may pass.
    #[error("the host was not reached a moment ago")]
    Unreached,
}

impl FetchError {
    /// Whether the same may succeed later.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unreached)
    }
}

/// The HTTP client for URLs that callers named. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    reach: Reach,
    hosts: Arc<Hosts>,
    total: Duration,
}

impl Fetcher {
    /// A client that reaches as far as this, on the system's root certificates or, where there are `roots` (PEM), on those
    /// alone.
    pub fn new(reach: Reach, roots: Option<&str>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let client = client::builder(reach, roots)?
            .connect_timeout(CONNECT_DEADLINE)
            .read_timeout(IDLE_DEADLINE)
            // A connection that is kept was checked as it was made, for the same name.
            .pool_idle_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self {
            client,
            reach,
            hosts: Arc::default(),
            total: TOTAL_DEADLINE,
        })
    }

    /// The same with another limit to how long a file may take.
    #[must_use]
    pub fn within(self, total: Duration) -> Self {
        Self { total, ..self }
    }

    /// Begins to fetch a file of `most` bytes at most. `200` alone is a file.
    pub async fn get(&self, url: &str, most: u64) -> Result<Fetched, FetchError> {
        let fetched = self.begin(url, most, false).await?;
        if fetched
            .response
            .content_length()
            .is_some_and(|length| length > most)
        {
            return Err(fetched.too_large());
        }
        Ok(fetched)
    }

    /// Begins to fetch the first `most` bytes of a file, which may be longer.
    pub async fn beginning(&self, url: &str, most: u64) -> Result<Fetched, FetchError> {
        self.begin(url, most, true).await
    }

    async fn begin(&self, url: &str, most: u64, may_be_longer: bool) -> Result<Fetched, FetchError> {
        let ends_at = Instant::now() + self.total;
        let asking = tokio::time::timeout_at(ends_at, self.follow(url));
        let (response, url) = asking
            .await
            .map_err(|late| FetchError::Unavailable(late.into()))??;
        Ok(Fetched {
            response,
            url,
            left: most,
            most,
            may_be_longer,
            ends_at,
        })
    }

    async fn follow(&self, url: &str) -> Result<(Response, Url), FetchError> {
        let mut url = self.reach.url(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = self
                .client
                .get(url.clone())
                .header(ACCEPT, "*/*")
                // The bytes are wanted as they are.
                .header(ACCEPT_ENCODING, "identity");
            if !self.hosts.may_try(&url, Instant::now()) {
                return Err(FetchError::Unreached);
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) if error.is_connect() && client::refused(&error).is_none() => {
                    self.hosts.unreached(&url, Instant::now());
                    return Err(of_client(error));
                }
                Err(error) => return Err(of_client(error)),
            };
            self.hosts.reached(&url);
            let status = response.status();
            if status == StatusCode::OK {
                return Ok((response, url));
            }
            if !is_redirect(status) {
                return Err(of_status(status));
            }
            url = next(&url, &response).ok_or(FetchError::Redirects)?;
            self.reach.check(&url)?;
        }
        Err(FetchError::Redirects)
    }
}

/// A file on its way.
#[derive(Debug)]
pub struct Fetched {
    response: Response,
    url: Url,
    left: u64,
    most: u64,
    /// Whether what lies behind `most` is left out, and is no error.
    may_be_longer: bool,
    ends_at: Instant,
}

impl Fetched {
    /// The URL that the file is at, behind all redirects.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The type of the file, as far as its host names one.
    pub fn content_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// Whether the bytes are packed, though they were not to be. They are not unpacked here: a few may become many.
    pub fn is_encoded(&self) -> bool {
        let encoding = self.response.headers().get(CONTENT_ENCODING);
        encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    }

    /// The next bytes; `None` behind the last ones.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, FetchError> {
        if self.may_be_longer && self.left == 0 {
            return Ok(None);
        }
        let chunk = tokio::time::timeout_at(self.ends_at, self.response.chunk());
        let chunk = chunk.await.map_err(|late| FetchError::Unavailable(late.into()))?;
        let Some(mut chunk) = chunk.map_err(of_client)? else {
            return Ok(None);
        };
        if self.may_be_longer {
            chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        }
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(length).ok_or_else(|| self.too_large())?;
        Ok(Some(chunk))
    }

    const fn too_large(&self) -> FetchError {
        FetchError::TooLarge(self.most)
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301..=303 | 307 | 308)
}

fn next(url: &Url, response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?;
    // Some hosts write UTF-8, which the header's own reader refuses.
    let location = std::str::from_utf8(location.as_bytes()).ok()?;
    url.join(location).ok()
}

fn of_status(status: StatusCode) -> FetchError {
    if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        FetchError::Unavailable(format!("the status {status}").into())
    } else {
        FetchError::Status(status)
    }
}

fn of_client(error: reqwest::Error) -> FetchError {
    match client::refused(&error) {
        Some(refused) => FetchError::Refused(refused),
        // The URL may be a secret of its caller's.
        None => FetchError::Unavailable(error.without_url().into()),
    }
}

#[cfg(test)]
mod tests;
