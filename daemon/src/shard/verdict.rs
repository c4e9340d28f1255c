//! What the error of an acknowledgement means for its message.

use shared::domain::message::FailureCode;
use shared::domain::recipient::Recipient;

/// What is to become of a message that WhatsApp has refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No waiting helps.
    Final(FailureCode),
    /// No waiting helps. WhatsApp is asked why; this is the code where it does not tell.
    Asked(FailureCode),
    /// WhatsApp misses a proof of trust, or lets the account begin no chats for a time. It tells which, when asked.
    Distrusted,
    /// WhatsApp wants fewer messages of this account: the whole instance slows down.
    Slower,
    /// The server is in trouble, for everybody. It passes.
    Busy,
    /// It passes for this chat, if nothing lasting is behind it. The code is for a message whose time runs out
    /// meanwhile.
    Waits(Option<FailureCode>),
}

/// The verdict on a message to `to` that was refused with this error. An unknown error waits.
///
/// WhatsApp says 479 of a stanza that does not fit, and 421 of a group whose members have other names by now. Both
/// come from lists that were read too long ago.
pub fn of(error: u32, to: &Recipient) -> Verdict {
    let is_group = to.group().is_some();
    match error {
        400 => Verdict::Final(FailureCode::RefusedMalformed),
        401 | 403 | 406 if is_group => Verdict::Asked(FailureCode::RefusedForbidden),
        401 | 403 | 406 => Verdict::Final(FailureCode::RefusedForbidden),
        404 if is_group => Verdict::Final(FailureCode::GroupNotFound),
        // Nobody is named who might not be there.
        404 if *to == Recipient::Status => Verdict::Waits(None),
        404 => Verdict::Final(FailureCode::RecipientNotOnWhatsapp),
        429 => Verdict::Slower,
        463 => Verdict::Distrusted,
        421 | 479 => Verdict::Waits(Some(FailureCode::StaleDeviceList)),
        408 | 500..=599 => Verdict::Busy,
        _ => Verdict::Waits(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proven_ends_a_message() {
        let person = "15550100001".parse().expect("a number");
        let group = "120363021033254949@g.us".parse().expect("a group");
        for (error, wanted) in [
            (400, Verdict::Final(FailureCode::RefusedMalformed)),
            (403, Verdict::Final(FailureCode::RefusedForbidden)),
            (404, Verdict::Final(FailureCode::RecipientNotOnWhatsapp)),
            (429, Verdict::Slower),
            (463, Verdict::Distrusted),
            (479, Verdict::Waits(Some(FailureCode::StaleDeviceList))),
            (500, Verdict::Busy),
            (503, Verdict::Busy),
            (418, Verdict::Waits(None)),
            (0, Verdict::Waits(None)),
        ] {
            assert_eq!(of(error, &person), wanted, "{error}");
        }
        assert_eq!(of(404, &group), Verdict::Final(FailureCode::GroupNotFound));
        assert_eq!(of(404, &Recipient::Status), Verdict::Waits(None));
        assert_eq!(of(403, &group), Verdict::Asked(FailureCode::RefusedForbidden));
        assert_eq!(of(429, &group), Verdict::Slower);
    }
}
