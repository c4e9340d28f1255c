//! The directory of people, as a send goes by it.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::job::Job;
use shared::domain::payload;
use shared::domain::person::Belief;
use shared::domain::recipient::Recipient;
use shared::ids::InstanceId;
use shared::storage::people::{Learnt, Lesson, People};

use crate::support::World;

const NUMBER: &str = "15550100002";
const LID: &str = "lid:100000000000002";

fn name(text: &str) -> Recipient {
    text.parse().expect("a name")
}

/// As the daemon does when it learns of somebody.
async fn learn(world: &World, instance: InstanceId, lesson: &Lesson) {
    let people = People::new(world.state.table.clone());
    let learnt = people.learn(instance, 1, lesson, world.clock.now()).await;
    assert!(matches!(learnt.expect("stored"), Learnt::Known(_)));
}

#[tokio::test]
async fn both_names_of_a_person_lead_to_one_chat_lane_and_record() {
    for (first, second) in [(NUMBER, LID), (LID, NUMBER)] {
        let world = World::new().await;
        let (_, instance, key) = world.ready().await;
        let lesson = Lesson {
            met: name(first),
            spelt: None,
            other: Some(name(second)),
            on_whatsapp: None,
            looked_up: None,
        };
        learn(&world, instance, &lesson).await;
        for to in [first, second] {
            let body = json!({"to": to, "text": "x"});
            let data = key.send("text", body).await.data(202);
            let both = json!({"phone": NUMBER, "lid": "100000000000002", "group": null});
            assert_eq!(data["to"], both);
            let path = format!("/api/messages/{}", data["id"].as_str().expect("an id"));
            assert_eq!(key.get(&path).await.data(200)["to"], both);
        }
        let waiting = world.waiting(&world.queue_names().sends(0)).await;
        assert_eq!(waiting.len(), 2);
        assert_eq!(waiting[0].group, waiting[1].group);
        for (received, to) in waiting.iter().zip([first, second]) {
            let Job::Send(job) = payload::decode(&received.body).expect("ours");
            // It goes to the name that was asked for, in the chat of the first.
            assert_eq!(job.to, name(to));
            assert_eq!(*job.chat(), name(first));
            assert_eq!(job.record().chat, name(first));
        }
    }
}

#[tokio::test]
async fn a_number_that_whatsapp_spells_otherwise_goes_to_the_one_that_it_knows() {
    let (written, spelt) = ("5511987654321", "551187654321");
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let lesson = Lesson {
        met: name(written),
        spelt: Some(name(spelt)),
        other: Some(name(LID)),
        on_whatsapp: None,
        looked_up: None,
    };
    learn(&world, instance, &lesson).await;
    for to in [written, spelt, LID] {
        let keyed = key.with_header("idempotency-key", to);
        for _ in 0..2 {
            let data = keyed.send("text", json!({"to": to, "text": "x"})).await.data(202);
            let both = json!({"phone": spelt, "lid": "100000000000002", "group": null});
            assert_eq!(data["to"], both);
        }
    }
    let waiting = world.waiting(&world.queue_names().sends(0)).await;
    assert_eq!(waiting.len(), 3);
    for (received, to) in waiting.iter().zip([spelt, spelt, LID]) {
        assert_eq!(received.group, waiting[0].group);
        let Job::Send(job) = payload::decode(&received.body).expect("ours");
        // The chat stays that of the first message.
        assert_eq!((&job.to, job.chat()), (&name(to), &name(written)));
    }
}

#[tokio::test]
async fn a_stranger_is_sent_to_by_the_name_given() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let data = key.send("text", json!({"to": LID, "text": "x"})).await.data(202);
    assert_eq!(
        data["to"],
        json!({"phone": null, "lid": "100000000000002", "group": null})
    );
}

#[tokio::test]
async fn whoever_was_just_looked_up_in_vain_is_refused_and_not_for_long() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let absent = Lesson {
        met: name(NUMBER),
        spelt: None,
        other: None,
        on_whatsapp: Some(Belief {
            is_there: false,
            until: world.clock.now() + TimeDelta::minutes(15),
        }),
        looked_up: None,
    };
    learn(&world, instance, &absent).await;
    let send = async || key.send("text", json!({"to": NUMBER, "text": "x"})).await;
    assert_eq!(
        send().await.error(),
        "422 RECIPIENT_NOT_ON_WHATSAPP: WhatsApp was asked a moment ago, and does not know the recipient"
    );
    let subscription = user.subscription.parse().expect("an id");
    let counters = &world.state.counters;
    let counted = counters.get_used_of_quota(subscription, world.clock.now()).await;
    assert_eq!(counted.expect("read").0, 0);
    world.clock.advance(TimeDelta::minutes(15));
    send().await.data(202);
}

#[tokio::test]
async fn a_directory_is_its_instances_own_and_a_newer_owners() {
    let world = World::new().await;
    let (_, instance, _) = world.ready().await;
    let people = People::new(world.state.table.clone());
    let now = world.clock.now();
    let lesson = |met: &str, other: Option<&str>| Lesson {
        met: name(met),
        spelt: None,
        other: other.map(name),
        on_whatsapp: None,
        looked_up: None,
    };
    let learn = async |token, lesson: &Lesson| {
        let learnt = people.learn(instance, token, lesson, now).await;
        learnt.expect("read")
    };
    learn(2, &lesson(NUMBER, None)).await;
    let late = learn(1, &lesson(NUMBER, Some(LID))).await;
    assert_eq!(late, Learnt::Fenced);
    let found = people.get(instance, &name(NUMBER), now).await.expect("read");
    assert_eq!(found.expect("there").person.lid, None);
    let other = InstanceId::new(now);
    assert_eq!(people.get(other, &name(NUMBER), now).await.expect("read"), None);
    // What is known is read and not written.
    let before = world.items().await;
    learn(3, &lesson(NUMBER, None)).await;
    assert_eq!(world.items().await, before);
    world.state.instances.purge(instance).await.expect("removed");
    assert_eq!(
        people.get(instance, &name(NUMBER), now).await.expect("read"),
        None
    );
}
