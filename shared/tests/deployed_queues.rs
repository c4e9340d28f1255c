//! The queues that `localstack/init.sh` makes are those that the code knows, with the same attributes. `.ci/run` runs
//! this after the script; `.ci/template.py` then compares `template.yaml` with the same queues.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use shared::queue::{MAX_BODY_BYTES, QueueNames};

const SHARDS: u32 = 4;

#[tokio::test]
#[ignore = "not run: needs an SQS endpoint in WAXWING_SQS_ENDPOINT where localstack/init.sh has run; see .ci/run"]
async fn the_set_up_makes_the_queues_that_the_code_knows() {
    #[expect(clippy::disallowed_methods, reason = "the test's one setting")]
    let endpoint = std::env::var("WAXWING_SQS_ENDPOINT").expect("WAXWING_SQS_ENDPOINT names an SQS endpoint");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "static"))
        .endpoint_url(endpoint);
    let client = Client::from_conf(config.build());
    let names = QueueNames::new("waxwing", "sandbox").expect("queue names");
    for (name, wanted) in names.all(SHARDS) {
        let url = client
            .get_queue_url()
            .queue_name(name.as_str())
            .send()
            .await
            .expect("the queue exists");
        let made = client
            .get_queue_attributes()
            .queue_url(url.queue_url.expect("an address"))
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .expect("the queue has attributes")
            .attributes
            .expect("the queue has attributes");
        let made: HashMap<&str, &str> = made
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            made["VisibilityTimeout"],
            wanted.visibility.as_secs().to_string(),
            "{name}"
        );
        assert_eq!(
            made["MessageRetentionPeriod"],
            wanted.retention.as_secs().to_string(),
            "{name}"
        );
        assert_eq!(made["MaximumMessageSize"], MAX_BODY_BYTES.to_string(), "{name}");
        let high_throughput = name.is_fifo().then_some("perMessageGroupId");
        assert_eq!(
            made.get("FifoThroughputLimit").copied(),
            high_throughput,
            "{name}"
        );
        let per_group = name.is_fifo().then_some("messageGroup");
        assert_eq!(made.get("DeduplicationScope").copied(), per_group, "{name}");
        let policy: Option<serde_json::Value> = made
            .get("RedrivePolicy")
            .map(|text| serde_json::from_str(text).expect("a policy is JSON"));
        match (policy, wanted.dead_letter) {
            (None, None) => {}
            (Some(policy), Some((dead, max))) => {
                let target = policy["deadLetterTargetArn"].as_str().expect("an ARN");
                assert_eq!(target.rsplit(':').next(), Some(dead.as_str()), "{name}");
                assert_eq!(policy["maxReceiveCount"], max, "{name}");
            }
            (policy, dead_letter) => panic!("{name}: {policy:?} made, {dead_letter:?} wanted"),
        }
    }
}
