//! What the deployment's template, `template.yaml`, says of a function: its resource, and what its policies deny it.

use std::path::Path;

use testbed::relay::{Fate, On, Relay, Rule};

/// The template's text.
pub fn template() -> String {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    std::fs::read_to_string(template).expect("the template")
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

/// Partitions that a policy denies.
struct Denial {
    /// Their keys; one that ends with `*` stands for all that begin so.
    keys: Vec<String>,
    /// Whether reading them is denied as well.
    of_reads: bool,
}

/// The denials of the policies of a function's resource.
fn denials(function: &str) -> Vec<Denial> {
    let function = resource(function);
    let policies = function
        .iter()
        .filter_map(|line| line.trim().strip_prefix("- !Ref "))
        .filter(|policy| policy.ends_with("Policy"));
    policies.flat_map(|policy| of_policy(&resource(policy))).collect()
}

fn of_policy(lines: &[String]) -> Vec<Denial> {
    let statements = lines.split(|line| line.trim().starts_with("- Effect: "));
    let effects = lines
        .iter()
        .filter_map(|line| line.trim().strip_prefix("- Effect: "));
    let denied = effects
        .zip(statements.skip(1))
        .filter(|(effect, _)| *effect == "Deny");
    denied.map(|(_, statement)| of_statement(statement)).collect()
}

fn of_statement(lines: &[String]) -> Denial {
    let keys = lines
        .iter()
        .find(|line| line.contains("\"dynamodb:LeadingKeys\": ["));
    let (_, keys) = keys.expect("keys").split_once('[').expect("a list");
    let keys = keys.split('"').skip(1).step_by(2);
    let reads = |line: &String| line.contains("dynamodb:GetItem") || line.contains("dynamodb:*");
    Denial {
        keys: keys.map(str::to_owned).collect(),
        of_reads: lines.iter().any(reads),
    }
}

/// A rule at this relay for each partition that a function is denied by its resource's policies, with what it says. A stand-in
/// of the table knows no policies, so the calls are compared with them here.
pub fn denied(relay: &Relay, function: &str) -> Vec<(String, Rule)> {
    let denials = denials(function);
    assert!(!denials.is_empty(), "{function} may do everything");
    let mut denied = Vec::new();
    for Denial { keys, of_reads } in denials {
        for key in keys {
            let on = if of_reads {
                On::any()
            } else {
                On::operations([
                    "PutItem",
                    "UpdateItem",
                    "DeleteItem",
                    "BatchWriteItem",
                    "TransactWriteItems",
                ])
            };
            // A key stands in a call as `pk`, or as a value of a query's condition.
            let on = match key.strip_suffix('*') {
                Some(start) => on.with(format!("{{\"S\":\"{start}")),
                None => on.with(format!("\"pk\":{{\"S\":\"{key}\"")),
            };
            let what = format!("{function} at `{key}`");
            denied.push((what, relay.always(on, Fate::PASS)));
        }
    }
    denied
}
