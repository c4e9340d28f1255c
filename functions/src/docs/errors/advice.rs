//! What callers do about each code of an error, and how they bring it about: one table for the pages. In the texts, what stands
//! between backticks is code.

use crate::http::Code;

/// What a page says of a code beside its meaning.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// Whether to try again, and what to do first.
    pub again: &'static str,
    /// How to have it happen, with an instance of the sandbox.
    pub provoke: &'static str,
}

/// The row of a code.
#[expect(clippy::too_many_lines, reason = "one table, a row for each code")]
pub const fn of(code: Code) -> Advice {
    let (again, provoke) = match code {
        Code::ValidationError => (
            "Not as it is. `details.fields` names each member, parameter or header, and its rule.",
            "Send `{\"text\": \"hello\"}` to `POST /api/messages/text`: it has no `to`.",
        ),
        Code::InvalidJson => (
            "Not as it is. Send JSON in UTF-8; the message names line and column.",
            "Send the body `{` to `POST /api/messages/text`.",
        ),
        Code::Unauthenticated => (
            "Not with this token. Send `Authorization: Bearer …`: an access token on management routes, an API key on all others.",
            "Call `GET /api/auth/me` without a token.",
        ),
        Code::InvalidCredentials => (
            "With the right password. Failures are counted, and end in `ACCOUNT_LOCKED`.",
            "Log in with a wrong password.",
        ),
        Code::TokenExpired => (
            "Yes, with a new access token from `POST /api/auth/refresh`.",
            "Use an access token after the `expiresIn` seconds that came with it.",
        ),
        Code::Forbidden => (
            "Not as this caller. The message, and `details.reason` where there is one, says who may.",
            "Call `GET /api/users` as a user who is no administrator.",
        ),
        Code::InsufficientScope => (
            "With a key that has the scope in `details.requiredScope`.",
            "Make a key with `\"scopes\": [\"messages:read\"]`, and send a text with it.",
        ),
        Code::IpNotAllowed => (
            "From an address that the key's `allowedCidrs` have.",
            "Make a key with `\"allowedCidrs\": [\"192.0.2.0/24\"]`, and use it from elsewhere.",
        ),
        Code::SubscriptionInactive => (
            "When an administrator has switched the subscription on.",
            "As an administrator, send `{\"active\": false}` to `PATCH /api/subscriptions/{subscription}`.",
        ),
        Code::QuotaExceeded => (
            "From `details.renewsAt` on, or under a larger tier.",
            "Send more messages in a month than the tier allows: 10,000 for BASIC.",
        ),
        Code::NotFound => (
            "Not as it is. There is no such thing, it was deleted, or it is another subscription's.",
            "Call `GET /api/messages/msg_01JD0000000000000000000000`.",
        ),
        Code::MethodNotAllowed => (
            "With a method that the header `Allow` names.",
            "Call `PUT /api/messages/text`.",
        ),
        Code::Conflict => (
            "When the state has changed that stands in the way; the message names it.",
            "React to a message, and `DELETE` the reaction by its id: an empty reaction takes it back.",
        ),
        Code::EmailTaken => (
            "With another address, or log in.",
            "Register twice with the same address.",
        ),
        Code::NameTaken => ("With another name.", "Make two instances with the same name."),
        Code::InstanceLimitReached => (
            "After an instance was deleted, or under a larger tier.",
            "Make more instances than the tier allows: 5 for BASIC.",
        ),
        Code::InstanceNotConnected => (
            "After the instance was connected: `details.status` says how it stands. With `Retry-After` it is about to be.",
            "Make an instance, and send a text with its key before it is paired.",
        ),
        Code::IdempotencyConflict => (
            "Under another `Idempotency-Key`. The same request under the same key has the first answer.",
            "Send two different texts under one `Idempotency-Key`.",
        ),
        Code::EditWindowClosed => (
            "No. WhatsApp's apps follow an edit for 15 minutes; send another message.",
            "Edit a text later than 15 minutes after it was sent.",
        ),
        Code::ContentNotKept => (
            "No. An instance keeps what its messages say only where its `contentDays` is above 0, and from then on; the body of an event is kept while its webhook has not taken it.",
            "Forward a message of an instance whose `contentDays` is 0, or replay an event that was delivered.",
        ),
        Code::MediaGone => (
            "No. Neither WhatsApp nor the phone has the file any more, or the upload's time is over: send it again, or have it sent again.",
            "Delete a message on the sandbox phone that sent its file, expire the file, and call `GET /api/media/{media}`.",
        ),
        Code::RequestTimeout => (
            "Yes, over a better connection. Nothing was done.",
            "Announce a body with `Content-Length`, and do not send it.",
        ),
        Code::PayloadTooLarge => (
            "Not as it is. JSON has 1 MiB at most, and a form 4 MiB; larger files go through `POST /api/media`.",
            "Send a body of more than 1 MiB to `POST /api/messages/text`.",
        ),
        Code::UnsupportedMediaType => (
            "As the type that the route takes, and without `Content-Encoding`.",
            "Send `Content-Type: text/plain` to `POST /api/messages/text`.",
        ),
        Code::RecipientNotOnWhatsapp => (
            "With the right number. Who was looked up in vain is looked up again after 15 minutes.",
            "Check a number that no phone of the sandbox has (`POST /api/contacts/check`), and send it a text.",
        ),
        Code::RateLimited => (
            "Yes, after `Retry-After` seconds.",
            "Make a key with `\"rateLimit\": 1`, and use it twice.",
        ),
        Code::QueueFull => (
            "Yes, after `Retry-After` seconds: the messages that wait have to go out first.",
            "Keep the instance from connecting with the sandbox's fault `refuse-login` (code 503), and send it more texts than may wait: 5,000.",
        ),
        Code::AccountLocked => (
            "Yes, from `details.until` on. Sessions that exist go on meanwhile.",
            "Log in with a wrong password until it comes.",
        ),
        Code::Internal => (
            "It may have taken effect: repeat it under its `Idempotency-Key`. Report it with its `request_id`.",
            "There is no way to: it is a defect.",
        ),
        Code::UpstreamError => (
            "Where `details.upstreamCode` is there WhatsApp has refused, and will again. Else later.",
            "Ask for the sandbox's fault `refuse-iq` with code 406, and call `GET /api/contacts/blocked`.",
        ),
        Code::Unavailable => (
            "Yes, after `Retry-After` seconds, a send under its `Idempotency-Key`: it may have been accepted.",
            "There is no way to in the sandbox: the store or the queue of the deployment has to be away.",
        ),
        Code::UpstreamTimeout => (
            "Where `details.outcome` is `not_started`, yes. Where it is `unknown` it may have taken effect: repeat it under its `Idempotency-Key`, or look first.",
            "Ask for the sandbox's fault `lose` with `\"stanza\": \"iq\"`, `\"direction\": \"in\"` and `\"count\": 1`, and call `GET /api/contacts/blocked` at once.",
        ),
    };
    Advice { again, provoke }
}
