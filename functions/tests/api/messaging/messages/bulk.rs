//! `POST /api/messages/bulk`.

use serde_json::{Value, json};
use shared::domain::job::Job;
use shared::domain::payload;
use shared::domain::recipient::Recipient;

use crate::flaky_queue::Send;
use crate::support::{Answer, Caller, World};

const ALICE: &str = "15550100002";
const BOB: &str = "15550100003";

fn text(to: &str, text: impl std::fmt::Display) -> Value {
    json!({"kind": "text", "to": to, "text": text.to_string()})
}

async fn send(key: &Caller, messages: &[Value]) -> Answer {
    key.send("bulk", json!({"messages": messages})).await
}

/// The ids of what was accepted; `None` where a message was not.
fn ids(answer: &Value) -> Vec<Option<String>> {
    let results = answer["results"].as_array().expect("a list").iter();
    let id = |result: &Value| result["message"]["id"].as_str().map(str::to_owned);
    results.map(id).collect()
}

/// The ids of all jobs to this chat, in the order in which a daemon gets them.
async fn jobs(world: &World, chat: &str) -> Vec<String> {
    let sends = world.queue_names().sends(0);
    let chat: Recipient = chat.parse().expect("a chat");
    let mut jobs = Vec::new();
    loop {
        let waiting = world.waiting(&sends).await;
        if waiting.is_empty() {
            return jobs;
        }
        for received in waiting {
            let Job::Send(job) = payload::decode(&received.body).expect("ours");
            jobs.extend((*job.chat() == chat).then(|| job.message.to_string()));
            let deleted = world.state.queue.delete(&sends, &received.receipt).await;
            deleted.expect("deleted");
        }
    }
}

#[tokio::test]
async fn of_a_hundred_with_ten_bad_ones_ninety_are_accepted_in_order_once() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let messages: Vec<_> = (0..100)
        .map(|n| match n {
            7 => json!({"to": ALICE, "text": "no kind"}),
            17 => json!({"kind": "hologram", "to": ALICE, "text": "x"}),
            27 => json!({"kind": "Text", "to": ALICE, "text": "x"}),
            37 => text("nobody", n),
            47 => text(ALICE, ""),
            57 => json!({"kind": "text", "to": ALICE}),
            67 => json!({"kind": "location", "to": ALICE, "latitude": 91, "longitude": 0}),
            77 => json!({"kind": "text", "to": ALICE, "text": "x", "mentions": ["x"]}),
            87 => json!({"kind": "text", "to": ALICE, "text": "x", "txt": "x"}),
            97 => json!({"kind": "text", "to": ALICE, "text": "x", "replyTo": {"id": "msg_01JD0000000000000000000000"}}),
            _ if n % 10 == 0 => json!({"kind": "location", "to": ALICE, "latitude": n, "longitude": 0}),
            _ => text(ALICE, n),
        })
        .collect();
    let key = key.with_header("idempotency-key", "order-42");
    let first = send(&key, &messages).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let told = first.data(200);
    assert_eq!((&told["accepted"], &told["refused"]), (&json!(90), &json!(10)));
    let refused: Vec<_> = told["results"]
        .as_array()
        .expect("a list")
        .iter()
        .enumerate()
        .inspect(|(index, result)| assert_eq!(result["index"], *index))
        .filter(|(_, result)| result["message"].is_null())
        .map(|(index, result)| {
            format!(
                "{index} {} {}",
                result["error"]["code"].as_str().expect("a code"),
                result["error"]["details"]["fields"][0]["field"]
                    .as_str()
                    .expect("a field")
            )
        })
        .collect();
    let fields = [
        "kind",
        "kind",
        "kind",
        "to",
        "text",
        "text",
        "latitude",
        "mentions[0]",
        "txt",
        "replyTo.id",
    ];
    let wanted: Vec<_> = (0..10)
        .map(|n| format!("{} VALIDATION_ERROR {}", n * 10 + 7, fields[n]))
        .collect();
    assert_eq!(refused, wanted);
    let one = &told["results"][1]["message"];
    assert_eq!((&one["kind"], &one["status"]), (&json!("text"), &json!("queued")));
    assert_eq!(told["results"][10]["message"]["kind"], "location");

    let again = send(&key, &messages).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(200), told);
    let accepted: Vec<_> = ids(&told).into_iter().flatten().collect();
    assert_eq!(jobs(&world, ALICE).await, accepted);

    let other = send(&key, &messages[1..]).await;
    assert_eq!(
        other.error(),
        "409 IDEMPOTENCY_CONFLICT: The idempotency key came with another request before"
    );
    // Nor is it a key of one of the messages.
    let single = key.send("text", json!({"to": ALICE, "text": "1"})).await;
    assert_eq!(single.status, 409);
}

#[tokio::test]
async fn each_chat_has_its_messages_in_order_however_it_is_spelt() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let spelt = |n: usize| match n % 4 {
        0 => ALICE.to_owned(),
        1 => BOB.to_owned(),
        2 => format!("+{ALICE}"),
        _ => format!("{BOB}@s.whatsapp.net"),
    };
    let messages: Vec<_> = (0..40).map(|n| text(&spelt(n), n)).collect();
    let told = send(&key, &messages).await.data(200);
    let ids: Vec<_> = ids(&told).into_iter().flatten().collect();
    assert_eq!(ids.len(), 40);
    let of = |odd: usize| ids.iter().skip(odd).step_by(2).cloned().collect::<Vec<_>>();
    let sends = world.queue_names().sends(0);
    let mut queued = [Vec::new(), Vec::new()];
    loop {
        let waiting = world.waiting(&sends).await;
        if waiting.is_empty() {
            break;
        }
        for received in waiting {
            let Job::Send(job) = payload::decode(&received.body).expect("ours");
            queued[usize::from(job.chat().phone() == Some(BOB))].push(job.message.to_string());
            let deleted = world.state.queue.delete(&sends, &received.receipt).await;
            deleted.expect("deleted");
        }
    }
    assert_eq!(queued, [of(0), of(1)]);
}

