//! The library's HTTP client: HTTPS only, with deadlines, one pool for all sessions.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Certificate, Client, Method};
use wacore::net::{HttpClient, HttpRequest, HttpResponse};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// One exchange, its body included. The library's own deadline for the version is 20 s.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(30);

/// The longest answer that is read into memory, in bytes. What the library asks for this
/// way (the current version) is some hundred kilobytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made")]
pub struct HttpError(#[source] Box<dyn Error + Send + Sync>);

/// The shared HTTP client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http(Client);

impl Http {
    /// A client on the system's root certificates, or on those of `roots` (PEM) alone.
    pub fn new(roots: Option<&str>) -> Result<Self, HttpError> {
        // Another part of the process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder();
        if let Some(roots) = roots {
            let roots =
                Certificate::from_pem_bundle(roots.as_bytes()).map_err(|error| HttpError(error.into()))?;
            if roots.is_empty() {
                return Err(HttpError("there is no certificate in the PEM text".into()));
            }
            builder = builder.tls_certs_only(roots);
        }
        builder
            .https_only(true)
            .connect_timeout(CONNECT_DEADLINE)
            .timeout(EXCHANGE_DEADLINE)
            .redirect(reqwest::redirect::Policy::limited(3))
            .build()
            .map(Self)
            .map_err(|error| HttpError(error.into()))
    }
}

#[async_trait]
impl HttpClient for Http {
    /// Every status is an answer, by which the library tells a stale authorisation from a missing file.
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut builder = self.0.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut response = builder.send().await?;
        let status_code = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            anyhow::ensure!(
                body.len() + chunk.len() <= MAX_BODY,
                "the answer is longer than {MAX_BODY} bytes"
            );
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status_code, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_certificate_is_refused() {
        for text in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(Http::new(Some(text)).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn plain_http_is_refused_without_a_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let http = Http::new(None).expect("made");
        assert!(http.execute(HttpRequest::get(url)).await.is_err());
        let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(accepted.is_err(), "nobody came");
    }
}
