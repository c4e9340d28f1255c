//! The keys by which messages name others.
//!
//! On the wire a key is as its sender sees it: `from_me` is the sender's own. In our types it is as the account sees it.

use chrono::{DateTime, Utc};
use shared::domain::content::{Content, Kind, MAX_WHATSAPP_ID, Target};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use wacore::types::message::{EditAttribute, MessageInfo};
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use crate::whatsapp::people;

/// Where a message goes that is about another.
#[derive(Debug)]
pub struct Addressed {
    /// The chat.
    pub chat: Jid,
    /// How the group names the account, where the chat is one.
    pub own_in_group: Option<Jid>,
    /// Whether the group names its members by LIDs.
    pub is_by_lid: bool,
    /// When the message was accepted: the same at every attempt. Of a person's reactions the latest counts.
    pub at: DateTime<Utc>,
}

/// A key with all that does not depend on where the message goes.
pub fn write(target: &Target) -> wa::MessageKey {
    wa::MessageKey {
        id: Some(target.whatsapp_id.clone()),
        from_me: Some(target.from_me),
        participant: participant(&target.author, true),
        ..wa::MessageKey::default()
    }
}

/// A person's name in a group; the other one where that is not known.
fn participant(author: &Person, is_by_lid: bool) -> Option<String> {
    let lid = author.lid.clone().map(Recipient::Lid);
    let phone = author.phone.clone().map(Recipient::Phone);
    let name = if is_by_lid { lid.or(phone) } else { phone.or(lid) };
    name.map(|name| name.to_jid())
}

/// Completes the key and the time of a message that is about another.
pub fn address(message: &mut wa::Message, to: &Addressed, target: &Target) {
    let at = Some(to.at.timestamp_millis());
    let mut is_edit = false;
    let key = if let Some(reaction) = message.reaction_message.as_option_mut() {
        reaction.sender_timestamp_ms = at;
        reaction.key.as_option_mut()
    } else if let Some(protocol) = message.protocol_message.as_option_mut() {
        is_edit = protocol.edited_message.is_set();
        if is_edit {
            protocol.timestamp_ms = at;
        }
        protocol.key.as_option_mut()
    } else {
        None
    };
    let Some(key) = key else { return };
    key.remote_jid = Some(to.chat.to_string());
    key.participant = match &to.own_in_group {
        // As the official clients: an edit names its author even where that is oneself.
        Some(own) if target.from_me => is_edit.then(|| own.to_string()),
        Some(_) => participant(&target.author, to.is_by_lid),
        None => None,
    };
}

/// The message that a key names, as the key's sender sees it.
pub fn read(key: Option<&wa::MessageKey>) -> Option<Target> {
    let key = key?;
    let id = key.id.as_ref()?;
    if !(1..=MAX_WHATSAPP_ID).contains(&id.len()) {
        return None;
    }
    let from_me = key.from_me.unwrap_or_default();
    let participant: Option<Jid> = key.participant.as_ref().and_then(|jid| jid.parse().ok());
    Some(Target {
        whatsapp_id: id.clone(),
        from_me,
        author: if from_me {
            Person::default()
        } else {
            people::person(&participant)
        },
    })
}

