//! AWS Secrets Manager, where a deployment keeps the secrets of access tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use chrono::{DateTime, Utc};

use crate::auth::jwt::{DEFAULT_LIFETIME, Jwts, SecretError, SecretPlace};
use crate::config::{JwtSecret, JwtSecrets};

/// The deadline of a call, the SDK's retries included: a request may wait for it.
const CALL_DEADLINE: Duration = Duration::from_secs(3);

/// One attempt's deadline within a call.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(1);

/// What stays as it is until a person changes it (Secrets Manager, `GetSecretValue`, "Errors"). Whatever else it says may pass.
const REFUSALS: [&str; 5] = [
    "AccessDeniedException",
    "DecryptionFailure",
    "InvalidParameterException",
    "InvalidRequestException",
    "ResourceNotFoundException",
];

/// What signs and checks access tokens, by the secrets that the configuration has or names. Tokens have the usual lifetime.
///
/// # Errors
/// Where the secrets are kept in Secrets Manager, and cannot be had.
pub async fn jwts(
    config: &aws_config::SdkConfig,
    secrets: &JwtSecrets,
    now: DateTime<Utc>,
) -> Result<Jwts, SecretError> {
    match secrets {
        JwtSecrets::Given(secrets) => Ok(Jwts::new(secrets, DEFAULT_LIFETIME)),
        JwtSecrets::Kept(arn) => {
            let place = Arc::new(KeptJwtSecrets::new(config, arn));
            Jwts::kept_at(place, DEFAULT_LIFETIME, now).await
        }
    }
}

/// A secret in Secrets Manager, whose text is what `WAXWING_JWT_SECRET` would be.
pub struct KeptJwtSecrets {
    client: Client,
    arn: String,
}

impl KeptJwtSecrets {
    /// The secret of this ARN.
    pub fn new(config: &aws_config::SdkConfig, arn: impl Into<String>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(CALL_DEADLINE)
            .operation_attempt_timeout(ATTEMPT_DEADLINE);
        let config = aws_sdk_secretsmanager::config::Builder::from(config)
            .timeout_config(timeouts.build())
            .build();
        Self {
            client: Client::from_conf(config),
            arn: arn.into(),
        }
    }
}

impl fmt::Debug for KeptJwtSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptJwtSecrets")
            .field("arn", &self.arn)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretPlace for KeptJwtSecrets {
    async fn read(&self) -> Result<Vec<JwtSecret>, SecretError> {
        let asked = self.client.get_secret_value().secret_id(&self.arn).send();
        let answer = asked.await.map_err(classify)?;
        let Some(text) = answer.secret_string() else {
            return Err(SecretError::Unusable("is no text".to_owned()));
        };
        JwtSecret::read_all(text).map_err(|error| SecretError::Unusable(error.problem))
    }
}

fn classify<E, R>(error: SdkError<E, R>) -> SecretError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
{
    let refuses = match &error {
        SdkError::ConstructionFailure(_) => true,
        SdkError::ServiceError(_) => error.code().is_some_and(|code| REFUSALS.contains(&code)),
        _ => false,
    };
    if refuses {
        SecretError::Refused(error.into())
    } else {
        SecretError::Away(error.into())
    }
}
