//! The authorisation walk: every route, called by everyone who may and by everyone who may not.
//!
//! The expectations are in one table, `table.txt`, which has a line for each route of the routers and a column for
//! each kind of caller. Everything that a call names exists, and every body is valid. So a refusal is because of the
//! caller alone, and a caller who may call a route gets what it is for.

mod cast;
mod intake;
mod met;
mod refusals;
mod table;

use std::collections::BTreeSet;

use self::cast::Caller;
pub use self::cast::Cast;
pub use self::table::{Takes, routes, table};

#[test]
fn every_route_is_in_the_table_once() {
    let lines: Vec<_> = table()
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    let known: BTreeSet<_> = lines.iter().cloned().collect();
    assert_eq!(known.len(), lines.len(), "a route stands there twice");
    assert_eq!(known, routes());
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_table_says() {
    let mut cast = Cast::new().await;
    let mut wrong = Vec::new();
    for route in table() {
        for (caller, expected) in Caller::ALL.into_iter().zip(route.expected) {
            let answer = cast.call(&route, caller).await;
            if answer.status != expected {
                let (method, path, status) = (route.method, route.path, answer.status);
                wrong.push(format!(
                    "{method} {path} as {caller:?}: {status} in the place of {expected}"
                ));
            }
            // What was done to the things that are there cannot be done again; what was refused has changed nothing.
            let is_done = answer.status < 300 && route.method != "GET";
            if is_done && route.takes != Takes::Anyone {
                cast = Cast::new().await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
