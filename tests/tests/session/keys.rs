//! Recipients whose keys cannot be had, and devices that the account does not know of.

use daemon::connection::SendError;
use sandbox::{Direction, Fault, Rule, Target};
use serde_json::{Value, json};
use shared::domain::content::Said;
use shared::domain::message::FailureCode;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;

use crate::companion::Companion;
use crate::world::{Running, World, is, to};

impl Running {
    /// Sends a text, which the server takes. Answers its WhatsApp id.
    async fn says(&mut self, byte: u8, to: &Recipient, text: &str) -> String {
        let message = MessageId::from_bytes([byte; 16]);
        let sent = self.connection.send(message, to, &Said::text(text)).await;
        sent.expect("on the wire");
        let id = message.to_whatsapp();
        assert_eq!(self.acknowledged(&id).await, None);
        id
    }
}

/// A fault of one device of an account.
fn of_device(phone: &str, device: u16, fault: Fault) -> Rule {
    let target = Target {
        device: Some(device),
        ..Target::phone(phone)
    };
    Rule::new(target, fault)
}

/// Nobody gets this person's keys.
fn withhold(phone: &str, code: Option<u16>) -> Rule {
    Rule {
        code,
        ..Rule::new(Target::phone(phone), Fault::WithholdKeys)
    }
}

fn ids(inbox: &[Value]) -> Vec<&str> {
    let ids = inbox.iter().filter_map(|shown| shown["id"].as_str());
    ids.collect()
}

/// The account's own phone has keys all the while: a message for it alone would be acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_device_of_its_recipient_could_read_does_not_go_out() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let faults = world.sandbox.faults();
    for code in [None, Some(406)] {
        faults.add(withhold(&bob, code)).await.expect("added");
        let message = MessageId::from_bytes([9; 16]);
        let sent = session
            .connection
            .send(message, &to(&bob), &Said::text("hello"))
            .await;
        is(&sent, |sent| matches!(sent, Err(SendError::Failed(_))));
        let told = session.connection.explain(&to(&bob), None).await.expect("told");
        let failure = told.expect("why");
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            (FailureCode::NoRecipientDevice.as_str(), true),
            "{code:?}"
        );
        faults.clear();
    }
    // Once they are there the next try is read, and it is all that anybody sees.
    let id = session.says(9, &to(&bob), "hello").await;
    for phone in [&bob, &own] {
        let inbox = world.inbox(phone, |inbox| !inbox.is_empty()).await;
        assert_eq!(ids(&inbox), [id.as_str()]);
        assert_eq!(
            (&inbox[0]["text"], &inbox[0]["copies"]),
            (&json!("hello"), &json!(1))
        );
    }
}

/// A key service that is away is no property of the recipient.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_service_that_is_away_is_waited_for() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let refused = Rule {
        code: Some(503),
        ..Rule::new(Target::phone(&own), Fault::RefuseIq)
    };
    world.sandbox.faults().add(refused).await.expect("added");
    let message = MessageId::from_bytes([9; 16]);
    let sent = session
        .connection
        .send(message, &to(&bob), &Said::text("hello"))
        .await;
    is(&sent, |sent| matches!(sent, Err(SendError::Unavailable(_))));
    world.sandbox.faults().clear();
    session.says(9, &to(&bob), "hello").await;
    world.inbox(&bob, |inbox| inbox.len() == 1).await;
}

/// The server answers, and says of each device that its keys cannot be had now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_had_for_a_moment_are_waited_for() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let message = MessageId::from_bytes([9; 16]);
    let said = Said::text("hello");
    for code in [503, 429] {
        let faults = world.sandbox.faults();
        faults.add(withhold(&bob, Some(code))).await.expect("added");
        let sent = session.connection.send(message, &to(&bob), &said).await;
        is(&sent, |sent| match code {
            429 => matches!(sent, Err(SendError::Throttled { .. })),
            _ => matches!(sent, Err(SendError::Failed(_))),
        });
        // It proves nothing of the recipient.
        let told = session.connection.explain(&to(&bob), None).await;
        is(&told, Result::is_err);
        faults.clear();
    }
    session.says(9, &to(&bob), "hello").await;
    world.inbox(&bob, |inbox| inbox.len() == 1).await;
}

/// The library leaves hosted devices out: one that has keys is nobody who could read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosted_device_alone_reads_nothing() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let hosted = Companion::of(&world, &bob).await;
    let mut session = world.paired(&own, 1).await;
    let faults = world.sandbox.faults();
    let hosting = of_device(&bob, 1, Fault::HostDevices);
    faults.add(hosting).await.expect("added");
    let withheld = of_device(&bob, 0, Fault::WithholdKeys);
    let withheld = faults.add(withheld).await.expect("added");
    let message = MessageId::from_bytes([9; 16]);
    let said = Said::text("hello");
    let sent = session.connection.send(message, &to(&bob), &said).await;
    is(&sent, |sent| matches!(sent, Err(SendError::Failed(_))));
    // The phone reads it once it can be written to.
    faults.remove(withheld.fault.id).expect("removed");
    session.says(9, &to(&bob), "hello").await;
    world.inbox(&bob, |inbox| inbox.len() == 1).await;
    hosted.stop().await;
}

