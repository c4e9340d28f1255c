//! The configuration of AWS clients: from the environment in a deployment, for an endpoint on one machine.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

/// What the environment says: region, credentials and `AWS_ENDPOINT_URL`.
pub async fn from_environment() -> SdkConfig {
    aws_config::load_defaults(BehaviorVersion::latest()).await
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
