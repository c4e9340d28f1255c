//! Questions to an instance's socket.

mod asking;
mod once;

use std::time::Duration;

use chrono::TimeDelta;
use daemon::connection::AskError;
use shared::domain::event::Wants;
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::question::{Answer, Ask, Found, LookUp, Looked, Refusal};
use shared::domain::recipient::Recipient;
use shared::queue::{OutgoingMessage, Queue as _};
use shared::storage::answers::Progress;
use shared::storage::people::People;
use testbed::wait::until;

use self::asking::{ALICE, alice, answer, block, blocked, found, look_up, name};
use crate::world::World;

/// As many as may wait of an instance, to sixteen people; nobody has any of them.
#[tokio::test]
async fn questions_are_answered_while_ten_thousand_texts_wait() {
    const TEXTS: u32 = 10_000;
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for n in 0..TEXTS {
        let to = format!("155501000{:02}", n % 16);
        let job = world.job(&instance, &to, "wait").await;
        world.enqueue(&instance, &job).await;
    }
    // Some are on the wire, and never acknowledged.
    session.sent().await;
    for ask in [look_up(), block(), look_up()] {
        let question = world.ask(&instance, ask.clone()).await;
        let asked = session.questioned().await;
        assert_eq!(asked.ask, ask);
        let told = if ask == block() { blocked() } else { found() };
        answer(asked, Ok(told.clone()));
        assert_eq!(world.until_answered(&question).await, Ok(told));
    }
    let sends = world.names.sends(instance.shard.0);
    let depth = world.queue.depth(&sends).await.expect("read");
    assert_eq!(depth.visible + depth.in_flight, u64::from(TEXTS));
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_and_what_is_said_of_people_is_learnt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.ask(&instance, look_up()).await;
    let asked = session.questioned().await;
    assert_eq!(asked.ask, look_up());
    answer(asked, Ok(found()));
    assert_eq!(world.until_answered(&question).await, Ok(found()));
    world.until_no_queries().await;
    let people = People::new(world.table.clone());
    for by in [ALICE, "lid:200000000000001"] {
        let met = until("a lesson", async || {
            people
                .get(instance.id, &name(by), world.now())
                .await
                .expect("read")
        })
        .await;
        assert_eq!(met.person, alice());
        let said = met
            .is_known_as(world.now() + TimeDelta::hours(23))
            .expect("believed");
        assert_eq!(said.business_name.as_deref(), Some("Engines of Alice"));
        assert_eq!(met.is_known_as(world.now() + TimeDelta::hours(24)), None);
    }

    // It is another question, and WhatsApp says another thing.
    let question = world.ask(&instance, look_up()).await;
    let absent = Answer::from(Looked {
        found: vec![Found::Absent],
    });
    answer(session.questioned().await, Ok(absent.clone()));
    assert_eq!(world.until_answered(&question).await, Ok(absent));
    until("the other lesson", async || {
        let met = people.get(instance.id, &name(ALICE), world.now()).await;
        let met = met.expect("read").expect("met");
        (met.is_known_to_be_absent(world.now()) && met.is_known_as(world.now()).is_none()).then_some(())
    })
    .await;
    daemon.stop().await;
}

/// An instance is stored as connected before that is told, which takes as long as the queue of events does.
#[tokio::test]
async fn whoever_reads_that_an_instance_is_connected_may_ask_at_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let instance = world.instance("main").await;
    world.listen(&instance, &Wants::everything()).await;
    let mut session = daemon.session().await;
    world.queue.delay_batches(Duration::from_secs(5));
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    let question = world.ask(&instance, block()).await;
    answer(session.questioned().await, Ok(blocked()));
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    daemon.stop().await;
}

