//! The document's introduction, in Markdown: what holds for every endpoint.

use crate::http::{MAX_BODY_BYTES, MAX_FORM_BYTES};

/// What users send.
pub const ACCESS_TOKEN: &str = "The `accessToken` of a login, for the management routes. It lives for minutes; the \
    `refreshToken` that comes with it gets the next one.";

/// What programs send.
pub const API_KEY: &str = "An API key, for the integration routes. It begins with `wak_live_` or `wak_test_`, is for one \
    instance, and may do what its scopes say.";

/// The introduction.
pub fn text() -> String {
    format!(
        "Waxwing sends and receives WhatsApp messages for programs. People manage instances, each of which is one \
         WhatsApp number, with an access token; programs use an instance with an API key.\n\n\
         ## Answers\n\n\
         Every answer is JSON in one envelope: `success`, `data` or `error`, and `meta`. Members that have no value are \
         `null` in answers. Times are RFC 3339 in UTC. Lists are newest first; `meta.pagination.nextCursor` is the `cursor` of \
         the next page of the same list with the same filters, `null` on the last.\n\n\
         ## Requests\n\n\
         Bodies are JSON of up to {MAX_BODY_BYTES} bytes, or forms of up to {MAX_FORM_BYTES} where a route takes them, without a \
         `Content-Encoding`. `null` for a member that may have no \
         value means none; it is refused for any other. Members and query parameters that are not known or are there twice \
         are refused by name, and so is a body where a route takes none. `details.fields` names all that is wrong.\n\n\
         Every answer carries `X-Request-Id`. A caller's own `X-Request-Id` of up to 128 letters, digits and `-_.:` is \
         kept.\n\n\
         ## Limits\n\n\
         Callers are limited by source address (routes that need no token), by user, and by API key. `X-RateLimit-Limit`, \
         `X-RateLimit-Remaining` and `X-RateLimit-Reset` tell where a caller stands. Whoever is beyond a limit gets a 429 with \
         `Retry-After`; so does a 503 carry it, and a 409 of an instance that is about to connect again.\n\n\
         ## Errors\n\n\
         Codes are stable, messages are for people. Things of other subscriptions do not exist: they are a 404. A method \
         that a route does not have is a 405, `METHOD_NOT_ALLOWED`, with `Allow`. The documentation's page (`/api/docs#errors`) \
         has them all in one table."
    )
}
