//! The same in groups: everyone sees what changes, authors and admins alone change it.

use sandbox::script::{Body, Edit, Poll, PollVote, Reaction, ReadRequest, Revoke, SendRequest, Text};
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::RevokeType;
use whatsapp_rust::features::{GroupCreateOptions, GroupParticipantOptions};

use super::{entry, entry_where, send};
use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start};

async fn create(client: &TestClient, people: &[&str]) -> Jid {
    let participants = people
        .iter()
        .map(|phone| GroupParticipantOptions::new(Jid::pn(*phone)))
        .collect();
    let options = GroupCreateOptions::new("Friends").with_participants(participants);
    let created = client.client().groups().create_group(options).await;
    created.expect("the group is created").metadata.id
}

fn text(text: &str) -> Body {
    Body::Text(Text {
        text: text.into(),
        preview: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_in_a_group_is_changed_by_those_who_may() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (ada, bob) = (
        sandbox.phone(admin.phone().await),
        sandbox.phone(admin.phone().await),
    );
    let group = create(&client, &[ada.number(), bob.number()]).await;
    let room = group.to_string();

    let said = send(&ada, &room, text("first")).await;
    client.text("first").await;
    let shown = entry(&bob, &said).await;
    assert_eq!((&shown.chat, shown.from.as_str()), (&room, ada.number()));
    let edit = Edit {
        message_id: said.clone(),
        text: "second".into(),
        sealed: false,
    };
    send(&ada, &room, Body::Edit(edit)).await;
    for phone in [&bob, &sandbox.phone(&own)] {
        let edited = entry_where(phone, &said, |entry| entry.content.edited).await;
        assert_eq!(edited.content.text.as_deref(), Some("second"));
    }
    let reaction = Reaction {
        message_id: said.clone(),
        emoji: "👍".into(),
    };
    let id = send(&bob, &room, Body::Reaction(reaction)).await;
    let (message, _) = client.message(&id).await;
    // The key names the author: in a group it is not the other party.
    let author = message.reaction_message.key.participant.as_deref();
    let lid = ada.info().await.expect("it is there").lid;
    assert_eq!(author, Some(format!("{lid}@lid").as_str()));
    entry_where(&ada, &id, |entry| entry.content.quoted.as_deref() == Some(&said)).await;

    // A member takes nothing back but what it said; the group's admin does.
    let revoke = Revoke {
        message_id: said.clone(),
    };
    let refused = bob.send(SendRequest::new(&room, Body::Revoke(revoke))).await;
    assert!(
        matches!(refused, Err(sandbox::Error::Refused { code: 403, .. })),
        "{refused:?}"
    );
    let original_sender = Jid::lid(lid.as_str());
    client
        .client()
        .revoke_message(group, said.as_str(), RevokeType::Admin { original_sender })
        .await
        .expect("a revoke");
    for phone in [&ada, &bob] {
        // What one sent oneself shows in the phone's own list.
        let gone = async {
            loop {
                let all = sandbox::script::InboxQuery {
                    sent: true,
                    ..Default::default()
                };
                let entries = phone.inbox(all).await.expect("an inbox");
                if entries
                    .iter()
                    .any(|e| e.id == said && e.content.kind == "revoked")
                {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, gone).await.expect("it is revoked");
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_vote_and_read_in_a_group() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (ada, bob) = (
        sandbox.phone(admin.phone().await),
        sandbox.phone(admin.phone().await),
    );
    let group = create(&client, &[ada.number(), bob.number()]).await;
    let room = group.to_string();
    let poll = Poll {
        question: "Where?".into(),
        options: vec!["here".into(), "there".into()],
        selectable: None,
    };
    let poll = send(&ada, &room, Body::Poll(poll)).await;
    entry(&bob, &poll).await;
    let vote = PollVote {
        message_id: poll.clone(),
        options: vec!["there".into()],
    };
    let vote = send(&bob, &room, Body::PollVote(vote)).await;
    let read = entry_where(&ada, &vote, |entry| entry.content.text.is_some()).await;
    assert_eq!(
        (read.content.text.as_deref(), read.content.quoted.as_deref()),
        (Some("there"), Some(poll.as_str()))
    );
    let (message, _) = client.message(&vote).await;
    assert!(message.poll_update_message.is_set());

    let question = wa::Message {
        conversation: Some("well?".into()),
        ..Default::default()
    };
    let sent = client
        .client()
        .send_message(group, question)
        .await
        .expect("it is sent");
    entry(&ada, &sent.message_id).await;
    let request = ReadRequest {
        ids: Some(vec![sent.message_id.clone()]),
        ..ReadRequest::default()
    };
    assert_eq!(ada.read(request).await.expect("it is read").read, 1);
    let reader = client.receipt(&sent.message_id, &ReceiptType::Read).await;
    assert_eq!(reader.user.as_str(), ada.info().await.expect("it is there").lid);
    client.stop().await;
    sandbox.shutdown().await;
}
