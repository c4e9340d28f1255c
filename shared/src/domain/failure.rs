//! Why messages fail: one table of codes, with what each means and what to do about it.
//!
//! `docs/message-failures.md` shows it to users; a test holds the two together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{text_enum, times};

text_enum! {
    /// A failure's stable code.
    FailureCode {
        /// WhatsApp could not read the message.
        RefusedMalformed = "REFUSED_MALFORMED",
        /// WhatsApp does not let this account write to this chat.
        RefusedForbidden = "REFUSED_FORBIDDEN",
        /// WhatsApp asked for fewer messages until the message's time ran out.
        RateOverlimit = "RATE_OVERLIMIT",
        /// WhatsApp keeps this account from beginning new chats for a time.
        ReachoutRestricted = "REACHOUT_RESTRICTED",
        /// WhatsApp wants a token of trust that the recipient has not given.
        TrustTokenMissing = "TRUST_TOKEN_MISSING",
        /// WhatsApp took the recipient's list of devices for outdated until the message's time ran out.
        StaleDeviceList = "STALE_DEVICE_LIST",
        /// The recipient has no device that a message can be encrypted for.
        NoRecipientDevice = "NO_RECIPIENT_DEVICE",
        /// The recipient is not on WhatsApp.
        RecipientNotOnWhatsapp = "RECIPIENT_NOT_ON_WHATSAPP",
        /// There is no such group.
        GroupNotFound = "GROUP_NOT_FOUND",
        /// The account is not in the group.
        NotAMember = "NOT_A_MEMBER",
        /// The message was accepted for an account that the instance is not paired with any more.
        AccountChanged = "ACCOUNT_CHANGED",
        /// The message's file could not be fetched.
        MediaUnreachable = "MEDIA_UNREACHABLE",
        /// The message's file is larger than its kind may have.
        MediaTooLarge = "MEDIA_TOO_LARGE",
        /// The message's file is of a type that its kind does not take, or is damaged.
        MediaType = "MEDIA_TYPE",
        /// The message's file was uploaded, and is there no more.
        MediaGone = "MEDIA_GONE",
        /// The message went out, and WhatsApp never said that it has it.
        NoAcknowledgement = "NO_ACKNOWLEDGEMENT",
        /// The connection ended each time this message was sent.
        Poison = "POISON",
        /// The message's time to be sent ran out.
        Expired = "EXPIRED",
        /// The message's job is damaged.
        Unprocessable = "UNPROCESSABLE",
        /// The request that brought the message was answered with an error.
        NotAccepted = "NOT_ACCEPTED",
    }
}

impl FailureCode {
    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::RefusedMalformed => "WhatsApp refused the message as malformed",
            Self::RefusedForbidden => "WhatsApp does not let this account write to this chat",
            Self::RateOverlimit => {
                "WhatsApp asked for fewer messages from this account until the message's time ran out"
            }
            Self::ReachoutRestricted => "WhatsApp does not let this account begin new chats now",
            Self::TrustTokenMissing => {
                "WhatsApp lets only those write first whom the recipient trusts, and this account is none of them"
            }
            Self::StaleDeviceList => {
                "WhatsApp took the list of the recipient's devices for outdated until the message's time ran out"
            }
            Self::NoRecipientDevice => "The recipient has no device that can receive the message",
            Self::RecipientNotOnWhatsapp => "The recipient is not on WhatsApp",
            Self::GroupNotFound => "There is no such group",
            Self::NotAMember => "The account is not in the group",
            Self::AccountChanged => {
                "The message was accepted for an account that the instance is not paired with any more"
            }
            Self::MediaUnreachable => "The message's file could not be fetched",
            Self::MediaTooLarge => "The message's file is larger than its kind may have",
            Self::MediaType => {
                "The message's file is of a type that its kind does not take, or it is damaged or empty"
            }
            Self::MediaGone => {
                "The message's file is not there any more: what was uploaded is removed, or WhatsApp has lost what is forwarded"
            }
            Self::NoAcknowledgement => {
                "WhatsApp did not acknowledge the message in time; it may have arrived"
            }
            Self::Poison => {
                "The connection to WhatsApp ended each time this message was sent; it may have arrived"
            }
            Self::Expired => "The message's time to be sent ran out",
            Self::Unprocessable => "The message's job could not be read; it is kept for the operator",
            Self::NotAccepted => {
                "The request was answered with an error, and the message taken back; it may have gone out before"
            }
        }
    }

    /// Whether sending the same again may succeed without showing it twice.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::RateOverlimit
            | Self::ReachoutRestricted
            | Self::StaleDeviceList
            | Self::NoRecipientDevice
            | Self::Expired
            | Self::Unprocessable => true,
            Self::RefusedMalformed
            | Self::RefusedForbidden
            | Self::TrustTokenMissing
            | Self::RecipientNotOnWhatsapp
            | Self::GroupNotFound
            | Self::NotAMember
            | Self::AccountChanged
            | Self::MediaUnreachable
            | Self::MediaTooLarge
            | Self::MediaType
            | Self::MediaGone
            | Self::NoAcknowledgement
            | Self::NotAccepted
            | Self::Poison => false,
        }
    }

    /// What its sender can do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::RefusedMalformed => "Report it: the request was accepted and should not have been",
            Self::RefusedForbidden => {
                "Nothing from here: the chat admits only others, such as a group's admins"
            }
            Self::RateOverlimit => "Send fewer messages from this number, then send it again",
            Self::ReachoutRestricted => {
                "Wait until `retryAfter`, where it is given, and write to fewer strangers; answers to those who write first go out"
            }
            Self::TrustTokenMissing => {
                "Have the recipient write first, or save the number as a contact; then send it again"
            }
            Self::StaleDeviceList => "Send it again",
            Self::NoRecipientDevice => {
                "Send it again later: the recipient must open WhatsApp on a device first"
            }
            Self::RecipientNotOnWhatsapp => "Correct the number",
            Self::GroupNotFound => "Correct the group's id",
            Self::NotAMember => "Have the account added to the group, then send it again",
            Self::AccountChanged => "Send it again, if it is to go out from the account that is paired now",
            Self::MediaUnreachable => {
                "Have the URL answer 200 with the file to anybody on the internet, or upload the file, then send it again"
            }
            Self::MediaTooLarge => "Make the file smaller, or send it as a document",
            Self::MediaType => {
                "Send a file of a type that `docs/media.md` lists for the kind, or send it as a document"
            }
            Self::MediaGone => "Upload the file anew, or send it instead of forwarding it",
            Self::NoAcknowledgement => {
                "Wait for a receipt, which still brings it to `delivered`; ask the recipient before sending it again"
            }
            Self::Poison => {
                "Do not send it again; a receipt still brings it to `delivered`. The operator finds it in the dead letters"
            }
            Self::Expired => "Send it again with a later `expiresAt`",
            Self::NotAccepted => {
                "Do as the request's error said, best with an `Idempotency-Key`; an acknowledgement or a receipt still brings it to `sent` or `delivered`"
            }
            Self::Unprocessable => "Send it again; the operator finds the job in the dead letters",
        }
    }

    /// Whether it is our guess, which the server's acknowledgement or a receipt of the recipient's device can prove
    /// wrong. WhatsApp's own refusals are no guesses.
    pub const fn is_a_guess(self) -> bool {
        match self {
            Self::NoAcknowledgement
            | Self::Poison
            | Self::Expired
            | Self::RateOverlimit
            | Self::StaleDeviceList
            | Self::AccountChanged
            | Self::NotAccepted => true,
            Self::RefusedMalformed
            | Self::RefusedForbidden
            | Self::ReachoutRestricted
            | Self::TrustTokenMissing
            | Self::NoRecipientDevice
            | Self::RecipientNotOnWhatsapp
            | Self::GroupNotFound
            | Self::NotAMember
            | Self::MediaUnreachable
            | Self::MediaTooLarge
            | Self::MediaType
            | Self::MediaGone
            | Self::Unprocessable => false,
        }
    }
}

