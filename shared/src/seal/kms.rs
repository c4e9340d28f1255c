//! Wrapping by AWS KMS.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use super::wrapper::{DataKey, KeyContext, KeyError, KeyWrapper};

/// The deadline of a call, the SDK's retries included: a session that starts waits for it.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// One attempt's deadline within a call.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(2);

/// Has KMS make and unwrap data keys, with the context as KMS's encryption context. So a key policy can grant a role
/// one purpose alone (`kms:EncryptionContext:purpose = "content"`).
#[derive(Debug, Clone)]
pub struct KmsKeyWrapper {
    client: Client,
    key_id: String,
}

impl KmsKeyWrapper {
    /// Wraps under the KMS key `key_id`: an id, an ARN or an alias.
    pub fn new(config: &aws_config::SdkConfig, key_id: impl Into<String>) -> Self {
        let config = aws_sdk_kms::config::Builder::from(config)
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(CALL_DEADLINE)
                    .operation_attempt_timeout(ATTEMPT_DEADLINE)
                    .build(),
            )
            .build();
        Self {
            client: Client::from_conf(config),
            key_id: key_id.into(),
        }
    }
}

#[async_trait]
impl KeyWrapper for KmsKeyWrapper {
    async fn generate(&self, context: &KeyContext) -> Result<(DataKey, Vec<u8>), KeyError> {
        let mut request = self
            .client
            .generate_data_key()
            .key_id(&self.key_id)
            .key_spec(DataKeySpec::Aes256);
        for (name, value) in context.pairs() {
            request = request.encryption_context(name, value);
        }
        let answer = request.send().await.map_err(classify)?;
        let plain = answer
            .plaintext
            .as_ref()
            .map(Blob::as_ref)
            .and_then(DataKey::from_slice);
        match (plain, answer.ciphertext_blob) {
            (Some(plain), Some(wrapped)) => Ok((plain, wrapped.into_inner())),
            _ => Err(KeyError::Refused("the answer has no 32-byte key".into())),
        }
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        let mut request = self
            .client
            .decrypt()
            .key_id(&self.key_id)
            .ciphertext_blob(Blob::new(wrapped));
        for (name, value) in context.pairs() {
            request = request.encryption_context(name, value);
        }
        let answer = request.send().await.map_err(classify)?;
        let plain = answer
            .plaintext
            .as_ref()
            .map(Blob::as_ref)
            .and_then(DataKey::from_slice);
        plain.ok_or_else(|| KeyError::Refused("the answer has no 32-byte key".into()))
    }
}

fn classify<E, R>(error: SdkError<E, R>) -> KeyError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match (&error, error.code().unwrap_or_default()) {
        (SdkError::ServiceError(_), "InvalidCiphertextException" | "IncorrectKeyException") => {
            KeyError::WrongContext
        }
        (
            SdkError::ServiceError(_),
            "ThrottlingException"
            | "KMSInternalException"
            | "DependencyTimeoutException"
            | "KeyUnavailableException",
        )
        | (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => {
            KeyError::Unavailable(error.into())
        }
        _ => KeyError::Refused(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::error::ErrorMetadata;
    use aws_sdk_kms::operation::decrypt::DecryptError;

    use super::*;
    use crate::nature::Nature;
    use crate::seal::SealError;

    fn nature(code: &str) -> Nature {
        let metadata = ErrorMetadata::builder().code(code).build();
        let error: SdkError<DecryptError, ()> = SdkError::service_error(DecryptError::generic(metadata), ());
        SealError::from(classify(error)).nature()
    }

    /// A disabled key, a withdrawn permission or a key of another region fails for every instance at once, so it
    /// proves nothing about a single value.
    #[test]
    fn no_answer_of_kms_proves_that_a_value_is_corrupt() {
        for code in [
            "DisabledException",
            "KMSInvalidStateException",
            "NotFoundException",
            "AccessDeniedException",
            "InvalidCiphertextException",
            "IncorrectKeyException",
            "InvalidKeyUsageException",
            "CodeOfNextYear",
            "",
        ] {
            assert_eq!(nature(code), Nature::Unknown, "{code}");
        }
        for code in [
            "ThrottlingException",
            "KMSInternalException",
            "KeyUnavailableException",
        ] {
            assert_eq!(nature(code), Nature::Transient, "{code}");
        }
    }

    #[test]
    fn a_value_that_does_not_open_under_its_key_is_corrupt() {
        assert!(SealError::DoesNotOpen.nature().is_permanent());
    }
}
