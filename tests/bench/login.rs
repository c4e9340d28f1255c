//! Whether the time of a login tells who has an account.
//!
//! Passwords are wrong for both kinds of addresses, as they are for whoever tries them. Each request comes from a
//! source of its own, and no account is tried more often than it may be, so that no lock cuts it short. The kinds
//! alternate, so that other work of the machine slows both alike.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::report::ms;
use crate::stack::Stack;

/// The part by which the medians may differ.
const GOAL: f64 = 0.05;

/// Wrong passwords for one account: fewer than lock it.
const TRIES: u32 = 8;

/// Measures so many logins of each kind; answers whether their medians are close.
pub async fn run(times: u32, cost: u32) -> bool {
    let stack = Stack::start(cost).await;
    for n in 0..times.div_ceil(TRIES) {
        stack.api.register(&known(n)).await;
    }
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    // The first of each kind make connections and fill caches.
    for n in 0..=times {
        let (one, other) = (known(n.min(times - 1) / TRIES), format!("nobody{n}@example.com"));
        // Which of the two comes first alternates as well.
        if n % 2 == 0 {
            of_known.push(login(&stack, &one, 2 * n).await);
            of_unknown.push(login(&stack, &other, 2 * n + 1).await);
        } else {
            of_unknown.push(login(&stack, &other, 2 * n).await);
            of_known.push(login(&stack, &one, 2 * n + 1).await);
        }
    }
    stack.stop().await;
    let median = |times: &mut Vec<Duration>| {
        times.remove(0);
        times.sort_unstable();
        ms(times, 50)
    };
    let (of_known, of_unknown) = (median(&mut of_known), median(&mut of_unknown));
    let ratio = of_known / of_unknown;
    println!("{times} logins of each kind, bcrypt cost {cost}");
    println!("median with an account    {of_known:.2} ms");
    println!("median without an account {of_unknown:.2} ms");
    println!("ratio                     {ratio:.4}");
    (ratio - 1.0).abs() < GOAL
}

fn known(n: u32) -> String {
    format!("somebody{n}@example.com")
}

async fn login(stack: &Stack, email: &str, n: u32) -> Duration {
    let body = json!({"email": email, "password": "a wrong password"});
    let from = format!("198.18.{}.{}", n / 250, n % 250 + 1);
    let somebody = stack.api.with_header("x-forwarded-for", &from);
    let began = Instant::now();
    let answer = somebody.post("/api/auth/login", body).await;
    let took = began.elapsed();
    assert_eq!(answer.code(), "401 INVALID_CREDENTIALS");
    took
}
