//! The library's HTTP client: HTTPS only, with deadlines, one pool for all sessions. Files pass in pieces, however large they
//! are.

use std::error::Error;
use std::io::{self, Read};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Certificate, Client, Method, RequestBuilder, Response};
use shared::domain::upload::MAX_UPLOAD;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use wacore::net::{HttpClient, HttpRequest, HttpResponse, StreamingHttpResponse, UploadBody};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// One exchange, its body included. The library's own deadline for the version is 20 s.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(30);

/// What an upload may take besides the time for its bytes.
const UPLOAD_DEADLINE: Duration = Duration::from_mins(1);

/// The slowest line on which an upload may end in time, in bytes a second.
const SLOWEST: u64 = 64 * 1_024;

/// A piece of a file that is uploaded, in bytes.
const PIECE: usize = 64 * 1_024;

/// What a download may take besides the time for its bytes, and how long it may pause.
const DOWNLOAD_DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_secs(20);

/// What the largest file may take on the slowest line.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(60 + MAX_UPLOAD / SLOWEST);

/// The longest answer that is read into memory, in bytes. What the library asks for this
/// way (the current version) is some hundred kilobytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made")]
pub struct HttpError(#[source] Box<dyn Error + Send + Sync>);

/// The shared HTTP client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    /// Ends what is under way.
    stop: CancellationToken,
}

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
            .map(|client| Self {
                client,
                stop: CancellationToken::new(),
            })
            .map_err(|error| HttpError(error.into()))
    }

    /// The same client, whose exchanges end with `stop`.
    #[must_use]
    pub fn until(&self, stop: CancellationToken) -> Self {
        Self {
            client: self.client.clone(),
            stop,
        }
    }

    fn request(&self, request: &HttpRequest) -> anyhow::Result<RequestBuilder> {
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut builder = self.client.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        Ok(builder)
    }
}

/// Sends a request and reads its answer.
async fn exchange(request: RequestBuilder) -> anyhow::Result<HttpResponse> {
    let mut response = request.send().await?;
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

/// An answer's bytes as they come, with an end to waiting for each piece and for all of them.
struct Incoming {
    response: Response,
    stop: CancellationToken,
    until: Instant,
    piece: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let until = self.until.min(Instant::now() + PAUSE);
            let (response, stop) = (&mut self.response, &self.stop);
            let next = Handle::current().block_on(async {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => Err(io::Error::other("the session is over")),
                    next = timeout_at(until, response.chunk()) => match next {
                        Ok(next) => next.map_err(io::Error::other),
                        Err(_) => Err(io::ErrorKind::TimedOut.into()),
                    },
                }
            });
            match next? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// A reader's bytes, read on threads that may block.
fn pieces(body: UploadBody) -> impl Stream<Item = io::Result<Bytes>> {
    try_unfold(body, |mut body| async move {
        let reading = spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let read = body.read(&mut piece)?;
            piece.truncate(read);
            io::Result::Ok((Bytes::from(piece), body))
        });
        let (piece, body) = reading.await.map_err(io::Error::other)??;
        Ok((!piece.is_empty()).then_some((piece, body)))
    })
}

#[async_trait]
impl HttpClient for Http {
    /// Every status is an answer, by which the library tells a stale authorisation from a missing file.
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let mut builder = self.request(&request)?;
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        exchange(builder).await
    }

    fn supports_streaming(&self) -> bool {
        true
    }

    /// Called on a thread that may block, of a runtime; and so is the answer's reader.
    fn execute_streaming(&self, request: HttpRequest) -> anyhow::Result<StreamingHttpResponse> {
        let request = self.request(&request)?.timeout(LONGEST_DOWNLOAD);
        let stop = self.stop.clone();
        let response = Handle::current().block_on(async {
            tokio::select! {
                biased;
                () = stop.cancelled() => anyhow::bail!("the session is over"),
                answer = timeout(EXCHANGE_DEADLINE, request.send()) => Ok(answer??),
            }
        })?;
        let length = response.content_length().unwrap_or(MAX_UPLOAD);
        Ok(StreamingHttpResponse {
            status_code: response.status().as_u16(),
            body: Box::new(Incoming {
                until: Instant::now() + DOWNLOAD_DEADLINE + Duration::from_secs(length / SLOWEST),
                response,
                stop,
                piece: Bytes::new(),
            }),
        })
    }

    fn supports_upload_streaming(&self) -> bool {
        true
    }

    /// Called on a thread that may block, of a runtime.
    fn execute_upload(
        &self,
        request: HttpRequest,
        body: UploadBody,
        content_length: u64,
    ) -> anyhow::Result<HttpResponse> {
        let deadline = UPLOAD_DEADLINE + Duration::from_secs(content_length / SLOWEST);
        let request = self
            .request(&request)?
            .header(CONTENT_LENGTH, content_length)
            .timeout(deadline)
            .body(Body::wrap_stream(pieces(body)));
        Handle::current().block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => anyhow::bail!("the session is over"),
                answer = exchange(request) => answer,
            }
        })
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
        let accepted = timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(accepted.is_err(), "nobody came");
    }
}
