//! `usync`: who exists, by which names, with which devices, and what they show of themselves.
//!
//! One question names several protocols and several people, by JID or by number. Each person has an answer or a
//! refusal for each protocol. A protocol that the network does not have is refused in the `<result>`.

mod devices;
mod protocols;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::faults::Faults;
use crate::people::contacts;
use crate::store::Unit;
use crate::wire;

/// The most people of one question, side list included. Whoever writes to a group asks for the devices of all its 1,024 at once.
const MAX_USERS: usize = 2_048;

/// The most protocols of one question.
const MAX_PROTOCOLS: usize = 16;

/// What a question is about.
struct Question<'a> {
    faults: &'a Faults,
    from: &'a Address,
    protocols: &'a [Node],
    /// Whether people whom the client names by numbers are to be named by their LIDs.
    by_lid: bool,
    /// Whether the question tells the network of an address book.
    saves: bool,
}

pub(super) fn answer(unit: &Unit<'_>, faults: &Faults, from: &Address, node: &Node) -> Result<Node> {
    let usync = node
        .get_optional_child("usync")
        .ok_or_else(|| Error::Invalid("no <usync>".into()))?;
    let children = |tag| {
        usync
            .get_optional_child(tag)
            .map(wire::children)
            .unwrap_or_default()
    };
    let (protocols, users, side) = (children("query"), children("list"), children("side_list"));
    if protocols.len() > MAX_PROTOCOLS || users.len() + side.len() > MAX_USERS {
        return Err(Error::Invalid("too much for one question".into()));
    }
    let contact = protocols.iter().find(|protocol| protocol.tag == "contact");
    let question = Question {
        faults,
        from,
        protocols,
        by_lid: contact
            .and_then(|contact| wire::attr(contact, "addressing_mode"))
            .is_some_and(|mode| mode == "lid"),
        saves: contact.is_some() && matches!(wire::attr(usync, "mode").as_deref(), Some("full" | "delta")),
    };
    let mut builder = NodeBuilder::new("usync");
    for key in ["sid", "mode", "context", "index", "last"] {
        if let Some(value) = wire::attr(usync, key) {
            builder = builder.attr(key, value.as_ref());
        }
    }
    let states = protocols
        .iter()
        .map(|protocol| protocols::state(protocol.tag.as_ref()));
    let mut parts = vec![
        NodeBuilder::new("result").children(states).build(),
        NodeBuilder::new("list")
            .children(question.people(unit, users)?)
            .build(),
    ];
    if !side.is_empty() {
        let people = question.people(unit, side)?;
        parts.push(NodeBuilder::new("side_list").children(people).build());
    }
    Ok(wire::iq_result(node, vec![builder.children(parts).build()]))
}

/// How a client names somebody.
enum Name {
    Jid(Jid),
    /// A number, and how it was written.
    Number(String, String),
    /// What was written where a number should be.
    NoNumber(String),
    /// Nobody here has a user name.
    Username(String),
}

impl Name {
    fn read(user: &Node) -> Option<Self> {
        // A question by PN has it in an attribute of its own, if the client knows no other.
        if let Some(jid) = wire::attr_jid(user, "jid").or_else(|| wire::attr_jid(user, "pn_jid")) {
            return Some(Self::Jid(jid.to_non_ad()));
        }
        let contact = user.get_optional_child("contact")?;
        if let Some(name) = wire::attr(contact, "username") {
            return Some(Self::Username(name.into_owned()));
        }
        let written = String::from_utf8_lossy(&wire::bytes(contact)?).into_owned();
        Some(match number(&written) {
            Some(number) => Self::Number(number, written),
            None => Self::NoNumber(written),
        })
    }
}

/// The digits of a number as people write it: perhaps with a plus, blanks and hyphens, perhaps as a JID.
fn number(written: &str) -> Option<String> {
    let written = written
        .strip_suffix("@c.us")
        .or_else(|| written.strip_suffix("@s.whatsapp.net"))
        .unwrap_or(written);
    let digits: String = written
        .strip_prefix('+')
        .unwrap_or(written)
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.'))
        .collect();
    directory::check_number(&digits).is_ok().then_some(digits)
}

/// The number that the network knows, of one that is written with or without the ninth digit of mobile phones in Brazil.
/// Both are the same number to WhatsApp, which answers with the one that the account was made with.
fn as_known(unit: &Unit<'_>, number: String) -> Result<String> {
    if directory::by_phone(unit, &number)?.is_some() {
        return Ok(number);
    }
    let other = match number
        .strip_prefix("55")
        .and_then(|rest| rest.split_at_checked(2))
    {
        Some((area, rest)) if rest.len() == 8 => format!("55{area}9{rest}"),
        Some((area, rest)) if rest.len() == 9 && rest.starts_with('9') => format!("55{area}{}", &rest[1..]),
        _ => return Ok(number),
    };
    let is_known = directory::by_phone(unit, &other)?.is_some();
    Ok(if is_known { other } else { number })
}