/// Turns the message that `content` is about into what the account sees. `false` where its sender may not say that of it:
/// the apps ignore it too. `own` is the account, and `from` who sent `info`'s message.
pub fn seen_from_here(content: &mut Content, info: &MessageInfo, own: &Person, from: &Person) -> bool {
    let kind = content.kind();
    let source = &info.source;
    let Some(target) = content.target_mut() else {
        return true;
    };
    let is_of_its_sender = target.from_me;
    if !source.is_from_me {
        if is_of_its_sender {
            target.from_me = false;
            target.author = from.clone();
        } else {
            // Between two people there is one other side; in a group the key names the author.
            target.from_me = !source.is_group || target.author.is_same_as(own) == Some(true);
        }
    }
    if target.from_me || !source.is_group {
        target.author = Person::default();
    }
    match kind {
        Kind::Edit => is_of_its_sender,
        // WhatsApp's server lets admins alone send what it marks so.
        Kind::Revoke => is_of_its_sender || source.is_group && info.edit == EditAttribute::AdminRevoke,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::content::{Reaction, Revoke};
    use wacore::types::message::MessageSource;

    use super::*;

    fn lid(digits: &str) -> Person {
        Person {
            phone: None,
            lid: Some(digits.to_owned()),
        }
    }

    fn target(from_me: bool, author: Person) -> Target {
        Target {
            whatsapp_id: "3AFF01".to_owned(),
            from_me,
            author,
        }
    }

    fn info(is_group: bool, is_from_me: bool, edit: EditAttribute) -> MessageInfo {
        MessageInfo {
            source: MessageSource {
                is_group,
                is_from_me,
                ..MessageSource::default()
            },
            edit,
            ..MessageInfo::default()
        }
    }

    /// As the account sees a reaction's target.
    fn seen(of: Target, is_group: bool, is_from_me: bool) -> (bool, Person) {
        let mut content = Content::Reaction(Reaction {
            target: of,
            emoji: "👍".to_owned(),
        });
        let info = info(is_group, is_from_me, EditAttribute::Empty);
        assert!(seen_from_here(&mut content, &info, &lid("100"), &lid("200")));
        let target = content.target().expect("one").clone();
        (target.from_me, target.author)
    }

    #[test]
    fn whose_a_message_is_depends_on_who_names_it() {
        let nobody = Person::default();
        // Between two people.
        assert_eq!(
            seen(target(true, nobody.clone()), false, false),
            (false, nobody.clone())
        );
        assert_eq!(
            seen(target(false, nobody.clone()), false, false),
            (true, nobody.clone())
        );
        assert_eq!(
            seen(target(true, nobody.clone()), false, true),
            (true, nobody.clone())
        );
        assert_eq!(
            seen(target(false, nobody.clone()), false, true),
            (false, nobody.clone())
        );
        // In a group.
        assert_eq!(
            seen(target(true, nobody.clone()), true, false),
            (false, lid("200"))
        );
        assert_eq!(
            seen(target(false, lid("100")), true, false),
            (true, nobody.clone())
        );
        assert_eq!(seen(target(false, lid("300")), true, false), (false, lid("300")));
        assert_eq!(seen(target(false, lid("300")), true, true), (false, lid("300")));
        assert_eq!(seen(target(true, nobody.clone()), true, true), (true, nobody));
    }

    #[test]
    fn nobody_takes_back_what_is_not_theirs_but_an_admin() {
        let may = |from_me, is_group, edit| {
            let mut content = Content::Revoke(Revoke {
                target: target(from_me, lid("300")),
            });
            seen_from_here(
                &mut content,
                &info(is_group, false, edit),
                &lid("100"),
                &lid("200"),
            )
        };
        assert!(
            may(true, false, EditAttribute::SenderRevoke) && may(true, true, EditAttribute::SenderRevoke)
        );
        assert!(!may(false, false, EditAttribute::AdminRevoke));
        assert!(!may(false, true, EditAttribute::SenderRevoke));
        assert!(may(false, true, EditAttribute::AdminRevoke));
    }

    #[test]
    fn a_key_without_an_id_or_with_an_endless_one_names_nothing() {
        assert!(read(None).is_none() && read(Some(&wa::MessageKey::default())).is_none());
        let endless = wa::MessageKey {
            id: Some("F".repeat(MAX_WHATSAPP_ID + 1)),
            ..wa::MessageKey::default()
        };
        assert!(read(Some(&endless)).is_none());
    }

    #[test]
    fn a_group_names_an_author_in_its_own_way() {
        let author = Person {
            phone: Some("15550100001".to_owned()),
            lid: Some("300000000000001".to_owned()),
        };
        let group = |is_by_lid| Addressed {
            chat: "120363021033254949@g.us".parse().expect("a JID"),
            own_in_group: Some("100000000000001@lid".parse().expect("a JID")),
            is_by_lid,
            at: DateTime::UNIX_EPOCH,
        };
        let target = target(false, author);
        for (is_by_lid, name) in [
            (true, "300000000000001@lid"),
            (false, "15550100001@s.whatsapp.net"),
        ] {
            let mut message = super::super::revoke::write(&Revoke {
                target: target.clone(),
            });
            address(&mut message, &group(is_by_lid), &target);
            let key = message.protocol_message.key.as_option().expect("a key");
            assert_eq!(key.participant.as_deref(), Some(name));
            assert_eq!(key.remote_jid.as_deref(), Some("120363021033254949@g.us"));
        }
    }
}
