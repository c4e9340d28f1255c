//! The secret of access tokens in Secrets Manager: a function reads it when it starts, and a changed one arrives without a restart.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::config::Function;
use testbed::secrets::{ARN, Says, SecretsStandIn};

use super::{Deployed, call, event, event_of, registered, started};

const OLD: &str = "an-old-secret-of-thirty-two-bytes-or-more";
const NEW: &str = "a-new-secret-of-thirty-two-bytes-or-more-";

/// What a function finds whose secret is kept there.
fn variables(deployed: &Deployed, secrets: &SecretsStandIn) -> BTreeMap<&'static str, String> {
    let mut variables = deployed.variables();
    variables.remove("WAXWING_JWT_SECRET");
    variables.insert("WAXWING_JWT_SECRET_ARN", ARN.to_owned());
    variables.insert("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.endpoint());
    variables
}

fn list_of(token: &str) -> Value {
    let mut list = event_of(token, "query-encoded");
    list["rawQueryString"] = json!("limit=1");
    list
}

#[tokio::test]
async fn a_changed_secret_arrives_without_a_restart() {
    let deployed = Deployed::new().await;
    let secrets = SecretsStandIn::with(OLD).await;
    let variables = variables(&deployed, &secrets);
    let auth = started(Function::Auth, &variables).await;
    let management = started(Function::Management, &variables).await;
    let old = registered(&auth).await;
    for _ in 0..3 {
        call(&management, &list_of(&old)).await.data(200);
    }
    assert_eq!(secrets.asked(), 2, "once for each process");

    secrets.now_text(&format!("2:{NEW},1:{OLD}"));
    let newer = started(Function::Auth, &variables).await;
    let login = call(&newer, &event("login")).await.data(200);
    let new = login["tokens"]["accessToken"].as_str().expect("a token");
    for token in [new, &old] {
        call(&management, &list_of(token)).await.data(200);
    }
    assert_eq!(secrets.asked(), 4);
    for function in [&auth, &management, &newer] {
        let log = function.log();
        assert!(!log.contains(OLD) && !log.contains(NEW));
    }
}

#[tokio::test]
async fn a_function_that_is_refused_its_secret_says_so() {
    let deployed = Deployed::new().await;
    let secrets = SecretsStandIn::with(OLD).await;
    secrets.now(Says::Error("AccessDeniedException"));
    let function = started(Function::Management, &variables(&deployed, &secrets)).await;
    let ended = function.until_ended().await;
    assert!(!ended.status.success());
    let told = ended.told.expect("it tells Lambda");
    let why = told["errorMessage"].as_str().expect("a message");
    assert!(
        why.starts_with("the secrets of access tokens are refused"),
        "{why}"
    );
    assert!(why.contains("AccessDenied"), "{why}");
    assert!(ended.log.contains("the function cannot start"));
}
