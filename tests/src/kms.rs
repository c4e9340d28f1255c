//! KMS's protocol on 127.0.0.1, so that a key service can be away: it makes data keys, and unwraps them in their context.
//!
//! What a key is wrapped to is a name of it here, and all keys go with this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use testbed::served::Served;

/// The one key that it has.
pub const KEY: &str = "alias/waxwing";

/// Each data key by what it is wrapped to, with the context that it is bound to.
type Keys = Arc<Mutex<HashMap<String, (Value, String)>>>;

/// A key service, which ends when this is dropped.
#[derive(Debug)]
pub struct KmsStandIn(Served);

impl KmsStandIn {
    /// One without any data key.
    pub async fn start() -> Self {
        let serve =
            async |State(keys): State<Keys>, headers: HeaderMap, body: Bytes| answer(&keys, &headers, &body);
        let router = Router::new().fallback(serve).with_state(Keys::default());
        Self(Served::start(router).await)
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        self.0.url()
    }
}

fn answer(keys: &Keys, headers: &HeaderMap, body: &Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix("TrentService."));
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let context = asked["EncryptionContext"].clone();
    let mut keys = keys.lock().expect("no holder panics");
    match operation {
        Some("GenerateDataKey") => {
            let (plain, wrapped) = (random(), random());
            keys.insert(wrapped.clone(), (context, plain.clone()));
            let made = json!({"KeyId": KEY, "Plaintext": plain, "CiphertextBlob": wrapped});
            told(StatusCode::OK, &made)
        }
        Some("Decrypt") => {
            let wrapped = asked["CiphertextBlob"].as_str().unwrap_or_default();
            match keys.get(wrapped).filter(|(bound, _)| *bound == context) {
                Some((_, plain)) => told(StatusCode::OK, &json!({"KeyId": KEY, "Plaintext": plain})),
                None => refused("InvalidCiphertextException"),
            }
        }
        _ => refused("UnsupportedOperationException"),
    }
}

fn refused(code: &str) -> Response {
    told(StatusCode::BAD_REQUEST, &json!({"__type": code, "message": ""}))
}

fn told(status: StatusCode, answer: &Value) -> Response {
    let kind = [(CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, kind, answer.to_string()).into_response()
}

/// The bytes of a key, in base64.
fn random() -> String {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).expect("random bytes");
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use shared::ids::InstanceId;
    use shared::seal::{KeyContext, KeyError, KeyWrapper as _, KmsKeyWrapper, Purpose};

    use super::*;

    #[tokio::test]
    async fn a_data_key_is_unwrapped_in_its_context_alone() {
        let service = KmsStandIn::start().await;
        let keys = KmsKeyWrapper::new(&shared::aws::stand_in(&service.endpoint()), KEY);
        let context = |purpose| KeyContext {
            purpose,
            instance: InstanceId::from_bytes([1; 16]),
        };
        let made = keys.generate(&context(Purpose::Content)).await;
        let (_, wrapped) = made.expect("a key");
        let unwrapped = keys.unwrap(&context(Purpose::Content), &wrapped).await;
        unwrapped.expect("the key");
        let elsewhere = keys.unwrap(&context(Purpose::Session), &wrapped).await;
        assert!(matches!(elsewhere, Err(KeyError::WrongContext)), "{elsewhere:?}");
    }
}
