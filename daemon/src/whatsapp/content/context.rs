//! What stands beside the content, to and from the wire: the message that is quoted, who is mentioned, and how it is to be
//! shown.

use std::collections::HashMap;
use std::time::Duration;

use shared::domain::content::{Context, Kind, MAX_MENTIONS, Quoted};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use tokio::time::{Instant, timeout_at};
use wacore::client::context::GroupInfo;
use wacore::proto_helpers::MessageExt as _;
use wacore::types::message::AddressingMode;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::Client;

use crate::whatsapp::people;

/// The longest WhatsApp id of a quoted message, in bytes. Clients make some forty.
const MAX_ID: usize = 512;

/// How long all look-ups of the other names of the people in one context may take. Whoever is not found by then keeps the
/// name that is known.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(2);

/// The context of each kind of message that has one.
macro_rules! context_of {
    ($message:expr, $($field:ident),+ $(,)?) => {
        None$(.or_else(|| $message.$field.as_option().and_then(|part| part.context_info.as_option())))+
    };
}

fn info(base: &wa::Message) -> Option<&wa::ContextInfo> {
    context_of!(
        base,
        extended_text_message,
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        live_location_message,
        contact_message,
        contacts_array_message,
        poll_creation_message,
        poll_creation_message_v2,
        poll_creation_message_v3,
        group_invite_message,
        event_message,
        list_message,
        list_response_message,
        buttons_message,
        buttons_response_message,
        template_message,
        template_button_reply_message,
        interactive_message,
        interactive_response_message,
        product_message,
        order_message,
    )
}

/// What stands beside the content of a message that came in, and the chat of the message that it quotes, where that is
/// another chat.
pub async fn read(client: &Client, message: &wa::Message) -> (Context, Option<Recipient>) {
    let mut context = Context::default();
    let Some(info) = info(message.get_base_message()) else {
        return (context, None);
    };
    let names = Names::within(client, LOOK_UP_DEADLINE);
    context.forwarded = info.is_forwarded.unwrap_or_default();
    context.forwarding_score = info.forwarding_score.filter(|_| context.forwarded);
    context.ephemeral_seconds = info.expiration.filter(|seconds| *seconds > 0);
    // One more than is told, to show that there were more.
    for mentioned in info.mentioned_jid.iter().take(MAX_MENTIONS + 1) {
        let person = names.of(mentioned).await;
        context.mentions.extend((!person.is_nobody()).then_some(person));
    }
    context.quoted = quoted(&names, info).await.map(Box::new);
    let elsewhere = info.remote_jid.as_ref().and_then(|jid| jid.parse().ok());
    (context, elsewhere.and_then(|jid: Jid| people::chat(&jid)))
}

async fn quoted(names: &Names<'_>, info: &wa::ContextInfo) -> Option<Quoted> {
    let id = info.stanza_id.as_ref();
    let id = id.filter(|id| !id.is_empty() && id.len() <= MAX_ID)?;
    let author = info.participant.as_deref().unwrap_or_default();
    let message = info.quoted_message.as_option();
    let text = message.and_then(|message| message.text_content().or_else(|| message.get_caption()));
    let content = message.and_then(super::read);
    Some(Quoted {
        id: None,
        whatsapp_id: id.clone(),
        from: names.of(author).await,
        from_me: author
            .parse()
            .is_ok_and(|author: Jid| people::is_own(names.client, &author)),
        kind: content.map_or(Kind::Unknown, |content| content.kind()),
        text: text.filter(|text| !text.is_empty()).map(str::to_owned),
    })
}

/// The names that the session knows of people, asked for until a deadline. The server is not asked.
struct Names<'a> {
    client: &'a Client,
    until: Instant,
}

impl<'a> Names<'a> {
    fn within(client: &'a Client, patience: Duration) -> Self {
        Self {
            client,
            until: Instant::now() + patience,
        }
    }

    /// A person by each name that is known; nobody where the text is no JID of a person.
    async fn of(&self, jid: &str) -> Person {
        let Ok(jid) = jid.parse::<Jid>() else {
            return Person::default();
        };
        let jid = jid.to_non_ad();
        self.completed(people::person([&jid])).await
    }

