//! What browsers are told with every answer: Helmet's defaults, and whose pages may call.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use shared::config::CorsOrigins;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::request_id;

/// Headers of every answer, where its handler set no other.
const SECURITY: [(HeaderName, &str); 12] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';\
         frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';\
         script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (HeaderName::from_static("origin-agent-cluster"), "?1"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=31536000; includeSubDomains",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_DNS_PREFETCH_CONTROL, "off"),
    (HeaderName::from_static("x-download-options"), "noopen"),
    (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    (
        HeaderName::from_static("x-permitted-cross-domain-policies"),
        "none",
    ),
    (header::X_XSS_PROTECTION, "0"),
];

/// The policy of a page that shows and calls this API, in place of the one above. It allows the page's own files
/// alone, no other page around it, and styles in place, which Swagger UI uses. It lacks `upgrade-insecure-requests`,
/// so that the local stack's page works in every browser.
pub const PAGE_POLICY: &str = "default-src 'none';script-src 'self';style-src 'self' 'unsafe-inline';\
    img-src 'self' data:;connect-src 'self';base-uri 'none';form-action 'none';frame-ancestors 'none'";

/// How long a browser need not ask again.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

/// Adds the security headers to an answer.
pub(crate) fn secure(response: &mut Response) {
    for (name, value) in SECURITY {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// Answers preflights, and tells browsers which pages may read an answer. Any header is allowed, `X-Waxwing-Client`
/// among them. Cookies are for the configured origins only: where any page may call, browsers send and take none.
pub(crate) fn cors(origins: &CorsOrigins) -> CorsLayer {
    let with_cookies = matches!(origins, CorsOrigins::These(_));
    let origin = match origins {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::These(origins) => {
            let origins = origins.clone();
            AllowOrigin::predicate(move |origin, _| {
                origins.iter().any(|one| one.as_bytes() == origin.as_bytes())
            })
        }
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_credentials(with_cookies)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            request_id::HEADER,
            header::RETRY_AFTER,
            header::ALLOW,
            header::WWW_AUTHENTICATE,
            HeaderName::from_static("idempotency-replayed"),
            HeaderName::from_static("x-ratelimit-limit"),
            HeaderName::from_static("x-ratelimit-remaining"),
            HeaderName::from_static("x-ratelimit-reset"),
        ])
        .max_age(PREFLIGHT_AGE)
}
