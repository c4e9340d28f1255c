//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use lambda_http::request::RequestContext;

/// The address of the request's sender: behind API Gateway what the gateway saw, on a
/// listener of our own the peer. Headers such as `X-Forwarded-For` are anyone's to write
/// and are not read.
pub fn source_address(extensions: &Extensions) -> Option<IpAddr> {
    if let Some(RequestContext::ApiGatewayV2(context)) = extensions.get::<RequestContext>() {
        return context.http.source_ip.as_deref()?.parse().ok();
    }
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip())
}