    async fn completed(&self, mut person: Person) -> Person {
        let known = match (&person.phone, &person.lid) {
            (Some(phone), None) => Jid::pn(phone.as_str()),
            (None, Some(lid)) => Jid::lid(lid.as_str()),
            _ => return person,
        };
        // An unknown name is no reason to hold a message up.
        if let Ok(Ok(Some(entry))) = timeout_at(self.until, self.client.get_lid_pn_entry(&known)).await {
            person.phone.get_or_insert_with(|| entry.phone_number.to_string());
            person.lid.get_or_insert_with(|| entry.lid.to_string());
        }
        person
    }
}

/// A context as the wire has it in one chat.
#[derive(Default)]
pub struct Addressed {
    info: wa::ContextInfo,
    /// People whom the chat knows by another name than the caller gave, for texts that call them by that.
    renamed: HashMap<String, String>,
}

/// Names the people of a context as the chat does that it goes to: `group` is its description where it is a group.
pub async fn address(
    client: &Client,
    to: &Recipient,
    group: Option<&GroupInfo>,
    context: &Context,
) -> Addressed {
    let by_lid = match group {
        Some(group) => group.addressing_mode == AddressingMode::Lid,
        None => to.lid().is_some(),
    };
    let names = Names::within(client, LOOK_UP_DEADLINE);
    let mut addressed = Addressed::default();
    let info = &mut addressed.info;
    if let Some(quoted) = &context.quoted {
        let author = if quoted.from_me {
            let own = [client.pn(), client.lid()].map(|own| own.map(|own| own.to_non_ad()));
            people::person(own.iter().flatten())
        } else {
            quoted.from.clone()
        };
        let author = jid_in(&names, by_lid, group, author).await;
        info.stanza_id = Some(quoted.whatsapp_id.clone());
        info.participant = author.map(|author| author.to_string());
        info.quoted_message = buffa::MessageField::some(stub(quoted));
    }
    for mentioned in &context.mentions {
        let Some(jid) = jid_in(&names, by_lid, group, mentioned.clone()).await else {
            continue;
        };
        let called = mentioned.phone.as_ref().or(mentioned.lid.as_ref());
        if let Some(called) = called.filter(|called| **called != *jid.user) {
            addressed.renamed.insert(called.clone(), jid.user.to_string());
        }
        let jid = jid.to_string();
        // The caller may have named a person twice, by number and LID.
        if !info.mentioned_jid.contains(&jid) {
            info.mentioned_jid.push(jid);
        }
    }
    if context.forwarded {
        info.is_forwarded = Some(true);
        info.forwarding_score = context.forwarding_score.or(Some(1));
    }
    info.expiration = context.ephemeral_seconds;
    addressed
}

/// A person's JID in a chat that calls people by LID or not; the other one where that is all that is known.
async fn jid_in(
    names: &Names<'_>,
    by_lid: bool,
    group: Option<&GroupInfo>,
    mut person: Person,
) -> Option<Jid> {
    if let Some(group) = group {
        if let (None, Some(phone)) = (&person.lid, &person.phone) {
            person.lid = group.lid_user_for_phone_user(phone).map(ToString::to_string);
        }
        if let (Some(lid), None) = (&person.lid, &person.phone) {
            person.phone = group.phone_jid_for_lid_user(lid).map(|jid| jid.user.to_string());
        }
    }
    if (if by_lid { &person.lid } else { &person.phone }).is_none() {
        person = names.completed(person).await;
    }
    let (lid, phone) = (person.lid.map(Jid::lid), person.phone.map(Jid::pn));
    if by_lid { lid.or(phone) } else { phone.or(lid) }
}

/// What stands in for a quoted message in its quote. Its content is not kept, so this has the text that the caller gave, or
/// nothing but its kind.
fn stub(quoted: &Quoted) -> wa::Message {
    let text = quoted.text.clone();
    match quoted.kind {
        Kind::Location => wa::Message {
            location_message: buffa::MessageField::some(wa::message::LocationMessage {
                name: text,
                ..wa::message::LocationMessage::default()
            }),
            ..wa::Message::default()
        },
        Kind::Contact => wa::Message {
            contact_message: buffa::MessageField::some(wa::message::ContactMessage {
                display_name: text,
                ..wa::message::ContactMessage::default()
            }),
            ..wa::Message::default()
        },
        Kind::Poll => wa::Message {
            poll_creation_message_v3: buffa::MessageField::some(wa::message::PollCreationMessage {
                name: text,
                ..wa::message::PollCreationMessage::default()
            }),
            ..wa::Message::default()
        },
        _ => wa::Message {
            // Apps leave a quote out that has no message at all.
            conversation: Some(text.unwrap_or_else(|| NOT_KEPT.to_owned())),
            ..wa::Message::default()
        },
    }
}

