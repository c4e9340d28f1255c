//! Votes and answers, encrypted under the secret of what they are about.

use sandbox::script::{Body, Event, EventResponse, Poll, PollVote};
use wacore::poll::compute_option_hash;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::features::PollVoteCiphertext;

use super::{entry, entry_where, send};
use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start};

fn secret(message: &wa::Message) -> Vec<u8> {
    let context = message.message_context_info.as_option().expect("a context");
    context.message_secret.clone().expect("a secret")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_votes_in_a_persons_poll() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    let poll = Poll {
        question: "When?".into(),
        options: vec!["today".into(), "tomorrow".into(), "never".into()],
        selectable: Some(0),
    };
    let poll = send(&other, &own, Body::Poll(poll)).await;
    let (message, _) = client.message(&poll).await;
    let jid = Jid::pn(other.number());
    for (choice, shown) in [
        (vec!["tomorrow".to_owned(), "today".to_owned()], "today, tomorrow"),
        (vec!["never".to_owned()], "never"),
        (vec![], ""),
    ] {
        client
            .client()
            .polls()
            .vote(jid.clone(), &poll, &jid, &secret(&message), &choice)
            .await
            .expect("a vote");
        let voted = |entry: &sandbox::script::Entry| {
            entry.content.kind == "poll-vote" && entry.content.text.as_deref() == Some(shown)
        };
        let vote = other.wait_for(voted, DEADLINE).await.expect("the vote is read");
        assert_eq!(
            (vote.content.quoted.as_deref(), &vote.from),
            (Some(poll.as_str()), &own)
        );
        // The voter's own phone knows the poll as well.
        sandbox
            .phone(&own)
            .wait_for(voted, DEADLINE)
            .await
            .expect("the vote is read");
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_votes_in_a_clients_poll() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    let options = ["yes".to_owned(), "no".to_owned()];
    let jid = Jid::pn(other.number());
    let (sent, secret) = client
        .client()
        .polls()
        .create(jid.clone(), "Well?", &options, 1)
        .await
        .expect("a poll");
    let poll = sent.message_id;
    let shown = entry(&other, &poll).await;
    assert_eq!(
        (shown.content.kind.as_str(), shown.content.text.as_deref()),
        ("poll", Some("Well?"))
    );
    let vote = |options: &[&str]| {
        Body::PollVote(PollVote {
            message_id: poll.clone(),
            options: options.iter().map(ToString::to_string).collect(),
        })
    };
    let id = send(&other, &own, vote(&["no"])).await;
    let (message, _) = client.message(&id).await;
    let update = message.poll_update_message.as_option().expect("a vote");
    let ciphertext = PollVoteCiphertext {
        enc_payload: update.vote.enc_payload.as_deref().expect("a payload"),
        enc_iv: update.vote.enc_iv.as_deref().expect("a nonce"),
    };
    let hashes = client
        .client()
        .polls()
        .decrypt_vote(ciphertext, &secret, &poll, &Jid::pn(own.as_str()), &jid)
        .await
        .expect("the client reads it");
    assert_eq!(hashes, [compute_option_hash("no").to_vec()]);
    // What the poll does not offer, and more than it takes, is refused.
    for (options, named) in [(&["maybe"][..], "`options`"), (&["yes", "no"][..], "at most 1")] {
        let request = sandbox::script::SendRequest::new(&own, vote(options));
        let error = other
            .send(request)
            .await
            .expect_err("a vote too many")
            .to_string();
        assert!(error.contains(named), "{error}");
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_say_whether_they_come() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    let party = Event {
        name: "Party".into(),
        start_time: 1_800_000_000,
        ..Event::default()
    };
    let event = send(&other, &own, Body::Event(party)).await;
    let (message, _) = client.message(&event).await;
    let jid = Jid::pn(other.number());
    let going = wa::message::event_response_message::EventResponseType::GOING;
    client
        .client()
        .events()
        .respond(jid.clone(), &event, &jid, &secret(&message), going, None)
        .await
        .expect("an answer");
    let answered = |entry: &sandbox::script::Entry| {
        entry.content.kind == "event-response" && entry.content.text.is_some()
    };
    let answer = other.wait_for(answered, DEADLINE).await.expect("it is read");
    assert_eq!(
        (answer.content.text.as_deref(), answer.content.quoted.as_deref()),
        (Some("going"), Some(event.as_str()))
    );
    // And the client's own phone answers its guest's event in turn.
    entry(&sandbox.phone(&own), &event).await;
    let response = EventResponse {
        message_id: event.clone(),
        response: "maybe".into(),
    };
    let id = send(
        &sandbox.phone(&own),
        other.number(),
        Body::EventResponse(response),
    )
    .await;
    let answer = entry_where(&other, &id, |entry| entry.content.text.is_some()).await;
    assert_eq!(answer.content.text.as_deref(), Some("maybe"));
    client.stop().await;
    sandbox.shutdown().await;
}
