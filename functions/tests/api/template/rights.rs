//! A function does nothing to the table that it may not do: on its way through every route it meets none of its
//! policies' denials. A stand-in of the table knows no policies, so the calls are compared with them here.

use std::sync::Arc;

use functions::auth::AuthState;
use functions::management::ManagementState;
use functions::messaging::MessagingState;
use functions::service::{self, States};
use functions::state::{Base, Users};
use shared::config::Function;
use shared::storage::Table;
use testbed::relay::{Fate, On, Relay, Rule};

use super::resource;
use crate::callers::{Cast, Takes, table};
use crate::support::config;

/// Partitions that a policy denies.
struct Denial {
    /// Their keys; one that ends with `*` stands for all that begin so.
    keys: Vec<String>,
    /// Whether reading them is denied as well.
    of_reads: bool,
}

/// The denials of a function's policies.
fn denials(function: Function) -> Vec<Denial> {
    let name = function.as_str();
    let function = resource(&format!(
        "{}{}Function",
        name[..1].to_ascii_uppercase(),
        &name[1..]
    ));
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

/// A function's way to the table, with a rule for each partition that it is denied.
struct Way {
    relay: Relay,
    denied: Vec<(String, Rule)>,
}

impl Way {
    async fn of(function: Function, endpoint: &str) -> Self {
        let relay = Relay::before(endpoint).await;
        let denials = denials(function);
        assert!(!denials.is_empty(), "`{}` may do everything", function.as_str());
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
                let what = format!("`{}` at `{key}`", function.as_str());
                denied.push((what, relay.always(on, Fate::PASS)));
            }
        }
        Self { relay, denied }
    }

    fn table(&self) -> Table {
        testbed::table::table(self.relay.endpoint())
    }
}

/// A deployment whose functions each have a way of their own to the table.
struct Apart {
    cast: Cast,
    ways: Vec<Way>,
}

impl Apart {
    async fn new() -> Self {
        let mut cast = Cast::new().await;
        let world = &mut cast.world;
        let mut ways = Vec::new();
        for function in Function::ALL {
            ways.push(Way::of(function, &world.database.endpoint).await);
        }
        let [auth, management, messaging] = &ways[..] else {
            unreachable!("there are three functions")
        };
        let mut config = config();
        (config.auth.auth_rate, config.users.user_rate) = (10_000, 10_000);
        let base = |way: &Way| {
            let clock = Arc::new(world.clock.clone());
            Base::new(&config.base, way.table(), world.queue.clone(), clock).expect("a queue prefix")
        };
        let users = |way: &Way| Users::new(base(way), &config.users, world.mail.clone());
        let sealer = &world.state.sealer;
        let router = service::all(States {
            base: base(management),
            auth: AuthState::new(users(auth), &config.users.jwt_secrets, &config.auth),
            management: ManagementState::new(users(management), sealer.clone(), &config.management),
            messaging: MessagingState::new(
                base(messaging),
                sealer.clone(),
                world.states.messaging.bucket.clone(),
                &config.messaging,
            ),
        });
        world.serve(router);
        Self { cast, ways }
    }

    /// What a function met that it is denied.
    fn met(&self) -> impl Iterator<Item = &str> {
        let denied = self.ways.iter().flat_map(|way| &way.denied);
        denied
            .filter(|(_, rule)| rule.hits() > 0)
            .map(|(what, _)| &**what)
    }
}

#[tokio::test]
async fn no_function_meets_what_its_policies_deny() {
    let mut apart = Apart::new().await;
    let mut wrong = Vec::new();
    for route in table() {
        let token = apart.cast.token_for(&route).await;
        let answer = apart.cast.send(&route, &token).await;
        let (method, path) = (route.method, route.path);
        wrong.extend(apart.met().map(|what| format!("{method} {path}: {what}")));
        // What was done cannot be done again, and what was met is told once.
        let is_done = answer.status < 300 && method != "GET" && route.takes != Takes::Anyone;
        if is_done || apart.met().next().is_some() {
            apart = Apart::new().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
