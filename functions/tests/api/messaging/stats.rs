//! `GET /api/stats`.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::counting::Counter;
use shared::domain::message::Kind;

use crate::support::World;

#[tokio::test]
async fn days_add_up() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let today = world.clock.now();
    let counters = &world.state.counters;
    for (days_ago, counted) in [
        (0, vec![Counter::Sent(Kind::Text), Counter::Delivered]),
        (0, vec![Counter::Sent(Kind::Text)]),
        (1, vec![Counter::Sent(Kind::Text), Counter::Failed]),
        (40, vec![Counter::Received]),
    ] {
        let at = today - TimeDelta::days(days_ago);
        counters.count(instance, &counted, at).await.expect("counted");
    }
    let data = key.get("/api/stats").await.data(200);
    assert_eq!(
        data,
        json!({
            "from": "2025-12-03",
            "to": "2026-01-01",
            "totals": {"sent": 3, "delivered": 1, "read": 0, "failed": 1, "received": 0},
            "byKind": {"text": 3},
            "days": [
                {"date": "2026-01-01", "sent": 2, "delivered": 1, "read": 0, "failed": 0, "received": 0},
                {"date": "2025-12-31", "sent": 1, "delivered": 0, "read": 0, "failed": 1, "received": 0},
            ],
        })
    );
    let path = "/api/stats?from=2025-11-01&to=2025-12-01";
    let data = key.get(path).await.data(200);
    assert_eq!(data["totals"]["received"], json!(1));
    assert_eq!(
        key.get("/api/stats?from=today").await.error(),
        "400 VALIDATION_ERROR: `from` must be a date such as 2026-01-31"
    );
}