/// As after a crash in the middle: some are in, and one is not.
#[tokio::test]
async fn a_repetition_goes_on_where_the_request_before_it_stopped() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let messages = [text(ALICE, 1), text(ALICE, 2), text(ALICE, 3)];
    world.queue.next_sends([Send::NoQueue]);
    let key = key.with_header("idempotency-key", "order-42");
    let cut = send(&key, &messages).await.data(200);
    assert_eq!(cut["results"][0]["error"]["code"], "UNAVAILABLE");
    assert_eq!(cut["results"][0]["error"]["details"], Value::Null);
    assert_eq!(cut["results"][0]["error"]["retryAfter"], 5);
    let whole = send(&key, &messages).await.data(200);
    assert_eq!((&whole["accepted"], &whole["refused"]), (&json!(3), &json!(0)));
    let (before, after) = (ids(&cut), ids(&whole));
    assert_eq!(before[1..], after[1..]);
    assert!(before[0].is_none() && after[0].is_some());
    assert_eq!(ids(&send(&key, &messages).await.data(200)), after);
    let mut queued = jobs(&world, ALICE).await;
    queued.sort();
    let mut wanted: Vec<_> = after.into_iter().flatten().collect();
    wanted.sort();
    assert_eq!(queued, wanted, "each is there once");
}

#[tokio::test]
async fn without_a_key_each_request_is_one_of_its_own() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let first = ids(&send(&key, &[text(ALICE, "x")]).await.data(200));
    let second = ids(&send(&key, &[text(ALICE, "x")]).await.data(200));
    assert!(first[0].is_some() && first != second);
}

#[tokio::test]
async fn what_is_no_bulk_is_refused() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let count = "400 VALIDATION_ERROR: `messages` must have 1 to 100 messages";
    assert_eq!(send(&key, &[]).await.error(), count);
    let many: Vec<_> = (0..101).map(|n| text(ALICE, n)).collect();
    assert_eq!(send(&key, &many).await.error(), count);
    for (body, told) in [
        (json!({}), "`messages` is missing"),
        (json!({"messages": "x"}), "`messages` must be a list"),
        (json!({"messages": ["x"]}), "`messages[0]` must be an object"),
        (
            json!({"messages": [text(ALICE, 1)], "to": ALICE}),
            "`to` is unknown",
        ),
    ] {
        let answer = key.send("bulk", body).await;
        assert_eq!(answer.error(), format!("400 VALIDATION_ERROR: {told}"));
    }
    assert!(world.waiting(&world.queue_names().sends(0)).await.is_empty());
}

/// Whatever a caller writes into a message, it is sent by the instance of the key.
#[tokio::test]
async fn where_nothing_can_come_of_waiting_each_message_says_so() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let key = world.key(&user, instance, json!({})).await;
    let told = send(&key, &[text(ALICE, 1), text(BOB, 2)]).await.data(200);
    for result in told["results"].as_array().expect("a list") {
        assert_eq!(result["error"]["code"], "INSTANCE_NOT_CONNECTED");
        assert_eq!(result["error"]["details"]["status"], "DISCONNECTED");
    }
}

/// A status says by its own `kind` what it shows, and that member is the bulk's here.
#[tokio::test]
async fn a_status_is_sent_by_itself() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let nested = json!({"kind": "status", "status": {"kind": "text", "text": "x"}});
    let told = send(
        &key,
        &[json!({"kind": "status", "text": "x"}), nested, text(ALICE, 1)],
    )
    .await;
    let told = told.data(200);
    for n in 0..2 {
        assert_eq!(
            told["results"][n]["error"]["details"]["fields"],
            json!([{
                "field": "kind",
                "message": "must not be `status`: the `kind` of a status says what it shows, so it is sent by itself, with \
                            `POST /api/messages/status`",
            }])
        );
    }
    assert_eq!(ids(&told).into_iter().flatten().count(), 1);
}

/// Each says what the endpoint of its kind would say in the header `Retry-After`.
#[tokio::test]
async fn a_refusal_that_passes_says_when_to_try_again() {
    let world = World::with(|mut config| {
        config.messaging.queue_limit = 1;
        config
    })
    .await;
    let (_, _, key) = world.ready().await;
    let single = key.send("text", json!({"to": ALICE, "text": "1"})).await;
    single.data(202);
    let messages = [text(ALICE, 2), text("nobody", 3)];
    let told = send(&key, &messages).await.data(200);
    let [full, wrong] = [0, 1].map(|n| told["results"][n]["error"].clone());
    let alone = key.send("text", json!({"to": ALICE, "text": "2"})).await;
    assert_eq!(
        (&full["code"], alone.code()),
        (&json!("QUEUE_FULL"), "429 QUEUE_FULL".to_owned())
    );
    assert_eq!(full["retryAfter"].to_string(), alone.header("retry-after"));
    assert_eq!(full["docUrl"], "http://waxwing.example/docs/errors/QUEUE_FULL");
    assert_eq!(
        (&wrong["code"], &wrong["retryAfter"]),
        (&json!("VALIDATION_ERROR"), &Value::Null)
    );
}
