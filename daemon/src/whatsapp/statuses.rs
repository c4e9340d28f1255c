//! Status updates: who sees them, and how they go out.
//!
//! WhatsApp keeps no list of those who see an account's statuses: each sender makes it, of the address book and of what the
//! account's owner has set in the app. So both are read for each status. Statuses are rare, and nobody is to see one whom the
//! owner has taken out a minute ago.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use shared::domain::person::Person;
use wacore::iq::spec::IqSpec;
use wacore::request::InfoQuery;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, NodeContent, NodeRef, Server};
use waproto::whatsapp as wa;
use whatsapp_rust::Client;
use whatsapp_rust::features::{ContactError, StatusPrivacySetting, StatusSendOptions};

use super::{failure, people};
use crate::connection::{AddressBook, SendError};

/// How many numbers WhatsApp is asked for in one question.
const AT_ONCE: usize = 200;

/// How many numbers that WhatsApp does not know are remembered.
const REMEMBERED: usize = 50_000;

/// Who sees an account's status updates.
pub struct Audience {
    book: Arc<dyn AddressBook>,
    /// Numbers of the book that are not on WhatsApp, so that this session asks for each once.
    absent: Mutex<HashSet<String>>,
}

/// Those who see a status, and by which setting.
struct Chosen {
    people: Vec<Person>,
    setting: StatusPrivacySetting,
}

impl Audience {
    /// That of the account with this address book.
    pub fn new(book: Arc<dyn AddressBook>) -> Self {
        Self {
            book,
            absent: Mutex::default(),
        }
    }

    /// Those who see what the account shows now, the account itself left out.
    pub async fn people(&self, client: &Client) -> Result<Vec<Person>, SendError> {
        Ok(self.chosen(client).await?.people)
    }

    /// Writes a status to the wire, for those who see it now and for the account's own devices.
    pub async fn show(&self, client: &Client, id: String, message: wa::Message) -> Result<(), SendError> {
        let own = client.lid().ok_or(SendError::NotConnected)?;
        let Chosen { people, setting } = self.chosen(client).await?;
        let mut jids = vec![own.to_non_ad()];
        // Whoever has no LID is not among them.
        jids.extend(people.into_iter().filter_map(|person| person.lid.map(Jid::lid)));
        let options = StatusSendOptions {
            privacy: setting,
            message_id: Some(id),
            ..StatusSendOptions::default()
        };
        let sent = client.status().send_raw(message, &jids, options).await;
        sent.map(drop)
            .map_err(|error| failure::of_send(error, &shared::domain::recipient::Recipient::Status))
    }

    async fn chosen(&self, client: &Client) -> Result<Chosen, SendError> {
        let privacy = client.execute(ReadPrivacy).await.map_err(of_question)?;
        let book = match &privacy {
            Privacy::Only(people) => people.iter().map(|jid| people::person([jid])).collect(),
            Privacy::Contacts | Privacy::Except(_) => {
                let read = self.book.people().await;
                read.map_err(|error| SendError::State(Box::new(error)))?
            }
        };
        let mut people = self.on_whatsapp(client, book).await?;
        let setting = match privacy {
            Privacy::Contacts => StatusPrivacySetting::Contacts,
            Privacy::Only(_) => StatusPrivacySetting::AllowList,
            Privacy::Except(left_out) => {
                let left_out: Vec<_> = left_out.iter().map(|jid| people::person([jid])).collect();
                let left_out = complete(client, left_out).await?;
                people.retain(|person| {
                    !left_out
                        .iter()
                        .any(|other| person.is_same_as(other) == Some(true))
                });
                StatusPrivacySetting::DenyList
            }
        };
        Ok(Chosen { people, setting })
    }

    /// Those of a book who are on WhatsApp, each once and by LID, without the account itself.
    async fn on_whatsapp(&self, client: &Client, book: Vec<Person>) -> Result<Vec<Person>, SendError> {
        let mut people = complete(client, book).await?;
        let unknown: Vec<Jid> = {
            let absent = self.absent.lock().expect("no holder panics");
            let nameless = people.iter().filter(|person| person.lid.is_none());
            let numbers = nameless.filter_map(|person| person.phone.as_ref());
            numbers
                .filter(|number| !absent.contains(*number))
                .map(|number| Jid::pn(number.as_str()))
                .collect()
        };
        if !unknown.is_empty() {
            for numbers in unknown.chunks(AT_ONCE) {
                // The library learns the LIDs of those who are there.
                let asking = client.contacts().is_on_whatsapp(numbers).await;
                asking.map_err(|error| match error {
                    ContactError::Iq(error) => of_question(error),
                    other => SendError::Failed(Box::new(other)),
                })?;
            }
            people = complete(client, people).await?;
            self.remember(&people);
        }
        let by_lid: BTreeMap<String, Person> = people
            .into_iter()
            .filter_map(|person| Some((person.lid.clone()?, person)))
            .filter(|(lid, _)| !people::is_own(client, &Jid::lid(lid.as_str())))
            .collect();
        Ok(by_lid.into_values().collect())
    }

