//! The log's lines about requests: what each category tells, and what none ever says.

mod secrets;

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use shared::telemetry;

use crate::management::people::{administrator, id};
use crate::support::{Answer, Caller, World};

/// All that this process logs, of whichever test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no holder panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to write down, as a deployment does and more: all that our own code can tell.
    fn start() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Log::default();
            let writer = log.clone();
            let filter = "info,waxwing=trace,functions=trace,shared=trace";
            let lines = telemetry::json_lines(filter, move || writer.clone());
            tracing::subscriber::set_global_default(lines).expect("no other logs in this process");
            log
        });
        log.clone()
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().expect("no holder panics").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// The lines of a category about a request, without what differs from run to run.
    fn of(&self, category: &str, answer: &Answer) -> Vec<Value> {
        let lines = self.text();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
        lines
            .filter(|line| {
                line["category"] == category && line["request.id"] == answer.header("x-request-id")
            })
            .map(|mut line| {
                let members = line.as_object_mut().expect("an object");
                for (member, target) in [
                    ("target", format!("waxwing::{category}")),
                    ("category", category.into()),
                ] {
                    assert_eq!(members.remove(member), Some(json!(target)));
                }
                assert!(members.remove("timestamp").is_some_and(|at| at.is_string()));
                members.remove("request.id");
                line
            })
            .collect()
    }

    /// The one line of a category about a request.
    #[track_caller]
    fn one(&self, category: &str, answer: &Answer) -> Value {
        let mut lines = self.of(category, answer);
        assert_eq!(lines.len(), 1, "{category}: {lines:#?}");
        lines.remove(0)
    }
}

async fn text(key: &Caller) -> Answer {
    let body = json!({"to": "15550100009", "text": "hello"});
    key.send("text", body).await
}

#[tokio::test]
async fn each_request_has_a_line_with_its_route_and_caller() {
    let log = Log::start();
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let user_id = id(&user).await;

    let answer = user.get("/api/instances/sales").await;
    let mut line = log.one("request", &answer);
    assert!(line["duration_ms"].is_u64(), "{line}");
    line["duration_ms"] = json!(0);
    let expected = json!({
        "level": "INFO",
        "message": "request",
        "subscription.id": user.subscription,
        "instance.id": instance,
        "user.id": user_id,
        "method": "GET",
        "route": "/api/instances/{instance}",
        "status": 200,
        "duration_ms": 0,
    });
    assert_eq!(line, expected);

    let answer = key.get("/api/messages/msg_01JD0000000000000000000000").await;
    let line = log.one("request", &answer);
    assert_eq!(line["route"], json!("/api/messages/{message}"));
    assert_eq!(
        (&line["status"], &line["code"]),
        (&json!(404), &json!("NOT_FOUND"))
    );
    assert_eq!(line["subscription.id"], json!(user.subscription));
    assert_eq!(line["instance.id"], json!(instance));
    assert!(line["key.id"].as_str().is_some_and(|id| id.starts_with("key_")));
    assert_eq!(line.get("user.id"), None);

    let answer = world.nobody.get("/api/nothing/15550100009").await;
    let line = log.one("request", &answer);
    assert_eq!((&line["route"], &line["status"]), (&json!("none"), &json!(404)));
    assert_eq!(line.get("subscription.id"), None);
    for category in ["security", "business", "error", "audit"] {
        assert_eq!(log.of(category, &answer), [] as [Value; 0]);
    }
}

