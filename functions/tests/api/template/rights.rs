//! A function does nothing to the table that it may not do: on its way through every route it makes no call that its role's
//! policies do not allow.

use std::sync::Arc;

use functions::auth::AuthState;
use functions::management::ManagementState;
use functions::messaging::MessagingState;
use functions::service::{self, States};
use functions::state::{Base, Users};
use shared::config::Function;
use shared::storage::Table;
use testbed::relay::{Relay, Rule};

use super::policies::denied;
use crate::callers::{Cast, Takes, table};
use crate::support::config;

/// The name of a function's resource.
fn resource_of(function: Function) -> String {
    let name = function.as_str();
    format!("{}{}Function", name[..1].to_ascii_uppercase(), &name[1..])
}

/// A function's way to the table, with a rule for each kind of partition that it may not read or write.
struct Way {
    relay: Relay,
    denied: Vec<(String, Rule)>,
}

impl Way {
    async fn of(function: Function, endpoint: &str) -> Self {
        let relay = Relay::before(endpoint).await;
        let denied = denied(&relay, &resource_of(function));
        Self { relay, denied }
    }

    fn table(&self) -> Table {
        testbed::table::patient(self.relay.endpoint())
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
