//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use lambda_http::request::RequestContext;
use shared::forwarded;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the request's sender. Behind API Gateway it is the one that the gateway saw. On a listener of our
/// own it is the peer's or, behind trusted proxies, the one that the first of them saw.
pub fn source_address(parts: &Parts, trusted_proxies: usize) -> Option<IpAddr> {
    if let Some(RequestContext::ApiGatewayV2(context)) = parts.extensions.get::<RequestContext>() {
        return context.http.source_ip.as_deref()?.parse().ok();
    }
    let peer = || {
        let ConnectInfo(address) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(address.ip())
    };
    forwarded(&parts.headers, trusted_proxies)
        .or_else(peer)
        .map(|address| address.to_canonical())
}

fn forwarded(headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED_FOR).iter();
    forwarded::first_trusted(lines.map(HeaderValue::as_bytes), trusted_proxies)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn seen(lines: &[&str], trusted_proxies: usize) -> String {
        let mut request = Request::builder();
        for line in lines {
            request = request.header(FORWARDED_FOR, *line);
        }
        let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
        let request = request
            .extension(ConnectInfo(peer))
            .body(())
            .expect("well-formed");
        let (parts, ()) = request.into_parts();
        source_address(&parts, trusted_proxies)
            .expect("a peer")
            .to_string()
    }

    #[test]
    fn the_addresses_of_trusted_proxies_count_from_the_right() {
        let lines = ["198.51.100.1, 198.51.100.2", "2001:db8::3"];
        assert_eq!(seen(&lines, 0), "192.0.2.1");
        assert_eq!(seen(&lines, 1), "2001:db8::3");
        assert_eq!(seen(&lines, 2), "198.51.100.2");
        assert_eq!(seen(&lines, 3), "198.51.100.1");
        assert_eq!(seen(&["::ffff:198.51.100.1"], 1), "198.51.100.1");
    }

    #[test]
    fn the_peer_counts_where_the_header_tells_of_no_address() {
        assert_eq!(seen(&[], 1), "192.0.2.1");
        assert_eq!(seen(&["198.51.100.1"], 2), "192.0.2.1");
        for malformed in ["", "unknown", "198.51.100.1:80", "198.51.100.1,", "é"] {
            assert_eq!(seen(&[malformed], 1), "192.0.2.1", "{malformed}");
        }
    }
}
