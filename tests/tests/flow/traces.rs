//! Where a collector is named, a trace leads from the request over both queues to the phone and to the webhook; and whatever the
//! collector does, nobody else notices.

use std::fs::File;

use serde_json::json;
use testbed::caller::Bases;
use testbed::collector::{Collector, Taken};
use tests::flow::{exchange, pair};
use tests::hook::Hook;
use tests::phones::Phones;
use tests::process::Process;
use tokio::net::TcpListener;

use crate::STACK;

/// The trace and the span of a caller: the example of W3C Trace Context.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PRODUCER: u64 = 4;
const CONSUMER: u64 = 5;

/// The last span of this kind that has this parent and whose name begins so.
fn below<'a>(spans: &'a [Taken], parent: &str, kind: u64, name: &str) -> &'a Taken {
    let found = spans.iter().rfind(|span| {
        span.parent.as_deref() == Some(parent) && span.kind == kind && span.name.starts_with(name)
    });
    found.unwrap_or_else(|| panic!("no `{name}` below {parent} among {spans:#?}"))
}

#[tokio::test]
async fn a_trace_leads_from_the_request_to_the_phone_and_the_webhook() {
    const SECRET: &str = "hush-hush";
    const WORDS: &str = "a word between two people";
    let data = tempfile::tempdir().expect("a directory");
    let log = data.path().join("stack.log");
    let (collector, hook) = (Collector::start().await, Hook::start().await);
    let (url, header) = (collector.url(), format!("api-key={SECRET}"));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_EXPORTER_OTLP_HEADERS", &*header),
        ("WAXWING_LOG", "debug"),
    ];
    let stack = Process::start_with_log(
        STACK,
        data.path(),
        &["--sandbox-port", "0"],
        &variables,
        File::create(&log).expect("a file"),
    )
    .await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    hook.attach(&paired, &phones, json!(["*"]), &json!({})).await;
    let key = paired
        .key
        .with_header("traceparent", &format!("00-{TRACE}-{SPAN}-01"));
    let message = key.send_text(&paired.other, WORDS).await;
    let is_sent = |event: &serde_json::Value| {
        event["data"]["id"] == json!(message) && event["data"]["status"] == "sent"
    };
    let told = hook.until(1, is_sent).await;
    // What is traced goes out at the end at the latest.
    stack.stop().await;

    let spans: Vec<Taken> = collector
        .spans()
        .into_iter()
        .filter(|span| span.trace == TRACE)
        .collect();
    let request = below(&spans, SPAN, SERVER, "POST /api/messages/text");
    assert_eq!(request.attributes["http.response.status_code"], "202");
    assert_eq!(request.attributes["http.route"], "/api/messages/text");
    assert!(request.attributes["waxwing.request.id"].starts_with("req_"));
    assert_eq!(request.service, "waxwing");
    let queued = below(&spans, &request.id, PRODUCER, "send waxwing-sandbox-sends-");
    assert_eq!(queued.attributes["waxwing.message.id"], message);
    let work = below(&spans, &queued.id, CONSUMER, "process waxwing-sandbox-sends-");
    assert_eq!(work.attributes["waxwing.message.id"], message);
    assert_eq!(work.attributes["waxwing.outcome"], "sent");
    let attempt = below(&spans, &work.id, CLIENT, "whatsapp send");
    assert!(!attempt.has_failed, "{attempt:?}");
    let event = below(&spans, &work.id, PRODUCER, "send waxwing-sandbox-events.fifo");
    assert_eq!(event.attributes["waxwing.event.type"], "message.status");
    let id = told[0]["id"].as_str().expect("an id");
    assert_eq!(event.attributes["waxwing.event.id"], id);
    let delivery = below(&spans, &event.id, CLIENT, "POST webhook");
    assert_eq!(delivery.attributes["http.response.status_code"], "204");
    assert_eq!(delivery.attributes["waxwing.delivery.attempt"], "1");
    let heard = hook.heard();
    let heard = heard
        .iter()
        .find(|heard| is_sent(&heard.event()))
        .expect("it came");
    assert_eq!(
        heard.headers["traceparent"],
        format!("00-{TRACE}-{}-01", delivery.id),
        "the endpoint may go on with it"
    );

    let hook_url = hook.url();
    let said: [&str; 5] = [WORDS, &paired.own, &paired.other, paired.key.token(), &hook_url];
    for (headers, body) in collector.requests() {
        assert_eq!(headers["api-key"], SECRET);
        for said in said {
            assert!(!body.contains(said), "{said} is in {body}");
        }
    }
    let log = std::fs::read_to_string(&log).expect("a log");
    assert!(
        log.contains("traces go to a collector"),
        "the log has what is looked for"
    );
    assert!(!log.contains(SECRET));
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_away_is_nobodys_affair() {
    // It takes connections, and answers nothing.
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let urls = [&hanging, &gone].map(|listener| format!("http://{}", listener.local_addr().expect("bound")));
    drop(gone);
    for url in urls {
        let data = tempfile::tempdir().expect("a directory");
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)];
        let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &variables).await;
        let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
        let paired = pair(&Bases::one(&stack.api), &phones).await;
        exchange(&paired, &phones).await;
        stack.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_sent_of_traces_that_are_not_sampled() {
    let data = tempfile::tempdir().expect("a directory");
    let (collector, hook) = (Collector::start().await, Hook::start().await);
    let url = collector.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &variables).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    hook.attach(&paired, &phones, json!(["*"]), &json!({})).await;
    let key = paired
        .key
        .with_header("traceparent", &format!("00-{TRACE}-{SPAN}-01"));
    let message = key.send_text(&paired.other, "Hello").await;
    hook.until(1, |event| {
        event["data"]["id"] == json!(message) && event["data"]["status"] == "sent"
    })
    .await;
    stack.stop().await;
    assert!(collector.requests().is_empty());
    for heard in hook.heard() {
        assert!(!heard.headers.contains_key("traceparent"));
    }
}
