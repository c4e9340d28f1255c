//! A question that changes something is begun at most once, whatever fails on its way, and not once its asker has gone.

use std::time::Duration;

use shared::domain::instance::Status;
use shared::domain::question::{Answer, Ask, Block, Found, Looked, Refusal};
use shared::queue::Queue as _;
use shared::storage::answers::Progress;
use testbed::relay::{Fate, On, Relay};
use testbed::wait::{in_time, until};

use super::asking::{answer, block, blocked, found, look_up, name};
use crate::world::World;

#[tokio::test]
async fn a_question_past_its_time_is_not_begun() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut late = Vec::new();
    for ask in [look_up(), block()] {
        let mut question = world.question(&instance, ask);
        question.answer_by = world.now();
        world.put(&instance, &question).await;
        late.push(question);
    }
    world.until_no_queries().await;
    assert!(session.questions().is_empty());
    for question in &late {
        assert_eq!(world.progress(question).await, None);
        assert_eq!(world.give_up(question).await, Progress::GivenUp, "not started");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_that_was_given_up_is_not_begun() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.question(&instance, block());
    assert_eq!(world.give_up(&question).await, Progress::GivenUp);
    world.put(&instance, &question).await;
    world.until_no_queries().await;
    assert!(session.questions().is_empty());
    assert_eq!(world.progress(&question).await, Some(Progress::GivenUp));

    // One that reads does no harm, and its answer comes too late.
    let question = world.question(&instance, look_up());
    assert_eq!(world.give_up(&question).await, Progress::GivenUp);
    world.put(&instance, &question).await;
    answer(session.questioned().await, Ok(found()));
    world.until_no_queries().await;
    assert_eq!(world.progress(&question).await, Some(Progress::GivenUp));
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_that_comes_twice_changes_something_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.question(&instance, block());
    world.put(&instance, &question).await;
    world.put(&instance, &question).await;
    let first = session.questioned().await;
    world.until_no_queries().await;
    assert!(session.questions().is_empty(), "it was begun once");
    // Whoever asked waits no longer, and cannot say that nothing was done.
    assert_eq!(world.give_up(&question).await, Progress::Begun);
    answer(first, Ok(blocked()));
    // A retry finds what came late.
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    world.put(&instance, &question).await;
    world.until_no_queries().await;
    assert!(session.questions().is_empty(), "nor when it is done");

    // One that reads is asked again, and the first answer counts.
    let question = world.question(&instance, look_up());
    world.put(&instance, &question).await;
    world.put(&instance, &question).await;
    let (first, second) = (session.questioned().await, session.questioned().await);
    answer(first, Ok(found()));
    assert_eq!(world.until_answered(&question).await, Ok(found()));
    let other = Answer::from(Looked {
        found: vec![Found::Unsaid],
    });
    answer(second, Ok(other));
    world.until_no_queries().await;
    assert_eq!(world.until_answered(&question).await, Ok(found()));
    daemon.stop().await;
}

#[tokio::test]
async fn a_question_whose_beginning_cannot_be_stored_is_not_begun() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let failing = table.always(On::operation("PutItem").with("ask#"), Fate::FAILED);
    let question = world.ask(&instance, block()).await;
    world.until_no_queries().await;
    until("an attempt to begin it", async || {
        (failing.hits() >= 1).then_some(())
    })
    .await;
    // Before the table heals: an attempt may still be under way, and must find that nobody waits.
    assert_eq!(world.give_up(&question).await, Progress::GivenUp, "not started");
    assert!(session.questions().is_empty());
    failing.end();

    // The answer to the first attempt is lost: the repetition finds its own mark.
    let lost = table.plan(On::operation("PutItem").with("ask#"), [Fate::PASS.unanswered()]);
    let question = world.ask(&instance, block()).await;
    answer(session.questioned().await, Ok(blocked()));
    assert!(lost.is_done());
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    daemon.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_at_once_is_stored_later() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let question = world.ask(&instance, block()).await;
    let asked = session.questioned().await;
    // More than the SDK hides.
    let failing = table.plan(On::operation("PutItem").with("ask#"), [Fate::THROTTLED; 4]);
    answer(asked, Ok(blocked()));
    assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    assert!(failing.is_done());
    daemon.stop().await;
}

