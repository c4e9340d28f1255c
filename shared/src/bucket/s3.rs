//! A bucket of S3: the library's client over our own HTTP and with the SDK's credentials.
//!
//! The library would read credentials from variables of its own, and bring TLS of its own. It is given both: what the
//! AWS SDK knows (a role of Lambda or ECS, a profile, variables), and a client whose cryptography is `ring`'s.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{ProvideCredentials as _, SharedCredentialsProvider};
use chrono::{DateTime, TimeDelta, Utc};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::{BackoffConfig, CredentialProvider, RetryConfig};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::OpenError;
use super::name::ObjectName;
use super::presign::{Pairs, Request};
use crate::clock::Clock;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// The longest pause in an exchange.
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// How long the SDK may look for credentials.
const CREDENTIALS_DEADLINE: Duration = Duration::from_secs(10);

/// Credentials are asked for again so long before they run out. A URL that is signed with them works no longer than they
/// do.
const CREDENTIALS_MARGIN: TimeDelta = TimeDelta::minutes(5);

/// Credentials that name no end are asked for again after this.
const CREDENTIALS_TERM: TimeDelta = TimeDelta::minutes(15);

/// A bucket: the library's client of it, and what signs URLs.
pub(super) struct S3 {
    pub client: AmazonS3,
    credentials: Arc<Credentials>,
    clock: Arc<dyn Clock>,
    region: String,
    /// Where objects are: the host, and what stands before their names in the path.
    origin: String,
    root: String,
}

impl S3 {
    /// A URL for one request, good for `term`.
    pub async fn signed(
        &self,
        method: &'static str,
        name: &ObjectName,
        (headers, query): (Pairs<'_>, Pairs<'_>),
        term: TimeDelta,
    ) -> object_store::Result<String> {
        let credential = self.credentials.get_credential().await?;
        let request = Request {
            method,
            origin: &self.origin,
            path: &format!("{}/{name}", self.root),
            headers,
            query,
        };
        Ok(request.url(&credential, &self.region, self.clock.now(), term))
    }
}

/// Opens this bucket.
pub(super) fn open(aws: &SdkConfig, name: &str, clock: Arc<dyn Clock>) -> Result<S3, OpenError> {
    let provider = aws.credentials_provider().ok_or(OpenError::NoCredentials)?;
    let region = aws.region().ok_or(OpenError::NoRegion)?.as_ref().to_owned();
    let credentials = Arc::new(Credentials {
        provider,
        clock: Arc::clone(&clock),
        known: Mutex::new(None),
    });
    let endpoint = aws.endpoint_url();
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(15),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_region(&region)
        .with_credentials(Arc::clone(&credentials) as _)
        .with_http_connector(Ours { is_plain })
        .with_allow_http(is_plain)
        .with_retry(retry)
        // A stand-in has no name of its own for each bucket.
        .with_virtual_hosted_style_request(endpoint.is_none());
    let (origin, root) = match endpoint {
        Some(endpoint) => (endpoint.trim_end_matches('/').to_owned(), format!("/{name}")),
        None => (format!("https://{name}.s3.{region}.amazonaws.com"), String::new()),
    };
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let client = builder.build().map_err(|error| OpenError::Client(error.into()))?;
    Ok(S3 {
        client,
        credentials,
        clock,
        region,
        origin,
        root,
    })
}

/// Makes the HTTP client.
#[derive(Debug)]
struct Ours {
    /// Whether a stand-in is reached without TLS.
    is_plain: bool,
}

impl HttpConnector for Ours {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        // Another part of the process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .https_only(!self.is_plain)
            .connect_timeout(CONNECT_DEADLINE)
            .read_timeout(READ_DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| generic(error.into()))?;
        Ok(HttpClient::new(client))
    }
}

/// The SDK's credentials, kept for as long as they are good.
#[derive(Debug)]
struct Credentials {
    provider: SharedCredentialsProvider,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    credential: Arc<AwsCredential>,
    until: DateTime<Utc>,
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some(known) = known.as_ref().filter(|known| now < known.until) {
            return Ok(Arc::clone(&known.credential));
        }
        let asked = timeout(CREDENTIALS_DEADLINE, self.provider.provide_credentials()).await;
        let found = asked
            .map_err(|late| generic(late.into()))?
            .map_err(|error| generic(error.into()))?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        let until = match found.expiry() {
            Some(end) => DateTime::from(end) - CREDENTIALS_MARGIN,
            None => now + CREDENTIALS_TERM,
        };
        *known = Some(Known {
            credential: Arc::clone(&credential),
            until,
        });
        Ok(credential)
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source }
}
