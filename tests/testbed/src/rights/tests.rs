//! What the template allows at all, and how calls are read.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn call(operation: &str, body: &Value) -> Call {
    Call {
        operation: operation.to_owned(),
        body: body.to_string(),
    }
}

fn read(pk: &str) -> Call {
    call(
        "GetItem",
        &json!({"TableName": "waxwing", "Key": {"pk": {"S": pk}, "sk": {"S": "-"}}}),
    )
}

fn writes(pk: &str) -> [Call; 4] {
    let key = json!({"pk": {"S": pk}, "sk": {"S": "-"}});
    let item = json!({"TableName": "waxwing", "Item": key});
    let of_key = json!({"TableName": "waxwing", "Key": key});
    [
        call("PutItem", &item),
        call("UpdateItem", &of_key),
        call(
            "TransactWriteItems",
            &json!({"TransactItems": [{"Delete": of_key}]}),
        ),
        call(
            "BatchWriteItem",
            &json!({"RequestItems": {"waxwing": [{"PutRequest": {"Item": key}}]}}),
        ),
    ]
}

/// Session state is the account, data keys open it, and leases say who may write it: the daemon alone has to do with these.
#[test]
fn no_function_has_to_do_with_what_is_the_daemons() {
    for role in Role::ALL {
        let is_daemon = role == Role::Daemon;
        for kind in ["sess#1", "dek#1", "leases#sandbox", "daemons#sandbox"] {
            for write in writes(kind) {
                let denied = denied(role, [&write]);
                assert_eq!(denied.is_empty(), is_daemon, "{role:?} {write:?}");
            }
        }
        assert_eq!(denied(role, [&read("sess#1")]).is_empty(), is_daemon, "{role:?}");
        let unwrap = |operation: &str, purpose: &str| {
            let context = json!({"purpose": purpose, "instance": "inst_1"});
            call(
                operation,
                &json!({"KeyId": "alias/waxwing", "EncryptionContext": context}),
            )
        };
        for (operation, purpose) in [("GenerateDataKey", "content"), ("Decrypt", "session")] {
            let denied = denied(role, [&unwrap(operation, purpose)]);
            assert_eq!(denied.is_empty(), is_daemon, "{role:?} {operation} {purpose}");
        }
        let opens = denied(role, [&unwrap("Decrypt", "content")]).is_empty();
        assert_eq!(opens, role != Role::Auth, "{role:?}");
    }
}

#[test]
fn whoever_meets_users_reads_the_secret_of_tokens_and_no_other() {
    for role in Role::ALL {
        let reads = |arn: &str| denied(role, [&call("GetSecretValue", &json!({"SecretId": arn}))]).is_empty();
        let meets_users = !matches!(role, Role::Messaging | Role::Webhooks);
        assert_eq!(reads(crate::secrets::ARN), meets_users, "{role:?}");
        assert!(!reads(
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:RedisSecret"
        ));
    }
}

#[test]
fn nobody_may_do_what_names_no_key() {
    let all = json!({"TableName": "waxwing"});
    let statement = json!({"Statement": "SELECT * FROM waxwing"});
    let calls = [
        call("Scan", &all),
        call("DeleteTable", &all),
        call("ExecuteStatement", &statement),
        call("", &Value::Null),
        call(
            "PurgeQueue",
            &json!({"QueueUrl": "http://localhost/1/waxwing-sandbox-sends-0.fifo"}),
        ),
        call("ScheduleKeyDeletion", &json!({"KeyId": "alias/waxwing"})),
    ];
    for role in Role::ALL {
        for call in &calls {
            assert_eq!(denied(role, [call]).len(), 1, "{role:?} {call:?}");
        }
    }
}

#[test]
fn each_part_and_each_key_counts() {
    let part = |pk: &str| json!({"TableName": "waxwing", "Key": {"pk": {"S": pk}}});
    let transaction = json!({"TransactItems": [
        {"Update": part("msgs#1")}, {"ConditionCheck": part("sub#1")}, {"Update": part("sub#1")},
    ]});
    let denied_to = |role, call: &Call| Vec::from_iter(denied(role, [call]));
    assert_eq!(
        denied_to(Role::Messaging, &call("TransactWriteItems", &transaction)),
        ["messaging may not dynamodb:UpdateItem of table/waxwing with sub#…"]
    );
    let keys = json!([{"pk": {"S": "inst#1"}}, {"pk": {"S": "sess#1"}}]);
    let batch = json!({"RequestItems": {"waxwing": {"Keys": keys}}});
    assert_eq!(
        denied_to(Role::Webhooks, &call("BatchGetItem", &batch)),
        ["webhooks may not dynamodb:BatchGetItem of table/waxwing with inst#…, sess#…"]
    );
    let query = |list: &str| {
        let values = json!({":list": {"S": list}, ":low": {"S": "a"}});
        let query = json!({
            "TableName": "waxwing", "IndexName": "list", "KeyConditionExpression": "listKey = :list AND listSort > :low",
            "ExpressionAttributeValues": values,
        });
        call("Query", &query)
    };
    assert!(denied_to(Role::Webhooks, &query("dlv#1")).is_empty());
    assert_eq!(
        denied_to(Role::Webhooks, &query("users")),
        ["webhooks may not dynamodb:Query of table/waxwing/index/list with users"]
    );
    let send = |queue: &str| {
        let url = format!("http://queues.invalid/000000000000/waxwing-sandbox-{queue}");
        call("SendMessageBatch", &json!({"QueueUrl": url, "Entries": []}))
    };
    assert!(denied_to(Role::Daemon, &send("events.fifo")).is_empty());
    assert_eq!(
        denied_to(Role::Daemon, &send("events-retry")),
        ["daemon may not sqs:SendMessage of waxwing-sandbox-events-retry"]
    );
}

/// The kinds of partitions that the head of `keys.rs` lists, as policies write them: what their keys begin with and `*`, or
/// the one key.
fn kinds() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/src/storage/keys.rs");
    let keys = std::fs::read_to_string(file).expect("a file of the repository");
    let partitions = keys
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next());
    let kinds: BTreeSet<_> = partitions
        .map(|partition| match partition.split_once('<') {
            Some((start, _)) => format!("{start}*"),
            None => partition.to_owned(),
        })
        .collect();
    assert!(kinds.contains("meta") && kinds.contains("sess#*"), "{kinds:?}");
    kinds
}

#[test]
fn what_is_allowed_of_the_table_is_of_kinds_that_it_has() {
    let kinds = kinds();
    let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/waxwing";
    for role in Role::ALL {
        let of_table = role.statements().iter().filter(|statement| {
            let resources = statement["resources"].as_array().expect("a list");
            resources.iter().any(|resource| resource == table)
        });
        let keys = of_table
            .flat_map(|statement| {
                let keys = &statement["conditions"]["ForAllValues:StringLike"][asked::LEADING_KEYS];
                keys.as_array().expect("keys")
            })
            .map(|key| key.as_str().expect("a key"));
        let unknown: Vec<_> = keys.filter(|key| !kinds.contains(*key)).collect();
        assert!(unknown.is_empty(), "{role:?}: {unknown:?}");
    }
}