/// Every third call of the queue fails, half of them after they took effect: a question that changes something is begun only
/// where it is known to be deleted, and never twice.
#[tokio::test]
async fn a_queue_that_fails_at_times_lets_nothing_be_done_twice() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut questions = Vec::new();
    for n in 0..12 {
        let ask = Ask::from(Block {
            contact: name(&format!("155501001{n:02}")),
            blocked: true,
        });
        questions.push(world.ask(&instance, ask).await);
    }
    world.queue.fail_every(3);
    let mut asked = Vec::new();
    until("some failures", async || {
        for question in session.questions() {
            assert!(!asked.contains(&question.ask), "done twice");
            asked.push(question.ask.clone());
            answer(question, Ok(blocked()));
        }
        (world.queue.failed() >= 4 && asked.len() >= 6).then_some(())
    })
    .await;
    world.queue.fail_every(0);
    // What was begun is answered, and of the rest it is certain that it was not begun.
    for question in &questions {
        if asked.contains(&question.ask) {
            assert_eq!(world.until_answered(question).await, Ok(blocked()));
        }
    }
    // What is begun meanwhile is answered too: an orderly end waits for it.
    let answering = async {
        loop {
            for question in session.questions() {
                answer(question, Ok(blocked()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = daemon.stop() => {}
        () = answering => {}
    }
}

/// The shard falls when it has begun: whoever has it next does not begin again, and nobody says that nothing was done.
#[tokio::test]
async fn what_was_begun_when_a_shard_fell_stays_in_doubt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut old) = world.connected(&mut daemon).await;
    let changing = world.ask(&instance, block()).await;
    let begun = old.questioned().await;
    let reading = world.ask(&instance, look_up()).await;
    let read = old.questioned().await;
    daemon.panic();
    in_time("the end of the session", old.line.abandoned.cancelled()).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    assert!(begun.answer.send(Ok(blocked())).is_err(), "nobody waits for it");
    // Both come again: one that was read does so by itself, after the 30 s that it is hidden.
    world.put(&instance, &changing).await;
    world.put(&instance, &reading).await;
    let again = session.questioned().await;
    assert_eq!(again.ask, look_up());
    answer(again, Ok(found()));
    assert_eq!(world.until_answered(&reading).await, Ok(found()));
    assert!(session.questions().is_empty());
    assert_eq!(world.give_up(&changing).await, Progress::Begun);
    drop(read);
    daemon.stop().await;
}

#[tokio::test]
async fn a_shard_that_is_handed_over_finishes_what_is_begun_and_gives_the_rest_away() {
    let world = World::new().await;
    let mut first = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut first).await;
    let mut begun = Vec::new();
    for _ in 0..4 {
        let question = world.ask(&instance, block()).await;
        begun.push((question, session.questioned().await));
    }
    let waiting = world.ask(&instance, block()).await;
    let reading = world.ask(&instance, look_up()).await;
    until("both in hand", async || {
        let depth = world.queue.depth(&world.names.queries(0)).await.expect("read");
        (depth.in_flight == 2).then_some(())
    })
    .await;
    let stopping = tokio::spawn(first.stop());
    until("both given back", async || {
        let depth = world.queue.depth(&world.names.queries(0)).await.expect("read");
        (depth.visible == 2).then_some(())
    })
    .await;
    for (question, asked) in begun {
        answer(asked, Ok(blocked()));
        assert_eq!(world.until_answered(&question).await, Ok(blocked()));
    }
    stopping.await.expect("no panic");
    assert!(session.questions().is_empty());
    drop(session);
    let mut second = world.daemon("b").await;
    second.until_holding(1).await;
    // Its connection is not there yet.
    assert_eq!(world.until_answered(&waiting).await, Err(Refusal::NotConnected));
    assert_eq!(world.until_answered(&reading).await, Err(Refusal::NotConnected));
    drop(second.session().await);
    second.stop().await;
}
