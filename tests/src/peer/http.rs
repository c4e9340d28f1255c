//! The peer's way to the media host.

use std::path::Path;

use anyhow::Context as _;
use async_trait::async_trait;
use reqwest::{Certificate, Client, Method};
use wacore::net::{HttpClient, HttpRequest, HttpResponse};

/// An HTTPS client that trusts one root, or nobody.
#[derive(Debug)]
pub(super) struct Http(Client);

impl Http {
    /// A client that trusts the root in the PEM file at `root`.
    pub(super) fn new(root: Option<&Path>) -> anyhow::Result<Self> {
        // Another part of the process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = Vec::new();
        if let Some(path) = root {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            roots = Certificate::from_pem_bundle(&pem).context("the media host's root is no PEM")?;
        }
        let client = Client::builder().https_only(true).tls_certs_only(roots);
        Ok(Self(client.build().context("the HTTP client cannot be made")?))
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut builder = self.0.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await?;
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body: response.bytes().await?.to_vec(),
        })
    }
}
