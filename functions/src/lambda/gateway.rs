//! What is different behind API Gateway (HTTP API, payload format 2.0), so that routes need not know.
//!
//! API Gateway puts its stage before the path, unless the stage is `$default`. And it takes one line for each header of an answer: of several
//! `Vary` the runtime would hand on the first alone. Cookies have a list of their own.

use std::convert::Infallible;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use lambda_http::Request;
use lambda_http::request::RequestContext;
use tower::{Service, ServiceExt};

/// The stage that stands in no path.
const DEFAULT_STAGE: &str = "$default";

/// Routes as API Gateway calls them.
pub(super) fn behind(
    routes: Router,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> {
    let routes = ServiceExt::<Request>::map_request(routes, without_stage);
    ServiceExt::<Request>::map_response(routes, in_one_line_each)
}

fn without_stage(mut request: Request) -> Request {
    let stage = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        _ => None,
    };
    let below = stage
        .filter(|stage| *stage != DEFAULT_STAGE)
        .and_then(|stage| below(request.uri(), stage));
    if let Some(uri) = below {
        *request.uri_mut() = uri;
    }
    request
}

/// The same address without its stage; `None` where its path does not begin with it.
fn below(uri: &Uri, stage: &str) -> Option<Uri> {
    let path = uri.path_and_query()?.as_str();
    let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
    let rest = match rest.as_bytes().first() {
        Some(b'/') => rest.to_owned(),
        Some(b'?') | None => format!("/{rest}"),
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// An answer that has each header once, with all of its values (RFC 9110, 5.3).
fn in_one_line_each(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let several: Vec<HeaderName> = headers
        .keys()
        .filter(|name| **name != header::SET_COOKIE && headers.get_all(*name).iter().nth(1).is_some())
        .cloned()
        .collect();
    for name in several {
        let values: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        let line = values.join(&b", "[..]);
        if let Ok(line) = HeaderValue::from_bytes(&line) {
            headers.insert(name, line);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_stage_is_taken_off_where_it_is_a_part_of_its_own() {
        for (uri, expected) in [
            (
                "https://a.example/prod/api/stats?from=1",
                Some("https://a.example/api/stats?from=1"),
            ),
            ("/prod/api/stats", Some("/api/stats")),
            ("/prod/", Some("/")),
            ("/prod", Some("/")),
            ("/prod?x=1", Some("/?x=1")),
            ("/production/api", None),
            ("/api/prod/stats", None),
        ] {
            let below = below(&uri.parse().expect("an address"), "prod");
            assert_eq!(below.map(|uri| uri.to_string()).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn headers_that_come_twice_become_one_and_cookies_stay() {
        let response = Response::builder()
            .header("vary", "origin, accept")
            .header("vary", "accept-encoding")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("allow", "GET")
            .body(Body::empty())
            .expect("well-formed");
        let response = in_one_line_each(response);
        let values = |name: &str| -> Vec<_> { response.headers().get_all(name).iter().collect() };
        assert_eq!(values("vary"), ["origin, accept, accept-encoding"]);
        assert_eq!(values("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(values("allow"), ["GET"]);
    }
}