/// What a quote shows of a text that nobody gave.
const NOT_KEPT: &str = "…";

impl Addressed {
    /// Puts the context beside the content of a message. `false` where a message of this kind has none.
    pub fn put(self, message: &mut wa::Message) -> bool {
        let inner = inside(message);
        if !self.renamed.is_empty() {
            for text in texts(inner) {
                *text = renamed(text, &self.renamed);
            }
        }
        self.info == wa::ContextInfo::default() || inner.set_context_info(self.info)
    }
}

/// The message inside the wrapper that says how to show it, where there is one.
fn inside(message: &mut wa::Message) -> &mut wa::Message {
    macro_rules! unwrap {
        ($($wrapper:ident),+ $(,)?) => {
            $(if message.$wrapper.as_option().is_some_and(|wrapper| wrapper.message.is_set()) {
                return message.$wrapper.get_or_insert_default().message.get_or_insert_default();
            })+
        };
    }
    unwrap!(
        view_once_message_v2,
        view_once_message_v2_extension,
        view_once_message,
        document_with_caption_message,
    );
    message
}

/// The texts in which people are called.
fn texts(message: &mut wa::Message) -> impl Iterator<Item = &mut String> {
    let extended = message.extended_text_message.as_option_mut();
    let image = message.image_message.as_option_mut();
    let video = message.video_message.as_option_mut();
    let document = message.document_message.as_option_mut();
    [
        message.conversation.as_mut(),
        extended.and_then(|part| part.text.as_mut()),
        image.and_then(|part| part.caption.as_mut()),
        video.and_then(|part| part.caption.as_mut()),
        document.and_then(|part| part.caption.as_mut()),
    ]
    .into_iter()
    .flatten()
}

/// The text with other digits after the `@` of those who are called by other ones. An app shows a mention only where the
/// text calls the person as the context does.
fn renamed(text: &str, names: &HashMap<String, String>) -> String {
    let mut parts = text.split('@');
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (called, rest) = part.split_at(end);
        written.push('@');
        written.push_str(names.get(called).map_or(called, String::as_str));
        written.push_str(rest);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_calls_people_by_the_name_that_the_chat_knows() {
        let names = HashMap::from([("15550100001".to_owned(), "200000000000001".to_owned())]);
        for (text, wanted) in [
            ("@15550100001 hello", "@200000000000001 hello"),
            ("a@15550100001,@15550100002", "a@200000000000001,@15550100002"),
            ("@155501000012", "@155501000012"),
            ("@", "@"),
            ("15550100001", "15550100001"),
        ] {
            assert_eq!(renamed(text, &names), wanted);
        }
    }

    #[test]
    fn a_context_stands_inside_the_wrapper() {
        let image = wa::Message {
            image_message: buffa::MessageField::some(wa::message::ImageMessage::default()),
            ..wa::Message::default()
        };
        let mut once = wa::Message {
            view_once_message_v2: buffa::MessageField::some(wa::message::FutureProofMessage {
                message: buffa::MessageField::some(image),
            }),
            ..wa::Message::default()
        };
        let addressed = Addressed {
            info: wa::ContextInfo {
                is_forwarded: Some(true),
                ..wa::ContextInfo::default()
            },
            ..Addressed::default()
        };
        assert!(addressed.put(&mut once));
        assert!(once.is_view_once() && once.is_forwarded());
    }

    #[test]
    fn every_kind_has_a_stub_to_quote() {
        for kind in Kind::SENT {
            let quoted = Quoted {
                id: None,
                whatsapp_id: "3EB0".to_owned(),
                from: Person::default(),
                from_me: true,
                kind: *kind,
                text: None,
            };
            // On the wire: a part that is there but empty equals an absent one in memory.
            let bytes = waproto::codec::message_to_vec(&stub(&quoted));
            assert!(!bytes.is_empty(), "{kind}");
        }
    }
}