/// The server's lists are empty at times. The library writes to the phone then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_a_list_of_devices_is_written_to_by_the_keys_of_the_phone() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let faults = world.sandbox.faults();
    let hidden = Rule::new(Target::phone(&bob), Fault::HideDevices);
    faults.add(hidden).await.expect("added");
    let withheld = faults.add(withhold(&bob, None)).await.expect("added");
    let message = MessageId::from_bytes([9; 16]);
    let said = Said::text("hello");
    let sent = session.connection.send(message, &to(&bob), &said).await;
    is(&sent, |sent| matches!(sent, Err(SendError::Failed(_))));
    faults.remove(withheld.fault.id).expect("removed");
    session.says(9, &to(&bob), "hello").await;
    world.inbox(&bob, |inbox| inbox.len() == 1).await;
}

/// The phone has no keys, and the library knows of no other device: nobody told it of the one that has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_keys_that_nobody_told_of_is_found_before_the_message_is_given_up() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let faults = world.sandbox.faults();
    let withheld = of_device(&bob, 0, Fault::WithholdKeys);
    faults.add(withheld).await.expect("added");
    let message = MessageId::from_bytes([9; 16]);
    let said = Said::text("hello");
    let sent = session.connection.send(message, &to(&bob), &said).await;
    is(&sent, |sent| matches!(sent, Err(SendError::Failed(_))));
    let lost = Rule {
        stanza: Some("notification".to_owned()),
        direction: Some(Direction::Out),
        ..Rule::new(Target::phone(&own), Fault::Lose)
    };
    faults.add(lost).await.expect("added");
    let mut second = Companion::of(&world, &bob).await;
    let id = session.says(9, &to(&bob), "hello").await;
    assert_eq!(second.text().await, (id, "hello".to_owned()));
    second.stop().await;
}

/// A member without keys reads nothing of the first message; the next one brings the group's key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_keys_could_not_be_had_reads_the_next_message() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let faults = world.sandbox.faults();
    for (n, code) in (0_u8..).zip([None, Some(406), Some(503)]) {
        let carol = world.phone("Carol").await;
        let body = json!({"subject": "Three", "participants": [own, carol]});
        let made = world.admin(&format!("/admin/phones/{bob}/groups"), body).await;
        let group: Recipient = made["id"].as_str().expect("an id").parse().expect("a group");
        faults.add(withhold(&carol, code)).await.expect("added");
        let first = session.says(2 * n, &group, "first").await;
        let is_first = |inbox: &[Value]| ids(inbox).contains(&first.as_str());
        world.inbox(&bob, is_first).await;
        faults.clear();
        let second = session.says(2 * n + 1, &group, "second").await;
        for phone in [&bob, &carol] {
            let read = |inbox: &[Value]| {
                let mut shown = inbox.iter().filter(|shown| shown["id"] == second.as_str());
                shown.any(|shown| shown["text"] == "second" && shown["copies"] == 1)
            };
            world.inbox(phone, read).await;
        }
    }
}

/// The word of a person's new device is lost, and the server tells by the participant hash that one is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_nobody_told_of_is_found_by_what_the_server_says() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    session.says(1, &to(&bob), "before").await;
    let lost = Rule {
        stanza: Some("notification".to_owned()),
        direction: Some(Direction::Out),
        ..Rule::new(Target::phone(&own), Fault::Lose)
    };
    world.sandbox.faults().add(lost).await.expect("added");
    let mut second = Companion::of(&world, &bob).await;
    let mut sent = Vec::new();
    let (id, text) = loop {
        // The list is read anew after the acknowledgement.
        let n = u8::try_from(sent.len()).expect("few") + 2;
        sent.push(session.says(n, &to(&bob), &n.to_string()).await);
        let soon = std::time::Duration::from_secs(1);
        if let Ok(read) = tokio::time::timeout(soon, second.text()).await {
            break read;
        }
        assert!(sent.len() < 30, "the device is never found");
    };
    assert!(sent.contains(&id), "{text}");
    // Who was known reads all of them, once.
    let inbox = world.inbox(&bob, |inbox| inbox.len() > sent.len()).await;
    assert!(inbox.iter().all(|shown| shown["copies"] == 1), "{inbox:?}");
    second.stop().await;
}

/// Their app has new keys, and cannot open what is sealed for the old ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_who_installs_anew_reads_what_is_sent_next_alone_and_in_a_group() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let body = json!({"subject": "Both", "participants": [own]});
    let made = world.admin(&format!("/admin/phones/{bob}/groups"), body).await;
    let group: Recipient = made["id"].as_str().expect("an id").parse().expect("a group");
    let mut session = world.paired(&own, 1).await;
    let mut sent = Vec::new();
    for (n, chat) in (0_u8..).zip([to(&bob), group.clone()]) {
        sent.push((session.says(n, &chat, "before").await, "before"));
    }
    world.inbox(&bob, |inbox| inbox.len() == 2).await;
    world
        .sandbox
        .phone(bob.clone())
        .install_anew()
        .await
        .expect("done");
    for (n, chat) in (2_u8..).zip([to(&bob), group]) {
        sent.push((session.says(n, &chat, "after").await, "after"));
    }
    let all = |inbox: &[Value]| {
        let mut sent = sent.iter();
        sent.all(|(id, text)| {
            let mut shown = inbox.iter();
            shown.any(|shown| shown["id"] == id.as_str() && shown["text"] == *text)
        })
    };
    let inbox = world.inbox(&bob, all).await;
    assert_eq!(inbox.len(), 4, "each once");
}
