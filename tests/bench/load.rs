//! Many users at once over every route.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testbed::caller::{Caller, PASSWORD};
use testbed::wait::until;
use tests::flow::{Paired, pair, unique};
use tests::routes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::report::Report;
use crate::stack::{ADMINISTRATOR, Stack};
use crate::user::{Place, Schedule, User};

/// The cheapest hash: what passwords cost is `WAXWING_BCRYPT_COST`'s choice, and no matter
/// of the routes.
const BCRYPT_COST: u32 = 4;

/// How many users are made at once.
const AT_ONCE: u32 = 8;

/// Over how many of its requests' intervals users begin, one after the other. Who begins does the first step of something,
/// and mostly a write: a thousand users who begin at once would be all writers first, and all readers then.
const RAMP: usize = 12;

/// Measures; answers whether every route met the goal without an error.
pub async fn run(users: u32, rate: u32, duration: Duration, instances: usize) -> bool {
    let stack = Stack::start(BCRYPT_COST).await;
    println!("making {users} users and {instances} connected instances");
    let (mut senders, mut came) = (Vec::new(), Vec::new());
    for _ in 0..instances {
        let sender = pair(&stack.bases, &stack.phones).await;
        // It begins as a JPEG does, which is enough for the sandbox.
        stack.phones.set_picture(&sender.other, b"\xff\xd8\xff\xe0").await;
        came.push(file_came(&stack, &sender).await);
        senders.push(sender);
    }
    let administrator = administrator(&stack).await;
    let stack = Arc::new(stack);
    let accounts = accounts(&stack, users).await;
    let place = Arc::new(Place {
        stack: Arc::into_inner(stack).expect("all accounts are made"),
        report: Report::default(),
        senders,
        came,
        administrator,
    });
    let interval = Duration::from_secs(1) * users / rate;
    let ramp = interval * u32::try_from(RAMP).expect("small");
    println!(
        "{users} users, {rate} requests a second, {} s after {} s in which they begin",
        duration.as_secs(),
        ramp.as_secs()
    );
    let began = Instant::now() + Duration::from_secs(1);
    let schedule = Schedule {
        interval,
        counted: began + ramp,
        until: began + ramp + duration,
    };
    let mut work = JoinSet::new();
    for (number, account) in (0_u32..).zip(accounts) {
        let user = User::new(place.clone(), account, number, schedule);
        let first = began + interval * number / users;
        work.spawn(user.beginning(first, RAMP).work());
    }
    work.join_all().await;
    let mut is_met = place.report.print(duration);
    let called = place.report.routes();
    for route in routes::all()
        .iter()
        .filter(|route| !called.contains(&route.as_str()))
    {
        println!("{route} was not called");
        is_met = false;
    }
    let place = Arc::into_inner(place).expect("no user is at work any more");
    place.stack.stop().await;
    is_met
}

/// A message with a file that came in and is kept.
async fn file_came(stack: &Stack, sender: &Paired) -> String {
    let path = format!("/api/instances/{}", sender.instance);
    sender.user.put(&path, json!({"contentDays": 7})).await.data(200);
    let path = format!("/admin/phones/{}/send", sender.other);
    let file = json!({"to": sender.own, "kind": "document", "base64": "SGVsbG8="});
    // The daemon hears of the setting a moment later, and keeps what comes from then on.
    until("a file that is kept", async || {
        stack.phones.post(&path, &file).await;
        let log = sender
            .key
            .get("/api/messages?kind=document&limit=1")
            .await
            .data(200);
        let message = log[0]["id"].as_str()?.to_owned();
        let body = json!({"to": sender.other, "messageId": message});
        let forwarded = sender.key.send("forward", body).await;
        (forwarded.status == 202).then_some(message)
    })
    .await
}

async fn administrator(stack: &Stack) -> Caller {
    let registered = stack.api.register(ADMINISTRATOR).await;
    let token = stack.code(ADMINISTRATOR).await.expect("a mail");
    let body = json!({"token": token});
    registered.post("/api/auth/verify-email", &body).await.data(200);
    let body = json!({"email": ADMINISTRATOR, "password": PASSWORD});
    let login = stack.api.post("/api/auth/login", &body).await.data(200);
    stack
        .api
        .with_token(login["tokens"]["accessToken"].as_str().expect("a token"))
}

/// Users, each with an instance that is not connected and a key.
async fn accounts(stack: &Arc<Stack>, users: u32) -> Vec<(Caller, String)> {
    let mut making = JoinSet::new();
    for part in 0..AT_ONCE {
        let (stack, mine) = (stack.clone(), users / AT_ONCE + u32::from(part < users % AT_ONCE));
        making.spawn(async move {
            let mut made = Vec::new();
            for _ in 0..mine {
                made.push(account(&stack).await);
            }
            made
        });
    }
    making.join_all().await.concat()
}

async fn account(stack: &Stack) -> (Caller, String) {
    let email = format!("{}@example.com", unique());
    let user = stack.api.register(&email).await;
    // Who invites has shown that its address is its own.
    let body = json!({"token": stack.code(&email).await.expect("a mail")});
    user.post("/api/auth/verify-email", &body).await.data(200);
    let instance = user
        .post("/api/instances", json!({"name": "main"}))
        .await
        .data(201);
    user.key("main").await;
    (user.into(), instance["id"].as_str().expect("an id").to_owned())
}
