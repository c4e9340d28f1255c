//! JIDs as the domain's people and chats, and back.

use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use wacore::client::context::GroupInfo;
use wacore_binary::{Jid, JidExt as _, Server};
use whatsapp_rust::Client;

/// The JID that a message to `recipient` goes to.
pub fn jid(recipient: &Recipient) -> Jid {
    match recipient {
        Recipient::Phone(digits) => Jid::pn(digits.as_str()),
        Recipient::Lid(digits) => Jid::lid(digits.as_str()),
        Recipient::Group(id) => Jid::group(id.as_str()),
        Recipient::Status => Jid::status_broadcast(),
        // Nothing is sent there; nothing is what the name of nobody leads to.
        Recipient::Unknown(_) => Jid::pn(""),
    }
}

/// The chat that a JID names; `None` for JIDs that name no chat (status updates, newsletters).
pub fn chat(jid: &Jid) -> Option<Recipient> {
    let server = match jid.server {
        Server::Pn | Server::Hosted | Server::Legacy => "s.whatsapp.net",
        Server::Lid | Server::HostedLid => "lid",
        Server::Group => "g.us",
        _ => return None,
    };
    format!("{}@{server}", jid.user).parse().ok()
}

/// The same, where that of status updates is one as well.
pub fn chat_or_status(jid: &Jid) -> Option<Recipient> {
    if jid.is_status_broadcast() {
        return Some(Recipient::Status);
    }
    chat(jid)
}

/// The same for a chat that may be with `person`: if the JID gives the chat no name, it has the person's.
pub fn chat_or_other_name(jid: &Jid, person: &Person) -> Option<Recipient> {
    chat(jid).or_else(|| {
        let is_person = matches!(
            jid.server,
            Server::Pn | Server::Hosted | Server::Legacy | Server::Lid | Server::HostedLid
        );
        let lid = person.lid.clone().map(Recipient::Lid);
        let other = lid.or_else(|| person.phone.clone().map(Recipient::Phone));
        other.filter(|_| is_person)
    })
}

/// Whether a JID is known to name no conversation: status updates, lists, newsletters.
pub fn is_no_conversation(jid: &Jid) -> bool {
    matches!(jid.server, Server::Broadcast | Server::Newsletter)
}

/// A person by the names that `jids` give.
pub fn person<'a>(jids: impl IntoIterator<Item = &'a Jid>) -> Person {
    let mut person = Person::default();
    for jid in jids {
        match chat(jid) {
            Some(Recipient::Phone(digits)) => person.phone = Some(digits),
            Some(Recipient::Lid(digits)) => person.lid = Some(digits),
            Some(Recipient::Group(_) | Recipient::Status | Recipient::Unknown(_)) | None => {}
        }
    }
    person
}

/// Whether a JID names the account of this client, or a device of it.
pub fn is_own(client: &Client, jid: &Jid) -> bool {
    let own = [client.pn(), client.lid()];
    own.iter().flatten().any(|own| own.is_same_user_as(jid))
}

/// The account of this client, by its names that are known.
pub fn own(client: &Client) -> Person {
    let jids = [client.pn(), client.lid()];
    person(jids.iter().flatten())
}

/// The members of a group but the account itself.
pub fn members(client: &Client, group: &GroupInfo) -> Vec<Person> {
    let others = group.participants.iter().filter(|jid| !is_own(client, jid));
    let member = |jid: &Jid| {
        let mut member = person(
            [Some(jid), group.phone_jid_for_lid_user(&jid.user)]
                .into_iter()
                .flatten(),
        );
        if member.lid.is_none() {
            let lid = group.lid_user_for_phone_user(&jid.user);
            member.lid = lid.map(ToString::to_string);
        }
        member
    };
    others.map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Jid {
        text.parse().expect("a JID")
    }

    #[test]
    fn devices_do_not_show() {
        let person = person([
            &parse("15550100001:7@s.whatsapp.net"),
            &parse("100000000000001:7@lid"),
        ]);
        assert_eq!(person.phone.as_deref(), Some("15550100001"));
        assert_eq!(person.lid.as_deref(), Some("100000000000001"));
    }

    #[test]
    fn a_chat_without_a_name_has_its_persons_other_one() {
        let known = Person {
            phone: None,
            lid: Some("100000000000001".to_owned()),
        };
        let short = parse("0@s.whatsapp.net");
        assert_eq!(chat(&short), None);
        assert_eq!(
            chat_or_other_name(&short, &known),
            Some(Recipient::Lid("100000000000001".to_owned()))
        );
        assert_eq!(chat_or_other_name(&short, &Person::default()), None);
        assert!(!is_no_conversation(&short), "it is left out with a word");
        for text in ["status@broadcast", "120363021033254949@newsletter"] {
            assert_eq!(chat_or_other_name(&parse(text), &known), None, "{text}");
            assert!(is_no_conversation(&parse(text)));
        }
    }

    #[test]
    fn chats_are_named_both_ways() {
        for text in [
            "15550100001@s.whatsapp.net",
            "100000000000001@lid",
            "120363021033254949@g.us",
        ] {
            let recipient = chat(&parse(text)).expect("a chat");
            assert_eq!(recipient.to_jid(), text);
            assert_eq!(jid(&recipient), parse(text));
        }
        assert_eq!(chat(&parse("status@broadcast")), None);
        assert_eq!(chat(&parse("120363021033254949@newsletter")), None);
    }
}