impl Question<'_> {
    fn people(&self, unit: &Unit<'_>, users: &[Node]) -> Result<Vec<Node>> {
        let mut people = Vec::new();
        for user in users {
            people.extend(self.person(unit, user)?);
        }
        Ok(people)
    }

    /// The `<user>` that answers for one person; `None` where there is nothing to say.
    fn person(&self, unit: &Unit<'_>, user: &Node) -> Result<Option<Node>> {
        let Some(name) = Name::read(user) else {
            return Ok(None);
        };
        let (jid, written) = match name {
            Name::Jid(jid) => (jid, None),
            Name::Number(number, written) => (Jid::pn(as_known(unit, number)?), Some(written)),
            Name::NoNumber(written) => return Ok(self.nobody("invalid", &written)),
            Name::Username(name) => return Ok(self.nobody("out", &name)),
        };
        let (Some(account), Some(family)) = (directory::resolve(unit, &jid)?, Family::of(&jid)) else {
            let children = self
                .protocols
                .iter()
                .map(|protocol| protocols::stranger(protocol.tag.as_ref(), written.as_deref()));
            return Ok(Some(
                NodeBuilder::new("user")
                    .attr("jid", jid)
                    .children(children.flatten())
                    .build(),
            ));
        };
        self.save(unit, &account, user)?;
        let family = if self.by_lid { Family::Lid } else { family };
        let mut children = Vec::new();
        for protocol in self.protocols {
            let asked = protocols::Asked {
                faults: self.faults,
                from: self.from,
                account: &account,
                family,
                user,
                written: written.as_deref(),
            };
            children.extend(asked.answer(unit, protocol)?);
        }
        // A client that has somebody's devices as they are hears nothing of them.
        if children.is_empty() && self.protocols.iter().all(|protocol| protocol.tag == "devices") {
            return Ok(None);
        }
        let mut builder = NodeBuilder::new("user").attr("jid", account.jid(family, 0));
        if family == Family::Lid {
            builder = builder.attr("pn_jid", account.jid(Family::Pn, 0));
        }
        Ok(Some(builder.children(children).build()))
    }

    /// Somebody who cannot be named by a JID is answered for `contact` alone.
    fn nobody(&self, kind: &'static str, written: &str) -> Option<Node> {
        let asked = self.protocols.iter().any(|protocol| protocol.tag == "contact");
        asked.then(|| {
            NodeBuilder::new("user")
                .children([protocols::contact(kind, Some(written))])
                .build()
        })
    }

    /// An address book tells whom the person knows.
    fn save(&self, unit: &Unit<'_>, account: &Account, user: &Node) -> Result<()> {
        let Some(contact) = user.get_optional_child("contact").filter(|_| self.saves) else {
            return Ok(());
        };
        if wire::attr(contact, "type").as_deref() == Some("delete") {
            contacts::remove(unit, &self.from.phone, &account.phone)
        } else {
            contacts::add(unit, &self.from.phone, &account.phone)
        }
    }
}

#[cfg(test)]
mod tests {
    use wacore::iq::spec::IqSpec as _;
    use wacore::iq::usync::{
        UsyncContext, UsyncFeature, UsyncMode, UsyncOutcome, UsyncProtocol, UsyncProtocolKind,
        UsyncProtocolResult, UsyncQuery, UsyncQuerySpec, UsyncResponse, UsyncUser,
    };

    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    /// What a client reads out of the answer to its question.
    fn ask(
        unit: &Unit<'_>,
        from: &Account,
        protocols: Vec<UsyncProtocol>,
        users: Vec<UsyncUser>,
    ) -> UsyncResponse {
        let query = UsyncQuery::new(UsyncMode::Query, UsyncContext::Background, protocols, users).unwrap();
        let spec = UsyncQuerySpec::new(query, "sid").unwrap();
        let content = spec.build_iq().content;
        let request = NodeBuilder::new("iq")
            .attr("id", "1")
            .attr("xmlns", "usync")
            .apply_content(content)
            .build();
        let answer = answer(unit, &Faults::none(), &Address::new(&from.phone, 1), &request).unwrap();
        spec.parse_response(&answer.as_node_ref()).unwrap()
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for written in ["155501000001", "+1 555 010-00001", "155501000001@c.us"] {
            assert_eq!(number(written).as_deref(), Some("155501000001"), "{written}");
        }
        for written in ["", "+", "0155501", "call me", "1555010000012345"] {
            assert_eq!(number(written), None, "{written}");
        }
    }