#[tokio::test]
async fn a_slow_question_delays_no_nudge_and_no_other_instance() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (slow, mut slow_session) = world.connected(&mut daemon).await;
    let quick = world.instance("quick").await;
    world.nudge(&quick).await;
    let mut quick_session = daemon.session().await;
    quick_session.log_in().await;
    world.until_status(&quick, Status::Connected).await;

    // More than may be asked at once, and none is answered.
    let mut questions = Vec::new();
    for _ in 0..8 {
        questions.push(world.ask(&slow, look_up()).await);
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(slow_session.questioned().await);
    }
    let question = world.ask(&quick, block()).await;
    answer(quick_session.questioned().await, Ok(blocked()));
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    // A nudge of the very instance that is slow to answer.
    world.want(&quick, Wanted::Disconnected).await;
    world.until_status(&quick, Status::Disconnected).await;
    assert_eq!(slow_session.questions().len(), 0, "no more than four at once");
    for asked in held {
        answer(asked, Ok(found()));
    }
    for _ in 0..4 {
        answer(slow_session.questioned().await, Ok(found()));
    }
    for question in &questions {
        assert_eq!(world.until_answered(question).await, Ok(found()));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_too_much_at_once_is_refused() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut questions = Vec::new();
    for _ in 0..33 {
        questions.push(world.ask(&instance, block()).await);
    }
    // Which one comes too late is the queue's to say: it has no order.
    let refused = until("a refusal", async || {
        for question in &questions {
            if let Some(Progress::Answered(_)) = world.progress(question).await {
                return Some(question.clone());
            }
        }
        None
    })
    .await;
    assert_eq!(world.until_answered(&refused).await, Err(Refusal::Busy));
    for _ in 0..32 {
        answer(session.questioned().await, Ok(blocked()));
    }
    for question in questions.iter().filter(|question| question.id != refused.id) {
        assert_eq!(world.until_answered(question).await, Ok(blocked()));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_instance_without_a_connection_answers_at_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let session = daemon.session().await;
    for ask in [look_up(), block()] {
        let question = world.ask(&instance, ask).await;
        assert_eq!(world.until_answered(&question).await, Err(Refusal::NotConnected));
    }
    world.until_no_queries().await;
    drop(session);
    daemon.stop().await;
}

#[tokio::test]
async fn what_whatsapp_says_no_to_is_told() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let refused = || AskError::Refused {
        code: Some(406),
        source: "406".into(),
    };
    for (ask, error, told) in [
        (block(), refused(), Refusal::Refused { code: Some(406) }),
        (block(), AskError::NotOnWhatsapp, Refusal::NotOnWhatsapp),
        (block(), AskError::NotConnected, Refusal::NotConnected),
        (block(), AskError::InDoubt, Refusal::InDoubt),
        // To ask again does no harm.
        (look_up(), AskError::InDoubt, Refusal::Unavailable),
    ] {
        let question = world.ask(&instance, ask).await;
        answer(session.questioned().await, Err(error));
        assert_eq!(world.until_answered(&question).await, Err(told));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn whatsapp_is_asked_nothing_more_for_as_long_as_it_wants() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let throttled = AskError::Throttled {
        after: Some(Duration::from_mins(10)),
        source: "429".into(),
    };
    let first = world.ask(&instance, look_up()).await;
    answer(session.questioned().await, Err(throttled));
    let told = world.until_answered(&first).await;
    assert_eq!(told, Err(Refusal::Throttled { seconds: Some(600) }));

    // A socket that is asked would be waited for.
    for ask in [look_up(), block()] {
        let question = world.ask(&instance, ask).await;
        let told = world.until_answered(&question).await;
        let Err(Refusal::Throttled { seconds: Some(left) }) = told else {
            panic!("{told:?}");
        };
        assert!((1..=600).contains(&left), "{left}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn all_of_a_long_list_is_learnt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let contacts: Vec<Recipient> = (0..50).map(|i| name(&format!("155501010{i:02}"))).collect();
    let found = contacts.iter().map(|contact| Found::There {
        person: Person::of(contact),
        business_name: None,
    });
    let found = found.collect();
    let ask = Ask::from(LookUp {
        contacts: contacts.clone(),
    });
    let question = world.ask(&instance, ask).await;
    answer(session.questioned().await, Ok(Looked { found }.into()));
    assert!(world.until_answered(&question).await.is_ok());
    let people = People::new(world.table.clone());
    for contact in &contacts {
        until("a lesson", async || {
            let known = people.get(instance.id, contact, world.now()).await;
            known.expect("read")?.is_known_as(world.now()).map(|_| ())
        })
        .await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_at_which_the_library_panics_costs_itself_alone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    // More than are answered at once.
    let mut lost = Vec::new();
    for _ in 0..6 {
        lost.push(world.ask(&instance, block()).await);
        drop(session.questioned().await);
    }
    let question = world.ask(&instance, block()).await;
    answer(session.questioned().await, Ok(blocked()));
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    for question in &lost {
        assert_eq!(world.give_up(question).await, Progress::Begun);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_of_a_newer_version_is_left_for_a_newer_daemon() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.question(&instance, block());
    let body = payload::encode(&Query::Question(question.clone()));
    let mut newer: serde_json::Value = serde_json::from_str(&body).expect("ours");
    newer["v"] = serde_json::json!(99);
    newer["ask"]["type"] = serde_json::json!("dance");
    let queue = world.names.queries(0);
    let sent = world
        .queue
        .send(&queue, OutgoingMessage::standard(newer.to_string()));
    sent.await.expect("queued");
    until("its rest", async || {
        world
            .queue
            .was_hidden_for(&queue, Duration::from_mins(1))
            .then_some(())
    })
    .await;
    until("its place out of sight", async || {
        let depth = world.queue.depth(&queue).await.expect("read");
        ((depth.visible, depth.in_flight) == (0, 1)).then_some(())
    })
    .await;
    assert!(session.questions().is_empty());
    daemon.stop().await;
}
