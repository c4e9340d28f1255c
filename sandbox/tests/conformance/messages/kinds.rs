//! Every kind arrives as it was sent, and shows as what it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::Message as _;
use sandbox::script::{
    Body, Contact, Contacts, Disappearing, Event, File, LiveLocation, Location, Poll, Preview, Raw, Text,
};
use waproto::whatsapp as wa;

use super::{bare, entry, send};
use crate::client::TestClient;
use crate::net::{Admin, start};

/// Messages with the kind and the text that an inbox shows.
#[expect(clippy::too_many_lines, reason = "one entry a kind")]
fn messages() -> Vec<(&'static str, Option<&'static str>, wa::Message)> {
    macro_rules! message {
        ($field:ident: $type:ident { $($member:ident: $value:expr),* $(,)? }) => {
            wa::Message {
                $field: wa::message::$type { $($member: $value,)* ..Default::default() }.into(),
                ..Default::default()
            }
        };
    }
    let some = |text: &str| Some(text.to_owned());
    let option = |name: &str| wa::message::poll_creation_message::Option {
        option_name: some(name),
        ..Default::default()
    };
    let key = || wa::MessageKey {
        id: some("3EB0FFFF"),
        from_me: Some(true),
        ..Default::default()
    };
    let card = || wa::message::ContactMessage {
        display_name: some("Ada"),
        vcard: some("BEGIN:VCARD\nFN:Ada\nEND:VCARD"),
        ..Default::default()
    };
    let view_once = wa::Message {
        view_once_message_v2: wa::message::FutureProofMessage {
            message: message!(image_message: ImageMessage { caption: some("once"), view_once: Some(true) })
                .into(),
        }
        .into(),
        ..Default::default()
    };
    let with_caption = wa::Message {
        document_with_caption_message: wa::message::FutureProofMessage {
            message:
                message!(document_message: DocumentMessage { caption: some("see"), file_name: some("a.pdf") })
                    .into(),
        }
        .into(),
        ..Default::default()
    };
    vec![
        (
            "text",
            Some("plain"),
            wa::Message {
                conversation: some("plain"),
                ..Default::default()
            },
        ),
        (
            "text",
            Some("see https://example.org"),
            message!(extended_text_message: ExtendedTextMessage {
                text: some("see https://example.org"),
                matched_text: some("https://example.org"),
                title: some("Example"),
            }),
        ),
        (
            "image",
            Some("look"),
            message!(image_message: ImageMessage { caption: some("look") }),
        ),
        (
            "video",
            None,
            message!(video_message: VideoMessage { seconds: Some(3) }),
        ),
        (
            "video-note",
            None,
            message!(ptv_message: VideoMessage { seconds: Some(4) }),
        ),
        (
            "audio",
            None,
            message!(audio_message: AudioMessage { seconds: Some(5) }),
        ),
        (
            "voice",
            None,
            message!(audio_message: AudioMessage { ptt: Some(true) }),
        ),
        ("document", Some("see"), with_caption),
        (
            "sticker",
            None,
            message!(sticker_message: StickerMessage { is_animated: Some(true) }),
        ),
        ("image", Some("once"), view_once),
        (
            "location",
            Some("Here"),
            message!(location_message: LocationMessage {
                degrees_latitude: Some(52.5),
                degrees_longitude: Some(13.4),
                name: some("Here"),
            }),
        ),
        (
            "live-location",
            None,
            message!(live_location_message: LiveLocationMessage {
                degrees_latitude: Some(52.5),
                degrees_longitude: Some(13.4),
                sequence_number: Some(1),
            }),
        ),
        (
            "contact",
            Some("Ada"),
            wa::Message {
                contact_message: card().into(),
                ..Default::default()
            },
        ),
        (
            "contacts",
            Some("2 contacts"),
            message!(contacts_array_message: ContactsArrayMessage {
                display_name: some("2 contacts"),
                contacts: vec![card(), card()],
            }),
        ),
        (
            "poll",
            Some("Lunch?"),
            message!(poll_creation_message: PollCreationMessage {
                name: some("Lunch?"),
                options: vec![option("yes"), option("no")],
                selectable_options_count: Some(0),
            }),
        ),
        (
            "reaction",
            Some("👍"),
            message!(reaction_message: ReactionMessage { key: key().into(), text: some("👍") }),
        ),
        (
            "pin",
            None,
            message!(pin_in_chat_message: PinInChatMessage {
                key: key().into(),
                r#type: Some(wa::message::pin_in_chat_message::Type::PIN_FOR_ALL),
            }),
        ),
        (
            "event",
            Some("Party"),
            message!(event_message: EventMessage { name: some("Party"), start_time: Some(1_800_000_000) }),
        ),
        (
            "disappearing",
            Some("86400"),
            message!(protocol_message: ProtocolMessage {
                r#type: Some(wa::message::protocol_message::Type::EPHEMERAL_SETTING),
                ephemeral_expiration: Some(86_400),
            }),
        ),
        (
            "list",
            Some("Choose"),
            message!(list_message: ListMessage { description: some("Choose") }),
        ),
        (
            "buttons",
            Some("Press"),
            message!(buttons_message: ButtonsMessage { content_text: some("Press") }),
        ),
        (
            "group-invite",
            Some("G"),
            message!(group_invite_message: GroupInviteMessage { group_name: some("G") }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_passes_between_clients_unchanged() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    for (at, (kind, text, message)) in messages().into_iter().enumerate() {
        let id = format!("3EB0000000010{at:03}");
        alice.send_message(&b, &id, message.clone()).await;
        assert_eq!(alice.acked(&id).await, None, "{kind}");
        let (arrived, _) = bob.message(&id).await;
        assert_eq!(bare(arrived), message, "{kind}");
        // Both phones have it too, the sender's own as the copy for another device.
        for (phone, chat) in [(&b, &a), (&a, &b)] {
            let shown = entry(&sandbox.phone(phone), &id).await;
            assert_eq!(
                (shown.content.kind.as_str(), shown.content.text.as_deref()),
                (kind, text)
            );
            assert_eq!((&shown.chat, &shown.from, shown.copies), (chat, &a, 1), "{kind}");
            let read = sandbox.phone(phone).message(&id).await.expect("it is kept");
            assert_eq!(bare(read), message, "{kind}");
        }
    }
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

fn file() -> File {
    File {
        base64: STANDARD.encode(b"not really a picture"),
        ..File::default()
    }
}

/// What a person sends, with the text that shows.
#[expect(clippy::too_many_lines, reason = "one entry a kind")]
fn bodies() -> Vec<(Option<&'static str>, Body)> {
    let contact = |name: &str| Contact {
        name: Some(name.into()),
        phone: Some("155501999999".into()),
        vcard: None,
    };
    let captioned = || File {
        caption: Some("caption".into()),
        ..file()
    };
    let raw = wa::Message {
        list_message: wa::message::ListMessage {
            description: Some("Choose".into()),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    vec![
        (
            Some("see https://example.org"),
            Body::Text(Text {
                text: "see https://example.org".into(),
                preview: Some(Preview {
                    url: "https://example.org".into(),
                    title: Some("Example".into()),
                    description: None,
                }),
            }),
        ),
        (Some("caption"), Body::Image(captioned())),
        (
            Some("caption"),
            Body::Video(File {
                seconds: Some(3),
                gif: true,
                ..captioned()
            }),
        ),
        (None, Body::VideoNote(file())),
        (None, Body::Audio(file())),
        (
            None,
            Body::Voice(File {
                seconds: Some(2),
                view_once: true,
                ..file()
            }),
        ),
        (
            Some("caption"),
            Body::Document(File {
                file_name: Some("a.txt".into()),
                ..captioned()
            }),
        ),
        (None, Body::Sticker(file())),
        (
            Some("Here"),
            Body::Location(Location {
                latitude: 52.5,
                longitude: 13.4,
                name: Some("Here".into()),
                address: Some("Street".into()),
            }),
        ),
        (
            None,
            Body::LiveLocation(LiveLocation {
                latitude: -33.9,
                longitude: 151.2,
                ..LiveLocation::default()
            }),
        ),
        (Some("Ada"), Body::Contact(contact("Ada"))),
        (
            Some("2 contacts"),
            Body::Contacts(Contacts {
                contacts: vec![contact("Ada"), contact("Bob")],
            }),
        ),
        (
            Some("Lunch?"),
            Body::Poll(Poll {
                question: "Lunch?".into(),
                options: vec!["yes".into(), "no".into()],
                selectable: None,
            }),
        ),
        (
            Some("Party"),
            Body::Event(Event {
                name: "Party".into(),
                start_time: 1_800_000_000,
                ..Event::default()
            }),
        ),
        (
            Some("604800"),
            Body::Disappearing(Disappearing { seconds: 604_800 }),
        ),
        (
            Some("Choose"),
            Body::Raw(Raw {
                protobuf: STANDARD.encode(raw.encode_to_vec()),
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_that_a_person_sends_reaches_a_client() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    for (text, body) in bodies() {
        let kind = match body.kind() {
            "raw" => "list",
            kind => kind,
        };
        let id = send(&other, &own, body).await;
        let (arrived, chat) = client.message(&id).await;
        assert_eq!(chat.user, other.number(), "{kind}");
        let sent = other.message(&id).await.expect("the phone keeps what it sent");
        assert_eq!(arrived, sent, "{kind}");
        let shown = entry(&sandbox.phone(&own), &id).await;
        assert_eq!(
            (shown.content.kind.as_str(), shown.content.text.as_deref()),
            (kind, text)
        );
        assert_eq!(
            (shown.chat.as_str(), shown.from.as_str(), shown.copies),
            (other.number(), other.number(), 1),
            "{kind}"
        );
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_quotes_and_mentions() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    client.send(other.number(), "3EB0000000011001", "question").await;
    entry(&other, "3EB0000000011001").await;
    let mut reply = sandbox::script::SendRequest::text(&own, "answer").in_reply_to("3EB0000000011001");
    reply.mentions = vec![own.clone()];
    reply.expires_in = Some(86_400);
    let sent = other.send(reply).await.expect("it is sent");
    let (arrived, _) = client.message(&sent.id).await;
    let text = arrived
        .extended_text_message
        .as_option()
        .expect("an extended text");
    let context = text.context_info.as_option().expect("a context");
    assert_eq!(text.text.as_deref(), Some("answer"));
    assert_eq!(context.stanza_id.as_deref(), Some("3EB0000000011001"));
    assert_eq!(context.participant, Some(format!("{own}@s.whatsapp.net")));
    assert_eq!(context.mentioned_jid, [format!("{own}@s.whatsapp.net")]);
    assert_eq!(context.expiration, Some(86_400));
    let quoted = context.quoted_message.as_option().expect("the quoted message");
    assert_eq!(quoted.conversation.as_deref(), Some("question"));
    let shown = entry(&sandbox.phone(&own), &sent.id).await;
    assert_eq!(shown.content.quoted.as_deref(), Some("3EB0000000011001"));
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_written_to_by_lid_hears_from_a_lid() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    let lid = |info: sandbox::script::PhoneInfo| info.lid;
    let own_lid = lid(sandbox.phone(&own).info().await.expect("it is there"));
    let other_lid = lid(other.info().await.expect("it is there"));
    let sent = other
        .send(sandbox::script::SendRequest::text(
            format!("lid:{own_lid}"),
            "by lid",
        ))
        .await
        .expect("it is sent");
    assert_eq!(sent.to, own);
    let (_, chat) = client.message(&sent.id).await;
    assert_eq!(
        (chat.user.as_str(), chat.server),
        (other_lid.as_str(), wacore_binary::Server::Lid)
    );
    client.stop().await;
    sandbox.shutdown().await;
}
