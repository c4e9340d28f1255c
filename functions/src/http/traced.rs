//! The span of a request, where tracing is on: its route, its answer's status and its id. Nothing of the caller is in it.

use axum::http::HeaderMap;
use axum::response::Response;
use shared::trace::{self, Kind, Span, TraceContext};

use super::context::RequestContext;
use super::error::ApiError;

/// The routes by which others look whether a process lives. They are not traced.
const PROBES: [&str; 2] = ["/health", "/ready"];

/// The methods that a span names. A caller may send any word as one.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
];

/// What OpenTelemetry calls all others.
const OTHER: &str = "_OTHER";

/// Begins the span of a request. A caller that has a trace of its own names it in `traceparent`.
pub(crate) fn begun(headers: &HeaderMap, context: &RequestContext) -> Span {
    if PROBES.contains(&context.route()) {
        return Span::default();
    }
    let method = named(context.method());
    let name = || format!("{method} {}", context.route());
    let mut span = trace::tracer().begin(Kind::Server, parent(headers), name);
    span.say("http.request.method", method);
    span.show("http.route", &context.route());
    span.show("waxwing.request.id", &context.id());
    span
}

fn named(method: &str) -> &'static str {
    let known = METHODS.into_iter().find(|known| *known == method);
    known.unwrap_or(OTHER)
}

/// The span that a caller names. Where there are two headers, it names none.
fn parent(headers: &HeaderMap) -> Option<TraceContext> {
    let mut named = headers.get_all(trace::context::HEADER).iter();
    let (only, None) = (named.next()?, named.next()) else {
        return None;
    };
    only.to_str().ok()?.parse().ok()
}

/// Says how a request was answered. Only an error of ours makes the span a failed one.
pub(crate) fn answered(span: &mut Span, response: &Response) {
    let status = response.status();
    span.say("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        let error = response.extensions().get::<ApiError>();
        span.fail(error.map_or("unknown", |error| error.code().as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn no_word_of_a_callers_is_a_method() {
        assert_eq!(named("POST"), "POST");
        assert_eq!(named("post"), "_OTHER");
        assert_eq!(named("4915112345678"), "_OTHER");
    }

    #[test]
    fn a_caller_names_one_trace_or_none() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(trace::context::HEADER, value.parse().expect("a header's value"));
            }
            parent(&headers).map(|context| context.to_string())
        };
        assert_eq!(of(&[NAMED]).as_deref(), Some(NAMED));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["00-of-another-kind"]), None);
        assert_eq!(of(&[NAMED, NAMED]), None);
    }
}
