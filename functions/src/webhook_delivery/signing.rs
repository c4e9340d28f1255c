//! What an event is signed with: see the Standard Webhooks specification.

use chrono::{DateTime, Utc};
use shared::domain::webhook::WebhookSecret;
use shared::ids::EventId;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

/// The headers by which an endpoint knows that an event is ours, and which one it is. There is a signature for each secret, so
/// that an endpoint verifies with whichever it knows while secrets change.
pub fn headers<'a>(
    event: EventId,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'a WebhookSecret>,
    now: DateTime<Utc>,
) -> Result<Vec<(&'static str, String)>, WebhookError> {
    let (id, seconds) = (event.to_string(), now.timestamp());
    let signatures = secrets.into_iter().map(|secret| {
        let signer = Webhook::from_bytes(secret.key())?;
        signer.sign(&id, seconds, body)
    });
    let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
    Ok(vec![
        (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
        (HEADER_WEBHOOK_TIMESTAMP, seconds.to_string()),
        (HEADER_WEBHOOK_ID, id),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's example, whose signature its reference libraries agree on.
    #[test]
    fn a_signature_is_the_specifications() {
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            .parse()
            .expect("a secret");
        let signer = Webhook::from_bytes(secret.key()).expect("a key");
        let signature = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.expect("signed"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn each_secret_signs() {
        let secrets = [WebhookSecret::generate(), WebhookSecret::generate()];
        let event = EventId::from_bytes([1; 16]);
        let headers = headers(event, b"{}", &secrets, DateTime::UNIX_EPOCH).expect("signed");
        let signatures: Vec<_> = headers[0].1.split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert!(signatures.iter().all(|signature| signature.starts_with("v1,")));
        assert_ne!(signatures[0], signatures[1]);
    }
}