impl FailureCode {
    /// [`Self::is_a_guess`] of a stored code, which may be one of a newer version.
    pub fn is_text_of_a_guess(code: &str) -> bool {
        code.parse().is_ok_and(Self::is_a_guess)
    }
}

/// Why a message failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// A stable code, one of [`FailureCode`]'s or of a newer version's.
    pub code: String,
    /// The same for people.
    pub message: String,
    /// Whether sending the same again may succeed without showing it twice.
    pub retryable: bool,
    /// When it may succeed, where WhatsApp says so.
    #[serde(default, serialize_with = "times::told_if_any")]
    pub retry_after: Option<DateTime<Utc>>,
}

impl Failure {
    /// A failure with this code.
    pub fn of(code: FailureCode) -> Self {
        Self {
            code: code.as_str().to_owned(),
            message: code.meaning().to_owned(),
            retryable: code.is_retryable(),
            retry_after: None,
        }
    }

    /// The same, because of this error of WhatsApp's.
    #[must_use]
    pub fn with_error(mut self, error: u32) -> Self {
        self.message = format!("{} (error {error})", self.message);
        self
    }

    /// The same with what was found out.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.message = format!("{}: {reason}", self.message);
        self
    }

    /// The same, passing at this time.
    #[must_use]
    pub fn until(mut self, retry_after: Option<DateTime<Utc>>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// The same for a message of which nobody knows whether it went out before.
    #[must_use]
    pub fn that_may_have_gone_out(mut self) -> Self {
        if self.retryable {
            self.retryable = false;
            self.message.push_str("; whether it went out before is not known");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table that users read.
    const DOCUMENT: &str = include_str!("../../../docs/message-failures.md");

    #[test]
    fn the_document_has_a_row_for_each_code_and_no_other() {
        let rows: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| `")).collect();
        let wanted: Vec<String> = FailureCode::ALL
            .iter()
            .map(|code| {
                let again = if code.is_retryable() { "yes" } else { "no" };
                format!("| `{code}` | {} | {again} | {} |", code.meaning(), code.remedy())
            })
            .collect();
        assert_eq!(rows, wanted, "docs/message-failures.md");
    }

    #[test]
    fn what_may_have_arrived_is_not_to_be_sent_again() {
        for code in [
            FailureCode::NoAcknowledgement,
            FailureCode::Poison,
            FailureCode::NotAccepted,
        ] {
            assert!(!code.is_retryable() && code.is_a_guess(), "{code}");
        }
        let unknown = Failure::of(FailureCode::Expired).that_may_have_gone_out();
        assert!(!unknown.retryable);
        assert!(!FailureCode::RecipientNotOnWhatsapp.is_a_guess());
    }

    #[test]
    fn a_failure_says_when_to_try_again_where_that_is_known() {
        let json = |failure: &Failure| serde_json::to_value(failure).expect("plain data");
        let failure = Failure::of(FailureCode::ReachoutRestricted).with_error(463);
        assert_eq!(json(&failure)["retryAfter"], serde_json::Value::Null);
        assert!(failure.message.ends_with("(error 463)"));
        let until = "2026-01-02T00:00:00Z".parse().expect("a time");
        let failure = failure.until(Some(until));
        let told = json(&failure);
        assert_eq!(told["retryAfter"], "2026-01-02T00:00:00.000Z");
        assert_eq!(serde_json::from_value::<Failure>(told).expect("ours"), failure);
    }
}
