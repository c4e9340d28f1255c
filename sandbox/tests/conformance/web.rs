//! HTTPS for the clients of a test: trusts the sandbox's root and nothing else, and remembers what went over it.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reqwest::{Body, Certificate, Method, RequestBuilder, Response};
use sandbox::Sandbox;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use wacore::net::{HttpClient, HttpRequest, HttpResponse, StreamingHttpResponse, UploadBody};

use crate::net::DEADLINE;

/// Bytes of a body handed on at once.
const CHUNK: usize = 64 * 1024;

/// An exchange as the client asked for it.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub url: String,
    /// The length of the body that was sent.
    pub sent: u64,
}

/// The client of one test. Clones share their memory.
#[derive(Clone)]
pub struct Web {
    http: reqwest::Client,
    handle: Handle,
    log: Arc<Mutex<Vec<Exchange>>>,
}

impl Web {
    /// A client that trusts the media host of `sandbox`.
    pub fn of(sandbox: &Sandbox) -> Self {
        Self::trusting(sandbox.ca_pem())
    }

    /// A client that trusts this root (PEM) alone.
    pub fn trusting(root: &str) -> Self {
        // Another test of the process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = Certificate::from_pem_bundle(root.as_bytes()).expect("PEM");
        let http = reqwest::Client::builder()
            .https_only(true)
            .tls_certs_only(roots)
            .timeout(DEADLINE)
            .build()
            .expect("a client");
        Self {
            http,
            handle: Handle::current(),
            log: Arc::default(),
        }
    }

    /// What went over it so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.log.lock().unwrap().clone()
    }

    /// A request of the test's own.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    fn begin(&self, request: &HttpRequest, sent: u64) -> anyhow::Result<RequestBuilder> {
        self.log.lock().unwrap().push(Exchange {
            url: request.url.clone(),
            sent,
        });
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut builder = self.http.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        Ok(builder)
    }
}

#[async_trait]
impl HttpClient for Web {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let body = request.body.clone().unwrap_or_default();
        let builder = self.begin(&request, body.len() as u64)?;
        let response = builder.body(body).send().await?;
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body: response.bytes().await?.to_vec(),
        })
    }

    fn supports_streaming(&self) -> bool {
        true
    }

    fn execute_streaming(&self, request: HttpRequest) -> anyhow::Result<StreamingHttpResponse> {
        let response = self.handle.block_on(self.begin(&request, 0)?.send())?;
        Ok(StreamingHttpResponse {
            status_code: response.status().as_u16(),
            body: Box::new(Incoming {
                response,
                handle: self.handle.clone(),
                rest: bytes::Bytes::new(),
            }),
        })
    }

    fn supports_upload_streaming(&self) -> bool {
        true
    }

    fn execute_upload(
        &self,
        request: HttpRequest,
        mut body: UploadBody,
        content_length: u64,
    ) -> anyhow::Result<HttpResponse> {
        let (chunks, mut outgoing) = mpsc::channel::<io::Result<Vec<u8>>>(2);
        let stream = futures::stream::poll_fn(move |context| outgoing.poll_recv(context));
        let sending = self
            .begin(&request, content_length)?
            .header("content-length", content_length)
            .body(Body::wrap_stream(stream))
            .send();
        let sending = self.handle.spawn(sending);
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = body.read(&mut chunk)?;
            chunk.truncate(read);
            // A host that has answered already takes no more.
            if read == 0 || chunks.blocking_send(Ok(chunk)).is_err() {
                break;
            }
        }
        drop(chunks);
        self.handle.block_on(async {
            let response = sending.await??;
            Ok(HttpResponse {
                status_code: response.status().as_u16(),
                body: response.bytes().await?.to_vec(),
            })
        })
    }
}

/// A body as it comes in.
struct Incoming {
    response: Response,
    handle: Handle,
    rest: bytes::Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self
                .handle
                .block_on(self.response.chunk())
                .map_err(io::Error::other)?
            {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let length = self.rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}
