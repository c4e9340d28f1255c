//! The previews of links, on the way of their texts.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use chrono::TimeDelta;
use shared::domain::content::{Content, Preview, Text};
use shared::domain::instance::{Instance, Status};
use shared::domain::job::SendJob;
use shared::domain::message::State;
use shared::domain::shard::lane;
use shared::ids::MessageId;
use shared::queue::Queue as _;
use shared::sealed;
use testbed::wait::until;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::network::Sent;
use crate::world::World;

const ALICE: &str = "15550100001";

/// A host with one page, which it gives out when it may.
struct Host {
    url: String,
    asked: Arc<AtomicUsize>,
    may: Arc<Semaphore>,
}

impl Host {
    async fn new(answers: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (asked, may) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(answers)));
        let (count, leave) = (asked.clone(), may.clone());
        let page = get(async move || {
            count.fetch_add(1, Ordering::SeqCst);
            leave.acquire().await.expect("open").forget();
            Html("<title>The sea</title>")
        });
        let routes = Router::new().fallback_service(page);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, asked, may }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn until_asked(&self) {
        until("a request for the page", async || {
            (self.asked() > 0).then_some(())
        })
        .await;
    }
}

/// A job of a text that asks for a preview.
async fn linked(world: &World, instance: &Instance, to: &str, text: &str) -> SendJob {
    let job = world.job(instance, to, "").await;
    let said = Content::Text(Text::with_preview(text.to_owned(), true));
    let needs = said.needs();
    let sealing = sealed::seal(&world.sealer, instance.id, &job.message, &said);
    let content = sealing.await.expect("sealed");
    SendJob {
        content,
        needs,
        ..job
    }
}

async fn accept(world: &World, instance: &Instance, to: &str, text: &str) -> MessageId {
    let job = linked(world, instance, to, text).await;
    world.record(&job).await;
    world.enqueue(instance, &job).await;
    job.message
}

fn preview(sent: &Sent) -> Option<&Preview> {
    let Content::Text(text) = &sent.content else {
        panic!("a text");
    };
    text.preview.as_deref()
}

/// Another number whose chat is in the same lane as Alice's.
fn neighbour(instance: &Instance) -> String {
    let to = |number: &str| number.parse().expect("a number");
    let mut others = (2..999).map(|n| format!("15550100{n:03}"));
    others
        .find(|number| lane(instance.id, &to(number)) == lane(instance.id, &to(ALICE)))
        .expect("one in the lane")
}

#[tokio::test]
async fn a_text_goes_out_with_what_its_page_says() {
    let (world, host) = (World::new().await, Host::new(1).await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let text = format!("look: {}/sea.", host.url);
    let message = accept(&world, &instance, ALICE, &text).await;
    let sent = session.sent().await;
    assert_eq!(sent.message, message);
    let shown = preview(&sent).expect("a preview");
    assert_eq!(
        (shown.title.as_str(), shown.link.as_str()),
        ("The sea", &*format!("{}/sea", host.url))
    );
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;

    // One that does not ask for a preview has none.
    let plain = world.accept(&instance, ALICE, &text).await;
    let sent = session.sent().await;
    assert_eq!((sent.message, preview(&sent)), (plain, None));
    assert_eq!(host.asked(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_slow_page_holds_up_its_own_chat_alone() {
    let (world, host) = (World::new().await, Host::new(0).await);
    let instance = world.instance("main").await;
    // The queue gives out those of a lane that are there together, and nothing later while one of them is held.
    let slow = accept(&world, &instance, ALICE, &host.url).await;
    let behind = world.accept(&instance, ALICE, "and then").await;
    let other = world.accept(&instance, &neighbour(&instance), "hello").await;
    let mut daemon = world.daemon("a").await;
    let mut session = daemon.session().await;
    session.log_in().await;
    host.until_asked().await;
    assert_eq!(session.sent().await.message, other);
    session.acknowledge(other, None).await;
    world.until_state(&instance, other, State::Sent).await;
    assert_eq!(session.sent_besides(), [], "the page is not there yet");

    host.may.add_permits(1);
    let sent = session.sent().await;
    assert_eq!(sent.message, slow);
    assert!(preview(&sent).is_some());
    session.acknowledge(slow, None).await;
    assert_eq!(session.sent().await.message, behind);
    daemon.stop().await;
}

/// A page that is not had in time costs its text the preview, and not its life.
#[tokio::test]
async fn a_text_that_is_about_to_expire_goes_out_without_a_preview() {
    let (world, host) = (World::new().await, Host::new(0).await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let job = linked(&world, &instance, ALICE, &host.url).await;
    let job = SendJob {
        expires_at: world.now() + TimeDelta::seconds(10),
        ..job
    };
    world.record(&job).await;
    world.enqueue(&instance, &job).await;
    let sent = session.sent().await;
    assert_eq!((sent.message, preview(&sent)), (job.message, None));
    assert_eq!(host.asked(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn no_page_is_fetched_while_nothing_can_be_sent() {
    let (world, host) = (World::new().await, Host::new(1).await);
    let mut daemon = world.daemon("a").await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let mut session = daemon.session().await;
    let message = accept(&world, &instance, ALICE, &host.url).await;
    until("the job in hand", async || {
        let depth = world.queue.depth(&world.names.sends(0)).await.expect("read");
        (depth.in_flight == 1).then_some(())
    })
    .await;
    assert_eq!(host.asked(), 0);
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    let sent = session.sent().await;
    assert_eq!(sent.message, message);
    assert!(preview(&sent).is_some());
    assert_eq!(host.asked(), 1);
    daemon.stop().await;
}

/// It is made when it is needed: a page may change, and a host counts its requests.
#[tokio::test]
async fn no_page_is_fetched_while_a_groups_keys_are_agreed_upon() {
    let (mut world, host) = (World::new().await, Host::new(1).await);
    world.keys_patience = Duration::ZERO;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let message = accept(&world, &instance, "120363021033254949@g.us", &host.url).await;
    world.until_put_off(1).await;
    assert_eq!(host.asked(), 0);
    session.line.keys_hang.send_replace(false);
    let (_, at) = world.put_off().await[0];
    world.clock.advance(at - world.now());
    let sent = session.sent().await;
    assert_eq!(sent.message, message);
    assert!(preview(&sent).is_some());
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    assert_eq!(host.asked(), 1);
    daemon.stop().await;
}
