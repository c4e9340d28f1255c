//! Polls.

use shared::domain::content::{Ballot, Content, Poll};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::PollCreationMessage;

/// A poll with a single choice has a field of its own, as WhatsApp's apps write it.
pub fn write(poll: &Poll) -> wa::Message {
    let Ballot {
        question,
        options,
        selectable,
    } = &poll.poll;
    let options = options
        .iter()
        .map(|name| wa::message::poll_creation_message::Option {
            option_name: Some(name.clone()),
            ..wa::message::poll_creation_message::Option::default()
        });
    let poll = buffa::MessageField::some(PollCreationMessage {
        name: Some(question.clone()),
        options: options.collect(),
        selectable_options_count: Some(*selectable),
        ..PollCreationMessage::default()
    });
    if *selectable == 1 {
        wa::Message {
            poll_creation_message_v3: poll,
            ..wa::Message::default()
        }
    } else {
        wa::Message {
            poll_creation_message: poll,
            ..wa::Message::default()
        }
    }
}

pub fn read(message: &wa::Message) -> Option<Content> {
    let poll = creation(message.get_base_message())?;
    let options = poll.options.iter();
    Some(Content::Poll(Poll {
        poll: Ballot {
            question: poll.name.clone().unwrap_or_default(),
            options: options.filter_map(|option| option.option_name.clone()).collect(),
            selectable: poll.selectable_options_count.unwrap_or_default(),
        },
    }))
}

/// The poll of a message. The fourth kind of polls stands within a wrapper.
fn creation(base: &wa::Message) -> Option<&PollCreationMessage> {
    let wrapped = base.poll_creation_message_v4.as_option();
    if let Some(inner) = wrapped.and_then(|wrapper| wrapper.message.as_option()) {
        return creation(inner);
    }
    [
        &base.poll_creation_message,
        &base.poll_creation_message_v2,
        &base.poll_creation_message_v3,
        &base.poll_creation_message_v5,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(selectable: u32) -> Poll {
        Poll {
            poll: Ballot {
                question: "Lunch?".to_owned(),
                options: vec!["Soup".to_owned(), "Salad".to_owned()],
                selectable,
            },
        }
    }

    #[test]
    fn a_poll_goes_out_by_how_many_may_be_chosen() {
        let single = write(&poll(1));
        assert!(single.poll_creation_message_v3.is_set() && !single.poll_creation_message.is_set());
        for many in [0, 2] {
            let many = write(&poll(many));
            assert!(many.poll_creation_message.is_set() && !many.poll_creation_message_v3.is_set());
        }
    }

    #[test]
    fn each_version_of_a_poll_is_read() {
        let creation = write(&poll(0)).poll_creation_message;
        let wrapped = wa::Message {
            poll_creation_message_v4: buffa::MessageField::some(wa::message::FutureProofMessage {
                message: buffa::MessageField::some(write(&poll(0))),
            }),
            ..wa::Message::default()
        };
        let versions = [
            wa::Message {
                poll_creation_message_v2: creation.clone(),
                ..wa::Message::default()
            },
            wa::Message {
                poll_creation_message_v5: creation,
                ..wa::Message::default()
            },
            wrapped,
        ];
        for version in versions {
            assert_eq!(read(&version), Some(Content::Poll(poll(0))));
        }
    }
}
