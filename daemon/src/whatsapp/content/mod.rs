//! What messages say, to and from the wire. Each kind is a file here that writes and reads it.

mod contact;
pub mod context;
mod edit;
mod location;
mod media;
mod poll;
mod reaction;
mod revoke;
mod status;
mod target;
mod text;

use shared::domain::content::Content;
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

use crate::store::is_stub;

pub use target::{Addressed, address, seen_from_here};

/// Reads one kind of content from a message; `None` where the message is of another.
type Read = fn(&wa::Message) -> Option<Content>;

/// Who reads what comes in, each kind that [`write`] knows. One reads all kinds with a file.
const READERS: [Read; 8] = [
    text::read,
    location::read,
    contact::read,
    poll::read,
    reaction::read,
    edit::read,
    revoke::read,
    media::read,
];

/// A message that says this, with its secret. `None` for what cannot be sent. One that is about another has no secret of
/// its own, and is to be [addressed](address) as well.
pub fn write(content: &Content, secret: [u8; 32]) -> Option<wa::Message> {
    let message = match content {
        Content::Text(text) => text::write(text),
        Content::Location(location) => location::write(location),
        Content::Contact(contact) => contact::write(contact),
        Content::Poll(poll) => poll::write(poll),
        Content::Reaction(reaction) => reaction::write(reaction),
        Content::Edit(edit) => edit::write(edit),
        Content::Revoke(revoke) => revoke::write(revoke),
        Content::Image(image) => media::write_image(image)?,
        Content::Video(video) => media::write_video(video)?,
        Content::Audio(audio) => media::write_audio(audio)?,
        Content::Voice(voice) => media::write_voice(voice)?,
        Content::Document(document) => media::write_document(document)?,
        Content::Sticker(sticker) => media::write_sticker(sticker)?,
        Content::Status(status) => status::write(status)?,
        Content::Unknown => return None,
    };
    if content.kind().is_about_another() {
        return Some(message);
    }
    Some(wa::Message {
        message_context_info: buffa::MessageField::some(wa::MessageContextInfo {
            message_secret: Some(secret.to_vec()),
            ..wa::MessageContextInfo::default()
        }),
        ..message
    })
}

/// What an incoming message says. `None` for what only clients have to do with
/// (key shares, settings, key distribution), which no one is told of.
pub fn read(message: &wa::Message) -> Option<Content> {
    let known = READERS.iter().find_map(|read| read(message));
    if known.is_some() {
        return known;
    }
    let base = message.get_base_message();
    if base.protocol_message.as_option().is_some() {
        return None;
    }
    let only_keys = wa::Message {
        sender_key_distribution_message: base.sender_key_distribution_message.clone(),
        message_context_info: base.message_context_info.clone(),
        ..wa::Message::default()
    };
    // On the wire's form: a part that is there but empty equals an absent one in memory.
    let encode = waproto::codec::message_to_vec;
    if encode(base) == encode(&only_keys) {
        return None;
    }
    Some(Content::Unknown)
}

/// Whether a message is the stub of one that did not fit into the buffer, or does
/// not fit (`is_oversize`, by its bytes) and comes again as one.
pub fn is_cut(message: &wa::Message, is_oversize: fn(usize) -> bool) -> bool {
    is_stub(message) || is_oversize(waproto::codec::message_encoded_len(message))
}

#[cfg(test)]
mod tests {
    use shared::domain::content::{
        Ballot, Card, Contact, Edit, Kind, Location, Place, Poll, Reaction, Revoke, Target,
    };
    use shared::domain::person::Person;

    use super::*;

    /// One of each kind that can be sent.
    fn samples() -> Vec<Content> {
        let sample = |kind: &Kind| match kind {
            Kind::Text => Some(Content::text("hello")),
            Kind::Location => Some(Content::Location(Location {
                location: Place {
                    latitude: 52.5163,
                    longitude: 13.3777,
                    name: Some("Brandenburg Gate".to_owned()),
                    address: None,
                    live: false,
                },
                text: None,
                live_seconds: None,
            })),
            Kind::Contact => Some(Content::Contact(Contact {
                contacts: vec![Card::of("Ada", &"15550100001".parse().expect("a number"))],
            })),
            Kind::Poll => Some(Content::Poll(Poll {
                poll: Ballot {
                    question: "Lunch?".to_owned(),
                    options: ["Soup", "Salad"].map(str::to_owned).into(),
                    selectable: 1,
                },
            })),
            Kind::Reaction => Some(Content::Reaction(Reaction {
                target: target(false),
                emoji: "👍".to_owned(),
            })),
            Kind::Edit => Some(Content::Edit(Edit {
                target: target(true),
                text: "hello again".to_owned(),
            })),
            Kind::Revoke => Some(Content::Revoke(Revoke {
                target: target(false),
            })),
            Kind::Image => Some(Content::Image(media::tests::sample())),
            Kind::Video => Some(Content::Video(media::tests::sample())),
            Kind::Audio => Some(Content::Audio(media::tests::sample())),
            Kind::Voice => {
                let mut voice = media::tests::sample();
                voice.media.voice = true;
                Some(Content::Voice(voice))
            }
            Kind::Document => {
                let mut document = media::tests::sample();
                document.media.file_name = Some("a.pdf".to_owned());
                Some(Content::Document(document))
            }
            Kind::Sticker => Some(Content::Sticker(media::tests::sample())),
            // What one sees of it is of another kind, and nobody is told of others' statuses.
            Kind::Status | Kind::Unknown => None,
        };
        Kind::SENT.iter().filter_map(sample).collect()
    }

    fn target(from_me: bool) -> Target {
        let author = Person {
            phone: None,
            lid: Some("100000000000001".to_owned()),
        };
        Target {
            whatsapp_id: "3AFF01".to_owned(),
            from_me,
            author: if from_me { Person::default() } else { author },
        }
    }

    #[test]
    fn each_kind_is_read_back() {
        let samples = samples();
        assert_eq!(samples.len(), Kind::SENT.len() - 1, "but for statuses");
        for content in samples {
            let message = write(&content, [7; 32]).expect("it can be sent");
            assert!(read(&message) == Some(content.clone()), "{content:?}");
            let secret = message
                .message_context_info
                .as_option()
                .and_then(|info| info.message_secret.clone());
            let is_one_of_its_own = !content.kind().is_about_another();
            assert_eq!(secret, is_one_of_its_own.then(|| vec![7; 32]));
        }
        assert_eq!(write(&Content::Unknown, [7; 32]), None);
    }

    #[test]
    fn what_is_of_no_kind_is_told_of_without_content() {
        let call = wa::Message {
            call: buffa::MessageField::some(wa::message::Call::default()),
            ..wa::Message::default()
        };
        assert_eq!(read(&call), Some(Content::Unknown));
    }

    #[test]
    fn what_is_for_clients_alone_is_not_told_of() {
        let protocol = wa::Message {
            protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage::default()),
            ..wa::Message::default()
        };
        assert_eq!(read(&protocol), None);
        assert_eq!(read(&wa::Message::default()), None);
    }
}