    #[test]
    fn one_question_has_many_protocols_and_people() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let response = ask(
                unit,
                &me,
                vec![
                    UsyncProtocol::DevicesV2,
                    UsyncProtocol::Lid,
                    UsyncProtocol::Status,
                    UsyncProtocol::DisappearingMode,
                    UsyncProtocol::BusinessVerifiedName,
                    UsyncProtocol::Picture,
                    UsyncProtocol::Username,
                    UsyncProtocol::TextStatus,
                    UsyncProtocol::BotProfileV1,
                    UsyncProtocol::Features(vec![UsyncFeature::EncryptV2, UsyncFeature::MultiAgent]),
                ],
                vec![
                    UsyncUser::from_jid(other.jid(Family::Pn, 0)),
                    UsyncUser::from_jid(Jid::lid("1")),
                    UsyncUser::from_jid(me.jid(Family::Lid, 0)),
                ],
            );
            assert_eq!(response.users.len(), 3);
            let known = &response.users[0];
            assert!(known.protocol(UsyncProtocolKind::Business).is_none(), "it is none");
            let stranger = &response.users[1];
            for kind in [UsyncProtocolKind::Devices, UsyncProtocolKind::Bot] {
                let refused = match stranger.protocol(kind) {
                    Some(UsyncProtocolResult::Devices(outcome)) => outcome.error().is_some(),
                    Some(UsyncProtocolResult::Bot(outcome)) => outcome.error().is_some(),
                    other => panic!("{other:?}"),
                };
                assert!(refused);
            }
            assert_eq!(response.users[2].pn_jid, Some(me.jid(Family::Pn, 0)));
            assert!(matches!(
                known.protocol(UsyncProtocolKind::Lid),
                Some(UsyncProtocolResult::Lid(UsyncOutcome::Value(Some(lid)))) if *lid == other.jid(Family::Lid, 0)
            ));
            let Some(UsyncProtocolResult::Features(UsyncOutcome::Value(features))) =
                known.protocol(UsyncProtocolKind::Feature)
            else {
                panic!("no features");
            };
            let values: Vec<_> = features.iter().map(|feature| feature.value.as_str()).collect();
            assert_eq!(values, ["true", "false"]);
            Ok(())
        });
    }

    #[test]
    fn a_number_of_brazil_is_known_with_and_without_its_ninth_digit() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            for number in ["551187654321", "5521987654321"] {
                identity::create(unit, Some(number.to_owned()), None)?;
            }
            for (written, known) in [
                ("5511987654321", "551187654321"),
                ("552187654321", "5521987654321"),
                ("551187654321", "551187654321"),
                ("5531987654321", "5531987654321"),
                ("155509999999", "155509999999"),
            ] {
                assert_eq!(as_known(unit, written.to_owned())?, known, "{written}");
            }
            Ok(())
        });
    }

    #[test]
    fn a_contact_is_in_out_or_no_number() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            for (mode, written, expected, jid) in [
                ("pn", me.phone.as_str(), "in", Some(me.jid(Family::Pn, 0))),
                ("lid", me.phone.as_str(), "in", Some(me.jid(Family::Lid, 0))),
                ("pn", "155509999999", "out", Some(Jid::pn("155509999999"))),
                ("pn", "12", "invalid", None),
            ] {
                let contact = NodeBuilder::new("contact").attr("addressing_mode", mode).build();
                let user = NodeBuilder::new("user")
                    .children([wire::bytes_node("contact", written)])
                    .build();
                let usync = NodeBuilder::new("usync")
                    .children([
                        NodeBuilder::new("query").children([contact]).build(),
                        NodeBuilder::new("list").children([user]).build(),
                    ])
                    .build();
                let request = NodeBuilder::new("iq").attr("id", "1").children([usync]).build();
                let answer = answer(unit, &Faults::none(), &Address::new(&me.phone, 1), &request)?;
                let list = answer
                    .get_optional_child("usync")
                    .and_then(|usync| usync.get_optional_child("list"));
                let user = &wire::children(list.unwrap())[0];
                assert_eq!(wire::attr_jid(user, "jid"), jid);
                let contact = user.get_optional_child("contact").unwrap();
                assert_eq!(wire::attr(contact, "type").as_deref(), Some(expected));
                assert_eq!(wire::bytes(contact).as_deref(), Some(written.as_bytes()));
            }
            Ok(())
        });
    }
}
