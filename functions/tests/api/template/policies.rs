//! What the deployment's template, `template.yaml`, says of a function: its resource, and what its role may do to the table.

use std::collections::BTreeSet;
use std::path::Path;

use testbed::relay::{Fate, On, Relay, Rule};

/// A file of the repository.
fn file(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(file).expect("a file of the repository")
}

/// The template's text.
pub fn template() -> String {
    file("template.yaml")
}

/// The lines of a resource of the template, without comments.
pub fn resource(name: &str) -> Vec<String> {
    let template = template();
    let begins = format!("  {name}:");
    let lines = template.lines().skip_while(|line| *line != begins).skip(1);
    let lines: Vec<_> = lines
        .take_while(|line| line.is_empty() || line.starts_with("   ") || line.starts_with("  #"))
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "the template has no resource {name}");
    lines
}

/// Every kind of partition that the table has, as the head of `keys.rs` lists them and as policies write it: what its keys
/// begin with and `*`, or the one key.
fn kinds() -> BTreeSet<String> {
    let keys = file("shared/src/storage/keys.rs");
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

/// Kinds of partitions that somebody may read, and those that somebody may write.
#[derive(Default)]
struct Grants {
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
}

/// What the policies of a function's role grant it of the table.
fn grants(function: &str) -> Grants {
    let name = function.strip_suffix("Function").expect("a function");
    let role = resource(&format!("{name}Role"));
    let policies = role
        .iter()
        .filter_map(|line| line.trim().strip_prefix("- !Ref "))
        .filter(|policy| policy.ends_with("Policy"));
    let mut grants = Grants::default();
    for policy in policies {
        let lines = resource(policy);
        for statement in lines.split(|line| line.trim() == "- Effect: Allow").skip(1) {
            add(&mut grants, statement);
        }
    }
    grants
}

/// Adds what a statement grants of the table itself: that of an index is another resource.
fn add(grants: &mut Grants, statement: &[String]) {
    if !statement
        .iter()
        .any(|line| line.trim() == "Resource: !GetAtt Table.Arn")
    {
        return;
    }
    let keys = statement
        .iter()
        .find(|line| line.contains("\"dynamodb:LeadingKeys\": ["));
    let (_, keys) = keys.expect("keys").split_once('[').expect("a list");
    let keys = keys.split('"').skip(1).step_by(2).map(str::to_owned);
    if statement.iter().any(|line| line.contains("dynamodb:GetItem")) {
        grants.reads.extend(keys);
    } else {
        grants.writes.extend(keys);
    }
}

/// Calls that name a key of this kind: as `pk`, or as the value `:pk` of a query's condition.
fn at(on: On, kind: &str) -> On {
    match kind.strip_suffix('*') {
        Some(start) => on.with(format!("pk\":{{\"S\":\"{start}")),
        None => on.with(format!("pk\":{{\"S\":\"{kind}\"")),
    }
}

/// A rule at this relay for each kind of partition that a function may not read, and for each that it may not write, with what it
/// says. A stand-in of the table knows no policies, so the calls are compared with them here. A transaction writes all that it
/// names.
pub fn denied(relay: &Relay, function: &str) -> Vec<(String, Rule)> {
    let grants = grants(function);
    let kinds = kinds();
    for granted in grants.reads.iter().chain(&grants.writes) {
        assert!(kinds.contains(granted), "the table has no `{granted}`");
    }
    let mut denied = Vec::new();
    for kind in &kinds {
        if !grants.reads.contains(kind) {
            let reads = On::operations(["GetItem", "BatchGetItem", "Query"]);
            let rule = relay.always(at(reads, kind), Fate::PASS);
            denied.push((format!("{function} reads `{kind}`"), rule));
        }
        if !grants.writes.contains(kind) {
            let writes = On::operations([
                "PutItem",
                "UpdateItem",
                "DeleteItem",
                "BatchWriteItem",
                "TransactWriteItems",
            ]);
            let rule = relay.always(at(writes, kind), Fate::PASS);
            denied.push((format!("{function} writes `{kind}`"), rule));
        }
    }
    assert!(
        denied.iter().any(|(what, _)| what.ends_with("reads `sess#*`")),
        "{function} may read session state"
    );
    denied
}
