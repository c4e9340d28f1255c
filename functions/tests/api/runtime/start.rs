//! A function that cannot start says why, to Lambda and in its log, and tells no secret. One whose table is away starts.

use serde_json::json;
use shared::config::Function;
use testbed::lambda;

use super::{Deployed, call, event, started};

#[tokio::test]
async fn a_variable_that_is_missing_or_wrong_is_named() {
    const SHORT: &str = "too-short-a-secret";
    let deployed = Deployed::new().await;
    for (function, variable, value, told) in [
        (
            Function::Auth,
            "WAXWING_JWT_SECRET",
            None,
            "WAXWING_JWT_SECRET or WAXWING_JWT_SECRET_ARN must be set",
        ),
        (
            Function::Management,
            "WAXWING_JWT_SECRET",
            Some(SHORT),
            "WAXWING_JWT_SECRET must have 32 bytes or more",
        ),
        (
            Function::Management,
            "WAXWING_KEY_FILE",
            None,
            "WAXWING_KMS_KEY or WAXWING_KEY_FILE must be set",
        ),
        (
            Function::Messaging,
            "WAXWING_BUCKET",
            None,
            "WAXWING_BUCKET must be set",
        ),
        (
            Function::Messaging,
            "WAXWING_SHARDS",
            Some("none"),
            "WAXWING_SHARDS must be a number from 1 to 4096",
        ),
    ] {
        let mut variables = deployed.variables();
        match value {
            Some(value) => variables.insert(variable, value.to_owned()),
            None => variables.remove(variable),
        };
        says_why(started(function, &variables).await, told, SHORT).await;
    }
    let mut variables = deployed.variables();
    variables.remove("WAXWING_BUCKET");
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value)).collect();
    let webhooks = lambda::Function::start(env!("CARGO_BIN_EXE_webhooks"), &variables).await;
    says_why(webhooks, "WAXWING_BUCKET must be set", SHORT).await;
}

async fn says_why(function: lambda::Function, why: &str, secret: &str) {
    let ended = function.until_ended().await;
    assert_eq!(ended.status.code(), Some(1), "{why}");
    assert_eq!(
        ended.told,
        Some(json!({"errorMessage": why, "errorType": "Runtime.InitError", "stackTrace": []}))
    );
    let lines: Vec<_> = ended.log.lines().collect();
    assert_eq!(lines.len(), 1, "{}", ended.log);
    assert!(
        lines[0].contains("the function cannot start") && lines[0].contains(why),
        "{}",
        ended.log
    );
    assert!(!ended.log.contains(secret), "{why}");
}

#[tokio::test]
async fn with_its_table_away_it_starts_and_each_request_finds_out() {
    let deployed = Deployed::new().await;
    let mut variables = deployed.variables();
    // Nobody listens there.
    variables.insert("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1".to_owned());
    let auth = started(Function::Auth, &variables).await;
    auth.until_started().await;
    assert!(auth.log().contains("the table's configuration could not be read"));
    assert_eq!(
        call(&auth, &event("probe")).await.data(200),
        json!({"status": "ok"})
    );
    let refused = call(&auth, &event("login")).await;
    assert_eq!(refused.code(), "503 UNAVAILABLE");
    assert!(!refused.header("retry-after").is_empty());
}