#[tokio::test]
async fn whoever_is_kept_out_is_told_of_as_security() {
    let log = Log::start();
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let reads = world
        .key(&user, instance, json!({"scopes": ["messages:read"]}))
        .await;
    let elsewhere = json!({"allowedCidrs": ["198.51.100.0/24"]});
    let elsewhere = world.key(&user, instance, elsewhere).await;
    let users = "/api/users";
    let refusals = [
        (
            world.caller("not-a-token").get("/api/instances").await,
            "UNAUTHENTICATED",
        ),
        (user.get(users).await, "FORBIDDEN"),
        (text(&reads).await, "INSUFFICIENT_SCOPE"),
        (text(&elsewhere).await, "IP_NOT_ALLOWED"),
    ];
    for (answer, code) in refusals {
        let line = log.one("security", &answer);
        assert_eq!(line["event"], json!("request.refused"));
        assert_eq!((&line["code"], &line["level"]), (&json!(code), &json!("WARN")));
        assert_eq!(line["source"], json!("192.0.2.1"));
        assert_eq!(log.one("request", &answer)["code"], json!(code));
    }
    let answer = text(&elsewhere).await;
    assert_eq!(log.one("security", &answer)["instance.id"], json!(instance));
    assert_eq!(log.of("security", &text(&key).await), [] as [Value; 0]);

    let body = json!({"refreshToken": user.refresh_token});
    let path = "/api/auth/refresh";
    world.nobody.post(path, body.clone()).await.data(200);
    world.clock.advance(chrono::TimeDelta::minutes(1));
    let answer = world.nobody.post(path, body).await;
    let events: Vec<_> = log
        .of("security", &answer)
        .iter()
        .map(|line| line["event"].clone())
        .collect();
    assert_eq!(events, ["auth.refresh_replayed", "request.refused"]);

    let wrong = json!({"email": "ada@example.com", "password": "not the password"});
    let mut events = Vec::new();
    for _ in 0..20 {
        let answer = world.nobody.post("/api/auth/login", wrong.clone()).await;
        events = log.of("security", &answer);
        if answer.status == 429 {
            break;
        }
        let codes: Vec<_> = events.iter().filter_map(|line| line["code"].as_str()).collect();
        assert_eq!(codes, ["INVALID_CREDENTIALS"]);
    }
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["code"], json!("ACCOUNT_LOCKED"));
    let locks = log.text();
    let locks = locks
        .lines()
        .filter(|line| line.contains(r#""event":"auth.locked""#));
    assert!(locks.count() > 0, "the lock itself is told of");
}

#[tokio::test]
async fn what_the_business_is_about_is_told_of_by_id() {
    let log = Log::start();
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let root = administrator(&world, "root@example.com").await;

    let answer = text(&key).await;
    let line = log.one("business", &answer);
    assert_eq!(line["event"], json!("message.accepted"));
    assert_eq!(line["message.id"], answer.json()["data"]["id"]);
    assert_eq!(line["instance.id"], json!(instance));
    assert_eq!(line["subscription.id"], json!(user.subscription));

    let created = user.post("/api/instances", json!({"name": "other"})).await;
    let other = created.json()["data"]["id"].clone();
    let path = "/api/instances/other";
    let connected = user.post(&format!("{path}/connect"), ()).await;
    let deleted = user.delete(path).await;
    for (answer, event) in [
        (created, "instance.created"),
        (connected, "instance.connect"),
        (deleted, "instance.deleted"),
    ] {
        let line = log.one("business", &answer);
        assert_eq!(line["event"], json!(event));
        assert_eq!((&line["on"], &line["instance.id"]), (&other, &other));
        let audited = log.one("audit", &answer);
        assert_eq!(audited["action"], json!(event));
        assert_eq!((&audited["on"], &audited["outcome"]), (&other, &json!("success")));
        assert_eq!(audited["source"], json!("192.0.2.1"));
        assert!(audited["audit.id"].is_string());
    }

    let path = format!("/api/subscriptions/{}", user.subscription);
    let answer = root.patch(&path, json!({"tier": "PRO"})).await;
    let line = log.one("business", &answer);
    assert_eq!(line["event"], json!("subscription.updated"));
    assert_eq!(line["on"], json!(user.subscription));
    assert_eq!(
        line["subscription.id"],
        json!(root.subscription),
        "the caller's own"
    );

    let (subscription, now) = (
        user.subscription.parse().expect("an id"),
        shared::clock::Clock::now(&world.clock),
    );
    let table = &world.state.table;
    table
        .client()
        .update_item()
        .table_name(table.name())
        .set_key(Some(shared::storage::keys::month(subscription, now).attributes()))
        .update_expression("SET messages = :many")
        .expression_attribute_values(":many", shared::storage::item::n(50_000))
        .send()
        .await
        .expect("stored");
    let line = log.one("business", &text(&key).await);
    assert_eq!(line["event"], json!("limit.reached"));
    assert_eq!(line["code"], json!("QUOTA_EXCEEDED"));
}

#[tokio::test]
async fn a_failure_is_told_once_with_its_cause() {
    let log = Log::start();
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    world.queue.fail(true);
    let answer = text(&key).await;
    assert_eq!(answer.status, 503);
    let line = log.one("error", &answer);
    assert_eq!(
        (&line["code"], &line["level"]),
        (&json!("UNAVAILABLE"), &json!("WARN"))
    );
    let cause = line["cause"].as_str().expect("a cause");
    assert!(cause.ends_with("out of reach"), "{cause}");
    assert_eq!(line["route"], json!("/api/messages/text"));
    assert_eq!(
        log.of("business", &answer),
        [] as [Value; 0],
        "it is not accepted"
    );

    // What fails beside a request that is done.
    let path = "/api/instances/sales/connect";
    let answer = user.post(path, ()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        log.one("error", &answer)["what"],
        json!("the shard could not be nudged")
    );
    assert_eq!(log.one("request", &answer)["status"], json!(202));
}