    fn remember(&self, people: &[Person]) {
        let mut absent = self.absent.lock().expect("no holder panics");
        if absent.len() >= REMEMBERED {
            absent.clear();
        }
        let nameless = people.iter().filter(|person| person.lid.is_none());
        absent.extend(nameless.filter_map(|person| person.phone.clone()));
    }
}

/// A question before a status: the status itself is not on the wire.
fn of_question(error: whatsapp_rust::IqError) -> SendError {
    match failure::of_query(error) {
        SendError::Timeout => SendError::Unavailable("WhatsApp did not say in time who sees a status".into()),
        other => other,
    }
}

/// The people by both names, as far as the session knows them. The server is not asked.
async fn complete(client: &Client, mut people: Vec<Person>) -> Result<Vec<Person>, SendError> {
    for person in &mut people {
        let known = match (&person.phone, &person.lid) {
            (Some(phone), None) => Jid::pn(phone.as_str()),
            (None, Some(lid)) => Jid::lid(lid.as_str()),
            _ => continue,
        };
        let entry = client.get_lid_pn_entry(&known).await;
        let entry = entry.map_err(|error| SendError::State(error.into()))?;
        if let Some(entry) = entry {
            person.phone.get_or_insert_with(|| entry.phone_number.to_string());
            person.lid.get_or_insert_with(|| entry.lid.to_string());
        }
    }
    Ok(people)
}

/// Whom an account's owner lets see its statuses.
#[derive(Debug, PartialEq, Eq)]
enum Privacy {
    /// All contacts.
    Contacts,
    /// All contacts but these.
    Except(Vec<Jid>),
    /// These alone.
    Only(Vec<Jid>),
}

/// Asks for the account's setting of who sees its statuses.
struct ReadPrivacy;

impl IqSpec for ReadPrivacy {
    type Response = Privacy;

    fn build_iq(&self) -> InfoQuery<'static> {
        let privacy = NodeBuilder::new("privacy").build();
        InfoQuery::get(
            "status",
            Jid::new("", Server::Pn),
            Some(NodeContent::Nodes(vec![privacy])),
        )
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> Result<Privacy, anyhow::Error> {
        let privacy = response
            .get_optional_child("privacy")
            .context("no privacy of statuses")?;
        // Lists that are not in use are there as well.
        let list = privacy
            .get_children_by_tag("list")
            .find(|list| {
                list.get_attr("default")
                    .is_some_and(|is_default| is_default == "true")
            })
            .context("no list of those who see statuses")?;
        let people = || {
            let users = list.get_children_by_tag("user");
            let jids = users.map(|user| user.attrs().optional_jid("jid").context("a user without a name"));
            jids.collect::<Result<Vec<Jid>, _>>()
        };
        let kind = list.get_attr("type").map(ToString::to_string);
        match kind.as_deref() {
            Some("contacts") => Ok(Privacy::Contacts),
            Some("blacklist") => Ok(Privacy::Except(people()?)),
            Some("whitelist") => Ok(Privacy::Only(people()?)),
            // Nobody is shown what may not be for them.
            _ => Err(anyhow::anyhow!("an unknown list of those who see statuses")),
        }
    }
}

/// Numbers stay out of logs.
impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wacore_binary::Node;

    use super::*;

    fn list(kind: &'static str, is_default: bool, people: &[&str]) -> Node {
        let users = people.iter().map(|jid| {
            NodeBuilder::new("user")
                .attr("jid", jid.parse::<Jid>().expect("a JID"))
                .build()
        });
        let list = NodeBuilder::new("list").attr("type", kind);
        let list = if is_default {
            list.attr("default", "true")
        } else {
            list
        };
        list.children(users).build()
    }

    fn read(lists: Vec<Node>) -> Result<Privacy, anyhow::Error> {
        let privacy = NodeBuilder::new("privacy").children(lists).build();
        let answer = NodeBuilder::new("iq").children([privacy]).build();
        ReadPrivacy.parse_response(&answer.as_node_ref())
    }

    #[test]
    fn the_list_in_use_is_the_one_that_counts() {
        let ada = "15550100001@s.whatsapp.net";
        let jid: Jid = ada.parse().expect("a JID");
        let unused = || list("whitelist", false, &[ada]);
        let all = read(vec![unused(), list("contacts", true, &[])]);
        assert_eq!(all.expect("read"), Privacy::Contacts);
        let except = read(vec![
            list("contacts", false, &[]),
            list("blacklist", true, &[ada]),
        ]);
        assert_eq!(except.expect("read"), Privacy::Except(vec![jid.clone()]));
        let only = read(vec![list("whitelist", true, &[ada])]);
        assert_eq!(only.expect("read"), Privacy::Only(vec![jid]));
        assert!(read(vec![unused()]).is_err(), "none is in use");
        assert!(read(vec![list("friends", true, &[ada])]).is_err());
    }
}
