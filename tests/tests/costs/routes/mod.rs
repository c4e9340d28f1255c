//! What a request to each route costs, as consumed capacity: `docs/capacity.md` has the
//! table, and this holds it to the code.

mod office;
mod walk;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use shared::domain::counting::Counter;
use testbed::relay::meter::{Bill, Charge, sum};
use tests::routes;

use self::office::{Office, text};

/// What belongs to the request: rate limits are counted for several requests at once, and how often a request looks for the
/// answer to its question is the daemon's to say.
fn of_request(bill: &Bill) -> Charge {
    sum(bill, |prefix| !matches!(prefix, "rate" | "ask"))
}

/// The table as the document has it.
fn table(rows: &BTreeMap<String, Charge>) -> String {
    let mut table = String::new();
    let split = rows
        .iter()
        .map(|(route, charge)| (route.split_once(' ').expect("a path"), charge));
    let mut rows: Vec<_> = split.collect();
    rows.sort_by_key(|((method, path), _)| (*path, *method));
    for ((method, path), charge) in rows {
        let units = charge.units;
        let (whole, half) = (
            units.half_reads / 2,
            if units.half_reads % 2 == 1 { ".5" } else { "" },
        );
        let _ = writeln!(
            table,
            "| `{method} {path}` | {} | {whole}{half} | {} |",
            units.writes, charge.calls
        );
    }
    table
}

#[tokio::test]
async fn a_request_to_each_route_costs_what_the_table_says() {
    let office = Office::open(5_000).await;
    let rows = walk::every_route(&office).await;
    let called: Vec<_> = rows.keys().cloned().collect();
    assert_eq!(called, routes::all(), "call each route in `walk.rs`");

    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/capacity.md");
    let document = std::fs::read_to_string(document).expect("the document");
    let pinned: Vec<_> = document.lines().filter(|line| line.starts_with("| `")).collect();
    let measured = table(&rows);
    assert!(
        measured.lines().eq(pinned),
        "docs/capacity.md does not say what requests cost. Where the change is meant, its table is now:\n{measured}"
    );
}

#[tokio::test]
async fn the_cap_on_waiting_messages_costs_a_query_for_each_time_that_as_many_were_sent() {
    let office = Office::open(5).await;
    let user = office.api.register("ada@example.com").await;
    let (instance, key) = office.paired(&user).await;
    // Makes the data key.
    let mut calls = Vec::new();
    for _ in 0..16 {
        office.wait();
        office.meter.settled_bill().await;
        key.post("/api/messages/text", &text()).await.data(202);
        calls.push(of_request(&office.meter.settled_bill().await).calls);
        let now = office.now();
        let counters = &office.state.counters;
        counters
            .count(instance, &[Counter::Ended], now)
            .await
            .expect("counted");
    }
    let usual = calls[1];
    let more: Vec<_> = (1..=16).zip(calls).filter(|(_, calls)| *calls > usual).collect();
    // A second passes between two: with each query the recipient is read again, which is good for five.
    assert_eq!(more[1..], [(6, usual + 2), (11, usual + 2), (16, usual + 2)]);
    assert_eq!(more[0].0, 1);
}
