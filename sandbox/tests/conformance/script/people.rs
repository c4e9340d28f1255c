//! What people say of themselves, whom they let see and reach them, and that they are there, writing or calling.

use sandbox::Error;
use sandbox::script::{
    AppStateAction, BlockRequest, CallRequest, ChatState, NewGroup, NewPhone, PrivacySetting, SendRequest,
    TypingRequest,
};
use wacore::types::call::CallAction;
use wacore::types::events::Event;
use wacore::types::presence::{ChatPresence, ReceiptType};
use wacore_binary::Jid;

use super::Scene;
use crate::net::DEADLINE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_write_and_pause() {
    let scene = Scene::new().await;
    let Scene { client, own, ada, .. } = &scene;
    let recording = TypingRequest {
        ms: Some(30),
        ..TypingRequest::new(own.number(), ChatState::Recording)
    };
    ada.type_to(recording).await.expect("she records");
    for state in [ChatPresence::Composing, ChatPresence::Paused] {
        client
            .wait("chat state", |event| match event {
                Event::ChatPresence(update) if update.state == state => {
                    assert_eq!(update.source.chat, Jid::pn(ada.number()));
                    Some(())
                }
                _ => None,
            })
            .await;
    }
    client
        .client()
        .chatstate()
        .send_composing(&Jid::pn(ada.number()))
        .await
        .expect("the client writes");
    let seen = async {
        loop {
            let seen = ada.typing().await.expect("what she saw");
            if let Some(last) = seen.first() {
                return (last.from.clone(), last.state);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let seen = tokio::time::timeout(DEADLINE, seen).await.expect("she sees it");
    assert_eq!(seen, (own.number().to_owned(), ChatState::Composing));
    let long = TypingRequest {
        ms: Some(300_001),
        ..TypingRequest::new(own.number(), ChatState::Composing)
    };
    let refused = ada.type_to(long).await;
    assert!(
        matches!(&refused, Err(Error::Invalid(rule)) if rule.contains("`ms`")),
        "{refused:?}"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_they_block_does_not_reach_them() {
    let scene = Scene::new().await;
    let Scene { client, own, ada, .. } = &scene;
    ada.block(BlockRequest::block(own.number()))
        .await
        .expect("blocked");
    client.send(ada.number(), "3EB0000000C00001", "unheard").await;
    assert_eq!(client.acked("3EB0000000C00001").await, None);
    ada.block(BlockRequest::unblock(own.number()))
        .await
        .expect("unblocked");
    client.send(ada.number(), "3EB0000000C00002", "heard").await;
    client.receipt("3EB0000000C00002", &ReceiptType::Delivered).await;
    let inbox = ada
        .inbox(sandbox::script::InboxQuery::default())
        .await
        .expect("an inbox");
    let texts: Vec<_> = inbox
        .iter()
        .filter_map(|entry| entry.content.text.as_deref())
        .collect();
    assert_eq!(texts, ["heard"]);
    let oneself = ada.block(BlockRequest::block(ada.number())).await;
    assert!(matches!(oneself, Err(Error::Invalid(_))), "{oneself:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_call_and_hang_up() {
    let scene = Scene::new().await;
    let Scene { client, own, ada, .. } = &scene;
    let video = CallRequest {
        video: true,
        ..CallRequest::to(own.number())
    };
    let call = ada.call(video).await.expect("it rings");
    assert_eq!(call.to, own.number());
    let ringing = |action: &CallAction| matches!(action, CallAction::Offer { call_id, is_video: true, .. } if *call_id == call.id);
    let over =
        |action: &CallAction| matches!(action, CallAction::Terminate { call_id, .. } if *call_id == call.id);
    let signal = |what: &'static str, wanted: &dyn Fn(&CallAction) -> bool| {
        let heard = client.count(|event| matches!(event, Event::IncomingCall(call) if wanted(&call.action)));
        (what, heard)
    };
    client
        .wait("ringing", |event| match event {
            Event::IncomingCall(call) if ringing(&call.action) => Some(()),
            _ => None,
        })
        .await;
    assert_eq!(signal("the end", &over).1, 0);
    let end = CallRequest {
        end: Some(call.id.clone()),
        ..CallRequest::to(own.number())
    };
    assert_eq!(ada.call(end).await.expect("it ends"), call);
    client
        .wait("the end", |event| match event {
            Event::IncomingCall(call) if over(&call.action) => Some(()),
            _ => None,
        })
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_say_who_they_are_and_that_they_are_there() {
    let scene = Scene::new().await;
    let Scene { client, own, ada, .. } = &scene;
    client.send(ada.number(), "3EB0000000C00003", "hello").await;
    client.receipt("3EB0000000C00003", &ReceiptType::Delivered).await;
    ada.set_about("Gone fishing").await.expect("said");
    client
        .wait("about text", |event| match event {
            Event::UserAboutUpdate(update) if update.status == "Gone fishing" => Some(()),
            _ => None,
        })
        .await;
    own.set_name("Charles").await.expect("renamed");
    client
        .wait("name", |event| match event {
            Event::SelfPushNameUpdated(update) if update.new_name == "Charles" => Some(()),
            _ => None,
        })
        .await;
    let info = own.info().await.expect("a phone");
    assert_eq!((info.name.as_str(), info.available), ("Charles", false));
    own.set_available(true).await.expect("there");
    assert!(own.info().await.expect("a phone").available);
    own.set_available(false).await.expect("gone");
    assert!(!own.info().await.expect("a phone").available);
    assert!(matches!(own.set_name("").await, Err(Error::Invalid(_))));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privacy_settings_hold() {
    let scene = Scene::new().await;
    let Scene {
        sandbox,
        client,
        own,
        ada,
    } = &scene;
    let grace = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
    ada.send(SendRequest::text(own.number(), "hello"))
        .await
        .expect("she knows them");
    ada.send(SendRequest::text(grace.number(), "hello"))
        .await
        .expect("she knows them");
    let changes = [
        ("groupadd", PrivacySetting::except([grace.number()])),
        ("last", PrivacySetting::value("contacts")),
    ];
    let all = ada.set_privacy(changes.clone()).await.expect("set");
    for (name, setting) in changes {
        assert_eq!(all[name], setting);
    }
    assert_eq!(ada.privacy().await.expect("the settings"), all);
    let group = |subject: &str| NewGroup {
        subject: subject.into(),
        participants: vec![ada.number().into()],
        description: None,
    };
    let hers = grace.create_group(group("Hers")).await.expect("founded");
    assert_eq!((hers.participants.len(), hers.refused[0].status), (1, 403));
    let theirs = own.create_group(group("Theirs")).await.expect("founded");
    assert_eq!((theirs.participants.len(), theirs.refused.len()), (2, 0));
    client.text("hello").await;
    for (name, value) in [("shoe size", "all"), ("last", "some")] {
        // All or nothing.
        let changes = [
            ("online", PrivacySetting::value("match_last_seen")),
            (name, PrivacySetting::value(value)),
        ];
        let refused = ada.set_privacy(changes).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(ada.privacy().await.expect("the settings"), all);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_settings_reach_the_companions() {
    let scene = Scene::new().await;
    let Scene { client, own, ada, .. } = &scene;
    let pin = AppStateAction::Pin {
        chat: ada.number().into(),
        pinned: true,
    };
    own.change_app_state(pin).await.expect("pinned");
    let chat = Jid::pn(ada.number());
    crate::app_state::pinned(client, &chat, true).await;
    let settings = own.app_state().await.expect("the settings");
    let index = ["pin_v1".to_owned(), chat.to_string()];
    let pin = settings
        .iter()
        .find(|setting| setting.index == index)
        .expect("the pin");
    assert_eq!(
        (pin.collection.as_str(), &pin.value["pinAction"]["pinned"]),
        ("regular_low", &true.into())
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_acts_with_a_phone_that_is_off_or_gone() {
    let scene = Scene::new().await;
    let Scene {
        sandbox, own, ada, ..
    } = &scene;
    ada.offline().await.expect("off");
    let to = own.number();
    let off = [
        ada.type_to(TypingRequest::new(to, ChatState::Composing)).await,
        ada.call(CallRequest::to(to)).await.map(drop),
        ada.set_available(true).await,
        ada.block(BlockRequest::block(to)).await,
        ada.set_about("off").await,
        ada.set_name("Off").await,
        ada.set_privacy([("last", PrivacySetting::value("none"))])
            .await
            .map(drop),
        ada.create_group(NewGroup::default()).await.map(drop),
        ada.leave_group("120363000000000001").await,
        ada.join_group("AAAAAAAAAAAAAAAAAAAAAA").await.map(drop),
        ada.change_app_state(AppStateAction::PushName { name: "Off".into() })
            .await,
        ada.send(SendRequest::status("off")).await.map(drop),
    ];
    for (at, result) in off.iter().enumerate() {
        assert!(matches!(result, Err(Error::Conflict(_))), "{at}: {result:?}");
    }
    // Looking does no harm.
    assert_eq!(ada.groups().await.expect("none").len(), 0);
    assert!(ada.privacy().await.is_ok() && ada.typing().await.is_ok() && ada.app_state().await.is_ok());
    let nobody = sandbox.phone("155509999999");
    assert!(matches!(nobody.groups().await, Err(Error::NotFound(_))));
    assert!(matches!(
        nobody.set_about("nobody").await,
        Err(Error::NotFound(_))
    ));
    scene.end().await;
}
