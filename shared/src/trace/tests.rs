//! Spans on their way to a collector that takes them, refuses them or hangs.

use chrono::{DateTime, TimeDelta};
use testbed::collector::Collector;
use testbed::wait;
use tokio::net::TcpListener;

use super::*;
use crate::clock::SteppedClock;
use crate::config::Secret;

/// Longer than any test takes.
const LONG: Duration = Duration::from_hours(1);

fn settings(url: &str, sampler: Sampler) -> Traces {
    Traces {
        endpoint: format!("{url}/v1/traces").parse().expect("a URL"),
        headers: vec![("api-key".to_owned(), Secret::new("a secret"))],
        service: None,
        sampler,
    }
}

fn tracer_to(url: &str, sampler: Sampler) -> Tracer {
    let clock = SteppedClock::at(DateTime::UNIX_EPOCH + TimeDelta::seconds(7));
    Tracer::to(&settings(url, sampler), "waxwing-test", Arc::new(clock)).expect("a client")
}

async fn flush(tracer: &Tracer) {
    wait::in_time("the end of a flush", tracer.flush(LONG)).await;
}

#[tokio::test]
async fn a_span_and_its_child_reach_the_collector() {
    let collector = Collector::start().await;
    let tracer = tracer_to(&collector.url(), Sampler::default());
    let mut parent = tracer.begin(Kind::Server, None, || "POST /api/messages/text".to_owned());
    parent.say("http.response.status_code", 202_u16);
    let mut child = tracer.begin(Kind::Producer, parent.context(), || "send sends".to_owned());
    child.fail("UNAVAILABLE");
    drop(child);
    let named = parent.context().expect("it is on");
    drop(parent);
    flush(&tracer).await;
    let spans = collector.spans();
    let [child, parent] = spans.as_slice() else {
        panic!("two spans: {spans:?}");
    };
    assert_eq!(parent.name, "POST /api/messages/text");
    assert_eq!((parent.kind, child.kind), (2, 4));
    assert_eq!(parent.parent, None);
    assert_eq!(child.parent.as_ref(), Some(&parent.id));
    assert_eq!(parent.trace, child.trace);
    assert_eq!(named.to_string(), format!("00-{}-{}-01", parent.trace, parent.id));
    assert_eq!(parent.attributes["http.response.status_code"], "202");
    assert_eq!(child.attributes["error.type"], "UNAVAILABLE");
    assert!(child.has_failed && !parent.has_failed);
    assert_eq!(parent.service, "waxwing-test");
    let (headers, body) = &collector.requests()[0];
    assert_eq!(headers["api-key"], "a secret");
    assert_eq!(headers["content-type"], "application/json");
    assert!(body.contains(r#""startTimeUnixNano":"7000000000""#), "{body}");
    let counts = tracer.counts().expect("it is on");
    assert_eq!((counts.exported, counts.dropped), (2, 0));
}

#[tokio::test]
async fn what_is_not_sampled_is_carried_and_not_sent() {
    let collector = Collector::start().await;
    let tracer = tracer_to(&collector.url(), Sampler::new(0.0, true));
    let span = tracer.begin(Kind::Server, None, || unreachable!("nobody asks for its name"));
    let context = span.context().expect("it is on");
    assert!(!context.is_sampled() && !span.is_recorded());
    let child = tracer.begin(Kind::Client, Some(context), || {
        unreachable!("nor for its child's")
    });
    assert!(
        child
            .context()
            .is_some_and(|child| child.trace() == context.trace())
    );
    drop((span, child));
    flush(&tracer).await;
    assert!(collector.requests().is_empty());
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_nobody_and_what_is_too_much_is_dropped() {
    // It takes connections, and answers nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let tracer = tracer_to(&url, Sampler::default());
    for _ in 0..3_000 {
        drop(tracer.begin(Kind::Server, None, || "GET /api/messages".to_owned()));
    }
    let dropped = tracer.counts().expect("it is on").dropped;
    assert_eq!(dropped, 3_000 - 2_048, "the queue is bounded");
    // It makes room for the flush.
    wait::until("the first batch", async || {
        let before = tracer.counts()?.dropped;
        drop(tracer.begin(Kind::Server, None, || "GET /api/messages".to_owned()));
        (tracer.counts()?.dropped == before).then_some(())
    })
    .await;
    wait::in_time("the end of a flush", tracer.flush(Duration::from_millis(10))).await;
    // Nobody waits for it a second time.
    flush(&tracer).await;
    assert_eq!(tracer.counts().expect("it is on").exported, 0);
}

#[tokio::test]
async fn what_a_collector_refuses_is_dropped_and_counted() {
    let collector = Collector::refusing().await;
    let tracer = tracer_to(&collector.url(), Sampler::default());
    drop(tracer.begin(Kind::Server, None, || "GET /api/messages".to_owned()));
    flush(&tracer).await;
    let counts = tracer.counts().expect("it is on");
    assert_eq!((counts.exported, counts.dropped), (0, 1));
    assert_eq!(collector.requests().len(), 1, "it is asked once");
}

#[tokio::test]
async fn a_process_without_a_collector_makes_no_spans() {
    let tracer = Tracer::default();
    let span = tracer.begin(Kind::Server, None, || unreachable!("nobody asks for its name"));
    assert_eq!(span.context(), None);
    assert_eq!(tracer.counts(), None);
    flush(&tracer).await;
}

#[tokio::test]
async fn what_is_done_within_a_span_knows_it() {
    assert_eq!(current(), None);
    let context = TraceContext::under(None, |_| true);
    let seen = within(Some(context), async {
        let inner = within(None, async { current() }).await;
        (current(), inner)
    });
    assert_eq!(seen.await, (Some(context), None));
}
