//! Whom an ask about a group names: by number or LID, however spelt, and perhaps one person twice.

use shared::domain::person::Person;
use shared::domain::question::{Found, GroupRole, Member, Participated, Verdict};
use shared::domain::recipient::Recipient;
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::features::{GroupMetadata, GroupParticipant, ParticipantType};

use super::super::contacts::look_up;
use crate::connection::AskError;
use crate::whatsapp::people;

/// How many people are looked up with one question. WhatsApp takes no thousand.
const AT_ONCE: usize = 250;

/// Those whom an ask names, in the order asked, each with what is known of them so far.
pub struct Named(Vec<One>);

struct One {
    person: Person,
    verdict: Option<Verdict>,
}

impl Named {
    /// As WhatsApp knows them. Whoever is not there has a verdict already.
    pub async fn on_whatsapp(client: &Client, asked: &[Recipient]) -> Result<Self, AskError> {
        if asked.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut found = Vec::with_capacity(asked.len());
        for part in asked.chunks(AT_ONCE) {
            found.extend(look_up(client, part).await?);
        }
        let named = asked.iter().zip(found).map(|(name, found)| match found {
            Found::There { person, .. } => One {
                person,
                verdict: None,
            },
            Found::Absent => One {
                person: Person::of(name),
                verdict: Some(Verdict::NotOnWhatsapp),
            },
            Found::Unsaid => One {
                person: Person::of(name),
                verdict: None,
            },
        });
        Ok(Self(named.collect()))
    }

    /// As these people are named. WhatsApp is asked for those alone who are not among them: they may be spelt otherwise.
    /// Whoever is still not among them has the verdict that they are none of them.
    pub async fn among(client: &Client, asked: &[Recipient], people: &[Person]) -> Result<Self, AskError> {
        let find = |name: &Recipient| people.iter().find(|person| person.is_named(name));
        let strangers: Vec<Recipient> = asked
            .iter()
            .filter(|name| find(name).is_none())
            .cloned()
            .collect();
        let mut strangers = Self::on_whatsapp(client, &strangers).await?.0.into_iter();
        let named = asked.iter().map(|name| {
            if let Some(person) = find(name) {
                return One {
                    person: person.clone(),
                    verdict: None,
                };
            }
            let stranger = strangers
                .next()
                .map_or_else(|| Person::of(name), |one| one.person);
            match people
                .iter()
                .find(|person| person.is_same_as(&stranger) == Some(true))
            {
                Some(person) => One {
                    person: person.clone(),
                    verdict: None,
                },
                None => One {
                    person: stranger,
                    verdict: Some(Verdict::NotMember),
                },
            }
        });
        Ok(Self(named.collect()))
    }

    /// Gives those a verdict of whom this says one.
    pub fn judge(&mut self, say: impl Fn(&Person) -> Option<Verdict>) {
        for one in &mut self.0 {
            if one.verdict.is_none() {
                one.verdict = say(&one.person);
            }
        }
    }

    /// Those who have no verdict yet, each once.
    pub fn open(&self) -> Vec<Person> {
        let mut open: Vec<Person> = Vec::new();
        for one in self.0.iter().filter(|one| one.verdict.is_none()) {
            if !open.iter().any(|person| is_same(person, &one.person)) {
                open.push(one.person.clone());
            }
        }
        open
    }

    /// What became of each of them. WhatsApp has said nothing of those without a verdict.
    pub fn results(self) -> Vec<Participated> {
        let results = self.0.into_iter().map(|one| Participated {
            person: one.person,
            verdict: one.verdict.unwrap_or(Verdict::Unsaid),
        });
        results.collect()
    }
}

/// Whether both are known to be the same person.
pub fn is_same(one: &Person, other: &Person) -> bool {
    one.is_same_as(other) == Some(true)
}

/// The name by which WhatsApp is told of somebody: the number where it is known, as the apps have always done.
pub fn jid_of(person: &Person) -> Option<Jid> {
    person.names().next().map(|name| people::jid(&name))
}

/// The account behind a client.
pub fn own(client: &Client) -> Person {
    let (number, lid) = (client.pn(), client.lid());
    people::person([number.as_ref(), lid.as_ref()].into_iter().flatten())
}

/// A member by both names, as far as they are known.
pub fn person(member: &GroupParticipant) -> Person {
    let names = [
        Some(&member.jid),
        member.phone_number.as_ref(),
        member.lid.as_ref(),
    ];
    people::person(names.into_iter().flatten())
}

/// Who is in a group.
pub fn members(group: &GroupMetadata) -> Vec<Member> {
    let members = group.participants.iter().map(|member| Member {
        person: person(member),
        role: match member.participant_type {
            ParticipantType::SuperAdmin => GroupRole::Owner,
            ParticipantType::Admin => GroupRole::Admin,
            ParticipantType::Member => GroupRole::Member,
        },
    });
    members.collect()
}
