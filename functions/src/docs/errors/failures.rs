//! How the sandbox has a message fail with each code. What the codes mean and what to do is in the table of
//! [`FailureCode`] itself. A fault is asked for with `POST /admin/faults` of the sandbox.

use shared::domain::message::FailureCode;

/// How to have a message of a sandbox instance fail so.
pub const fn provoke(code: FailureCode) -> &'static str {
    match code {
        FailureCode::RefusedMalformed => {
            "Ask for the fault `refuse` with code 400 for the instance's number, and send a text."
        }
        FailureCode::RefusedForbidden => {
            "Ask for the fault `refuse` with code 403 for the instance's number, and send a text to a person."
        }
        FailureCode::RateOverlimit => {
            "Ask for the fault `refuse` with code 429 for the instance's number, and send a text with an `expiresAt` a minute away."
        }
        FailureCode::ReachoutRestricted => {
            "There is no way to: the sandbox keeps no account from new chats for a time."
        }
        FailureCode::TrustTokenMissing => {
            "Pair the instance with a phone whose name begins with `restricted:`, and send a text to somebody who has not written to it."
        }
        FailureCode::StaleDeviceList => {
            "Ask for the fault `refuse` with code 479 for the instance's number, and send a text with an `expiresAt` a minute away."
        }
        FailureCode::NoRecipientDevice => {
            "Ask for the fault `withhold-keys` for the recipient's number, and send a text with an `expiresAt` a minute away."
        }
        FailureCode::RecipientNotOnWhatsapp => "Send a text to a number that no phone of the sandbox has.",
        FailureCode::GroupNotFound => "Send a text to `120363000000000000@g.us`, a group that there is not.",
        FailureCode::NotAMember => {
            "Have a phone of the sandbox found a group without the instance, and send a text to it."
        }
        FailureCode::AccountChanged => {
            "Let a text wait while the instance is kept from connecting, then log the instance out and pair it with another phone."
        }
        FailureCode::MediaUnreachable => "Send an image by a URL that answers 404.",
        FailureCode::MediaTooLarge => "Send an image by a URL whose file is larger than an image may be.",
        FailureCode::MediaType => "Send an image by a URL that answers a text.",
        FailureCode::MediaGone => {
            "Send an uploaded file with a `scheduledAt`, and `DELETE /api/media/{media}` before it is due."
        }
        FailureCode::NoAcknowledgement => {
            "Ask for the fault `hold-acks` for the instance's number, and send a text with an `expiresAt` a minute away."
        }
        FailureCode::Poison => {
            "Ask for the fault `drop-before-ack` for the instance's number, and send a text."
        }
        FailureCode::Expired => {
            "Keep the instance from connecting with the fault `refuse-login` (code 503), and send a text with an `expiresAt` a minute away."
        }
        FailureCode::Unprocessable => "There is no way to: a job has to be damaged in the queue.",
        FailureCode::NotAccepted => {
            "There is no way to in the sandbox: the queue of the deployment has to be away."
        }
    }
}
