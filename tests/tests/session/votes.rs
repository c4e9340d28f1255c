//! Votes on polls: the last one of a person counts, once, whichever device it is from and whoever serves the instance.

use daemon::connection::Vote;
use serde_json::json;
use shared::domain::content::{Ballot, Content, Poll};
use shared::ids::MessageId;
use wacore_binary::Jid;

use crate::companion::Companion;
use crate::world::{Running, World, to};

const OPTIONS: [&str; 3] = ["Soup", "Salad", "soup"];

fn lunch() -> Content {
    Content::Poll(Poll {
        poll: Ballot {
            question: "Lunch?".to_owned(),
            options: OPTIONS.map(str::to_owned).into(),
            selectable: 0,
        },
    })
}

/// Somebody chooses these on their phone. `chat` is as they name it.
async fn vote(world: &World, voter: &str, chat: &str, poll: &str, options: &[&str]) {
    let body = json!({"to": chat, "kind": "poll-vote", "messageId": poll, "options": options});
    world.admin(&format!("/admin/phones/{voter}/send"), body).await;
}

/// The next message, which is a vote.
async fn voted(session: &mut Running) -> Vote {
    let message = session.committed().await;
    assert_eq!(message.content, Content::Unknown);
    message.vote.expect("a vote")
}

fn stands(vote: &Vote) -> (Vec<&str>, Vec<u32>) {
    let options: Vec<_> = vote.tally.iter().map(|counted| counted.option.as_str()).collect();
    assert_eq!(options, OPTIONS);
    let chosen = vote.options.iter().map(String::as_str).collect();
    (chosen, vote.tally.iter().map(|counted| counted.votes).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_last_vote_counts_once_whichever_device_it_is_from() {
    let world = World::new().await;
    let (own, bob) = (world.phone("Instance").await, world.phone("Bob").await);
    let second = Companion::of(&world, &bob).await;
    let mut session = world.paired(&own, 1).await;
    let message = MessageId::from_bytes([7; 16]);
    let sending = async |session: &mut Running| {
        let sent = session.connection.send(message, &to(&bob), &lunch().into()).await;
        sent.expect("on the wire");
        assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    };
    sending(&mut session).await;
    let poll = message.to_whatsapp();
    let shown = world.shown(&bob, &poll).await;
    let secret = shown
        .message_context_info
        .message_secret
        .clone()
        .expect("a secret");

    vote(&world, &bob, &own, &poll, &["Soup"]).await;
    let first = voted(&mut session).await;
    assert_eq!(stands(&first), (vec!["Soup"], vec![1, 0, 0]));
    assert!(first.poll.from_me && first.poll.whatsapp_id == poll);

    // Changed on another device, to two.
    let creator = Jid::pn(own.as_str());
    let chosen = ["soup".to_owned(), "Salad".to_owned()];
    let client = second.client();
    let voting = client
        .polls()
        .vote(creator.clone(), &poll, &creator, &secret, &chosen)
        .await;
    voting.expect("a vote");
    let changed = voted(&mut session).await;
    assert_eq!(stands(&changed), (vec!["Salad", "soup"], vec![0, 1, 1]));

    // Another daemon serves the instance, and the poll's job comes once more.
    session.connection.disconnect().await;
    let mut session = world.begin(2).await;
    session.connected().await;
    sending(&mut session).await;
    vote(&world, &bob, &own, &poll, &["Salad"]).await;
    assert_eq!(stands(&voted(&mut session).await), (vec!["Salad"], vec![0, 1, 0]));
    // Taken back.
    vote(&world, &bob, &own, &poll, &[]).await;
    assert_eq!(stands(&voted(&mut session).await), (vec![], vec![0, 0, 0]));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_in_a_group_are_tallied_on_ones_own_polls_and_on_others() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let (bob, carol) = (world.phone("Bob").await, world.phone("Carol").await);
    let mut session = world.paired(&own, 1).await;
    let group = json!({"subject": "Lunch", "participants": [own, carol]});
    let group = world.admin(&format!("/admin/phones/{bob}/groups"), group).await;
    let group = group["id"].as_str().expect("a group").to_owned();

    let message = MessageId::from_bytes([7; 16]);
    let chat = group.parse().expect("a group");
    let sent = session.connection.send(message, &chat, &lunch().into()).await;
    sent.expect("on the wire");
    let poll = message.to_whatsapp();
    assert_eq!(session.acknowledged(&poll).await, None);
    for voter in [&bob, &carol] {
        world.shown(voter, &poll).await;
    }
    vote(&world, &bob, &group, &poll, &["Soup"]).await;
    assert_eq!(stands(&voted(&mut session).await), (vec!["Soup"], vec![1, 0, 0]));
    vote(&world, &carol, &group, &poll, &["Soup", "Salad"]).await;
    let second = voted(&mut session).await;
    assert_eq!(stands(&second), (vec!["Soup", "Salad"], vec![2, 1, 0]));

    // A poll of Bob's.
    let body = json!({
        "to": group, "kind": "poll", "question": "Lunch?", "options": OPTIONS, "selectable": 0,
    });
    let sent = world.admin(&format!("/admin/phones/{bob}/send"), body).await;
    let poll = sent["id"].as_str().expect("an id").to_owned();
    assert_eq!(session.committed().await.content, lunch());
    world.shown(&carol, &poll).await;
    vote(&world, &carol, &group, &poll, &["soup"]).await;
    let on_bobs = voted(&mut session).await;
    assert_eq!(stands(&on_bobs), (vec!["soup"], vec![0, 0, 1]));
    assert!(!on_bobs.poll.from_me && on_bobs.poll.whatsapp_id == poll);
    assert_eq!(on_bobs.poll.author.phone.as_deref(), Some(bob.as_str()));
    vote(&world, &bob, &group, &poll, &["soup"]).await;
    assert_eq!(stands(&voted(&mut session).await), (vec!["soup"], vec![0, 0, 2]));
    // What the account itself chooses on its phone counts too.
    world.shown(&own, &poll).await;
    vote(&world, &own, &group, &poll, &["Soup"]).await;
    assert_eq!(stands(&voted(&mut session).await), (vec!["Soup"], vec![1, 0, 2]));
    world.nothing_queued().await;
}
