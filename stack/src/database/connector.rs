//! The AWS SDK's way to the engine in this process: its requests, without a socket.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::TARGET;
use super::engine::Engine;

/// Hands requests to the engine. The SDK's own deadlines end those that wait too long.
#[derive(Debug, Clone)]
pub struct Connector {
    engine: Arc<Engine>,
}

impl Connector {
    /// One to this engine.
    pub fn to(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = Arc::clone(&self.engine);
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.strip_prefix(TARGET).unwrap_or(target);
            let Some(body) = request.body().bytes() else {
                return Err(ConnectorError::user("a request that streams".into()));
            };
            let answer = engine.answer(operation, body).await;
            let status = answer
                .status
                .try_into()
                .map_err(|error| ConnectorError::other(Box::new(error), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(answer.body)))
        })
    }
}
