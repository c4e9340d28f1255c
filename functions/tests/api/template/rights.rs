//! A function does nothing that it may not do: on its way through every route it makes no call that its role's policies do not
//! allow, to the table or to a queue.

use std::sync::Arc;

use functions::auth::AuthState;
use functions::management::ManagementState;
use functions::messaging::MessagingState;
use functions::service::{self, States};
use functions::state::{Base, Users};
use shared::config::Function;
use shared::queue::Queue;
use shared::queue::sqs::SqsQueue;
use shared::storage::Table;
use testbed::relay::Relay;
use testbed::rights;
use testbed::sqs::SqsStandIn;

use crate::callers::{Cast, Takes, table};
use crate::support::config;

/// A function's ways to the table and to the queues. Each call on them is noted.
struct Ways {
    function: Function,
    table: Relay,
    queue: Relay,
}

impl Ways {
    async fn of(function: Function, table: &str, queue: &str) -> Self {
        let (table, queue) = (Relay::before(table).await, Relay::before(queue).await);
        table.record();
        queue.record();
        Self {
            function,
            table,
            queue,
        }
    }

    fn table(&self) -> Table {
        testbed::table::patient(self.table.endpoint())
    }

    /// Over SQS's own protocol, which asks for more than the port: where a queue is, for one.
    fn queue(&self) -> Arc<dyn Queue> {
        let queue = SqsQueue::from_config(&shared::aws::stand_in(self.queue.endpoint()));
        Arc::new(queue)
    }
}

/// A deployment whose functions each have ways of their own.
struct Apart {
    cast: Cast,
    ways: Vec<Ways>,
    _sqs: SqsStandIn,
}

impl Apart {
    async fn new() -> Self {
        let mut cast = Cast::new().await;
        let world = &mut cast.world;
        let sqs = SqsStandIn::over(world.queue.clone()).await;
        let mut ways = Vec::new();
        for function in Function::ALL {
            ways.push(Ways::of(function, &world.database.endpoint, sqs.endpoint()).await);
        }
        let [auth, management, messaging] = &ways[..] else {
            unreachable!("there are three functions")
        };
        let mut config = config();
        (config.auth.auth_rate, config.users.user_rate) = (10_000, 10_000);
        let base = |ways: &Ways| {
            let clock = Arc::new(world.clock.clone());
            Base::new(&config.base, ways.table(), ways.queue(), clock).expect("a queue prefix")
        };
        let jwts = &world.states.auth.jwts;
        let users = |ways: &Ways| Users::new(base(ways), &config.users, world.mail.clone(), jwts.clone());
        let sealer = &world.state.sealer;
        let router = service::all(States {
            base: base(management),
            auth: AuthState::new(users(auth), &config.auth),
            management: ManagementState::new(users(management), sealer.clone(), &config.management),
            messaging: MessagingState::new(
                base(messaging),
                sealer.clone(),
                world.states.messaging.bucket.clone(),
                &config.messaging,
            ),
        });
        world.serve(router);
        Self {
            cast,
            ways,
            _sqs: sqs,
        }
    }

    /// How many calls the functions have made since this was last asked, and what of them they may not do.
    fn denied(&self) -> (usize, Vec<String>) {
        let (mut count, mut denied) = (0, Vec::new());
        for ways in &self.ways {
            let mut calls = ways.table.take_calls();
            calls.extend(ways.queue.take_calls());
            count += calls.len();
            denied.extend(rights::denied(ways.function.into(), &calls));
        }
        (count, denied)
    }
}

#[tokio::test]
async fn no_function_does_what_its_policies_do_not_allow() {
    let mut apart = Apart::new().await;
    let (mut wrong, mut all) = (Vec::new(), 0);
    for route in table() {
        let token = apart.cast.token_for(&route).await;
        let answer = apart.cast.send(&route, &token).await;
        let (method, path) = (route.method, route.path);
        let (count, denied) = apart.denied();
        all += count;
        wrong.extend(denied.iter().map(|denied| format!("{method} {path}: {denied}")));
        // What was done cannot be done again.
        if answer.status < 300 && method != "GET" && route.takes != Takes::Anyone {
            apart = Apart::new().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all > table().len(), "calls of most routes are noted: {all}");
}
