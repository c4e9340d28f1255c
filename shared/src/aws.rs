//! The configuration of AWS clients: from the environment in a deployment, for an endpoint on one machine.

mod credentials;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use credentials::Fetched;

/// What the environment says: region, credentials and `AWS_ENDPOINT_URL`. A fetch of credentials goes on when the call that
/// needs them has run out of time.
pub async fn from_environment() -> SdkConfig {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let Some(source) = config.credentials_provider() else {
        return config;
    };
    let fetched = SharedCredentialsProvider::new(Fetched::from(source));
    config.into_builder().credentials_provider(fetched).build()
}

/// A stand-in for AWS on this machine, which asks for credentials and checks none.
pub fn stand_in(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "stand-in");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}
