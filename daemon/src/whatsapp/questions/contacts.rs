//! Contacts: who is there, what they show, and to block somebody.

use std::time::Duration;

use shared::domain::person::Person;
use shared::domain::phone::other_spelling;
use shared::domain::question::{
    Block, BlockList, Blocked, BlockedPerson, Business, FindPicture, Found, FoundPicture, ListBlocked,
    LookUp, Looked, Picture, Show, Shown,
};
use shared::domain::recipient::Recipient;
use wacore::iq::blocklist::UpdateBlocklistSpec;
use wacore_binary::Jid;
use whatsapp_rust::features::{BlockingError, ContactError};
use whatsapp_rust::usync::{
    UsyncAddressingMode, UsyncContext, UsyncMode, UsyncOutcome, UsyncProtocol, UsyncProtocolKind,
    UsyncProtocolResult, UsyncQuery, UsyncUser, UsyncUserResult,
};
use whatsapp_rust::{Client, IqError};

use super::{Put, Socket, before_change, of_change, of_code, of_query, part};
use crate::connection::AskError;
use crate::whatsapp::people;

/// How long WhatsApp may take to say who is meant, before a change.
const NAMES_DEADLINE: Duration = Duration::from_secs(7);

impl Put for LookUp {
    async fn put(&self, socket: Socket<'_>) -> Result<Looked, AskError> {
        let found = look_up(socket.client, &self.contacts).await?;
        Ok(Looked { found })
    }
}

impl Put for Show {
    async fn put(&self, socket: Socket<'_>) -> Result<Shown, AskError> {
        show(socket.client, &self.contact).await
    }
}

impl Put for Block {
    async fn put(&self, socket: Socket<'_>) -> Result<Blocked, AskError> {
        let person = block(socket.client, &self.contact, self.blocked).await?;
        Ok(Blocked { person })
    }
}

impl Put for ListBlocked {
    async fn put(&self, socket: Socket<'_>) -> Result<BlockList, AskError> {
        let people = blocked(socket.client, self.after.as_deref(), self.most).await?;
        Ok(BlockList { people })
    }
}

impl Put for FindPicture {
    async fn put(&self, socket: Socket<'_>) -> Result<FoundPicture, AskError> {
        let picture = picture(socket.client, &self.contact).await?;
        Ok(FoundPicture { picture })
    }
}

/// Who of these is on WhatsApp. Numbers and LIDs are asked for in questions of their own, as WhatsApp's own client does. A
/// number that may have another spelling is asked for by both, since WhatsApp does not know every country's.
pub async fn look_up(client: &Client, contacts: &[Recipient]) -> Result<Vec<Found>, AskError> {
    let mut numbers: Vec<String> = Vec::new();
    for digits in contacts.iter().filter_map(Recipient::phone) {
        numbers.extend(
            [Some(digits.to_owned()), other_spelling(digits)]
                .into_iter()
                .flatten(),
        );
    }
    numbers.sort_unstable();
    numbers.dedup();
    let by_number = ask(
        client,
        vec![
            UsyncProtocol::Contact {
                addressing_mode: UsyncAddressingMode::Pn,
            },
            UsyncProtocol::Lid,
            UsyncProtocol::BusinessVerifiedName,
        ],
        numbers
            .iter()
            .map(String::as_str)
            .map(UsyncUser::from_phone)
            .collect(),
    );
    let lids = contacts.iter().filter(|contact| contact.lid().is_some());
    let by_lid = ask(
        client,
        // A LID has no `contact`: whoever has devices is there.
        vec![
            UsyncProtocol::Lid,
            UsyncProtocol::BusinessVerifiedName,
            UsyncProtocol::DevicesV2,
        ],
        lids.map(|lid| UsyncUser::from_jid(people::jid(lid))).collect(),
    );
    let (mut told, told_by_lid) = tokio::try_join!(by_number, by_lid)?;
    told.extend(told_by_lid);
    let said_of = |contact: &Recipient| {
        let told = told.iter().find(|user| is_about(user, contact));
        told.map_or(Found::Unsaid, found)
    };
    let found = contacts.iter().map(|contact| match said_of(contact) {
        Found::Absent => {
            let other = contact.phone().and_then(other_spelling).map(Recipient::Phone);
            let there = other.map(|other| said_of(&other));
            there.unwrap_or(Found::Absent)
        }
        said => said,
    });
    Ok(found.collect())
}

async fn ask(
    client: &Client,
    protocols: Vec<UsyncProtocol>,
    users: Vec<UsyncUser>,
) -> Result<Vec<UsyncUserResult>, AskError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let query = UsyncQuery::new(UsyncMode::Query, UsyncContext::Interactive, protocols, users)
        .map_err(|error| AskError::Unavailable(Box::new(error)))?;
    let response = client.query_usync(query).await.map_err(of_query)?;
    // Where WhatsApp refuses a part of the question, nothing is said of anybody.
    let refused = response
        .protocol_states
        .iter()
        .find_map(|state| state.error.as_ref());
    match refused {
        None => Ok(response.users),
        Some(error) => Err(of_code(
            error.code,
            error.backoff,
            "a part of the question was refused".into(),
        )),
    }
}

/// Whether an answer is about a contact. A number stands in it as it was written, whatever WhatsApp makes of it.
fn is_about(user: &UsyncUserResult, contact: &Recipient) -> bool {
    let is_named = |jid: &Jid| people::chat(jid).as_ref() == Some(contact);
    let written = match user.protocol(UsyncProtocolKind::Contact) {
        Some(UsyncProtocolResult::Contact(UsyncOutcome::Value(told))) => told.content.as_deref(),
        _ => None,
    };
    match (contact, written) {
        (Recipient::Phone(digits), Some(written)) => written.trim_start_matches('+') == digits,
        _ => user.id.as_ref().is_some_and(is_named),
    }
}

fn found(user: &UsyncUserResult) -> Found {
    let lid = match user.protocol(UsyncProtocolKind::Lid) {
        Some(UsyncProtocolResult::Lid(UsyncOutcome::Value(lid))) => lid.as_ref(),
        _ => None,
    };
    let is_there = match user.protocol(UsyncProtocolKind::Contact) {
        Some(UsyncProtocolResult::Contact(UsyncOutcome::Value(told))) => told.contact_type == "in",
        Some(_) => return Found::Unsaid,
        None if lid.is_some() || user.pn_jid.is_some() => true,
        None => match user.protocol(UsyncProtocolKind::Devices) {
            Some(UsyncProtocolResult::Devices(UsyncOutcome::Value(told))) => {
                let devices = told.device_list.as_ref();
                devices.is_some_and(|list| !list.devices.is_empty())
            }
            Some(UsyncProtocolResult::Devices(UsyncOutcome::Error(error))) if error.code == Some(404) => {
                false
            }
            _ => return Found::Unsaid,
        },
    };
    if !is_there {
        return Found::Absent;
    }
    let business_name = match user.protocol(UsyncProtocolKind::Business) {
        Some(UsyncProtocolResult::Business(UsyncOutcome::Value(business))) => {
            let verified = business.verified_name.as_ref();
            verified.and_then(|verified| verified.name.clone())
        }
        _ => None,
    };
    Found::There {
        person: people::person(
            [user.id.as_ref(), user.pn_jid.as_ref(), lid]
                .into_iter()
                .flatten(),
        ),
        business_name,
    }
}

/// What a person shows: of a business its profile as well, which is a question of its own.
async fn show(client: &Client, contact: &Recipient) -> Result<Shown, AskError> {
    let (person, business_name) = match look_up(client, std::slice::from_ref(contact)).await?.pop() {
        Some(Found::There {
            person,
            business_name,
        }) => (person, business_name),
        Some(Found::Absent) => return Err(AskError::NotOnWhatsapp),
        Some(Found::Unsaid) | None => return Err(unnamed()),
    };
    // A number as WhatsApp spells it.
    let spelt = contact.phone().and(person.phone.clone()).map(Recipient::Phone);
    let jid = people::jid(spelt.as_ref().unwrap_or(contact));
    let infos = client.contacts().get_user_info(std::slice::from_ref(&jid)).await;
    let infos = infos.map_err(|error| match error {
        ContactError::Iq(error) => of_query(error),
        other => AskError::Unavailable(Box::new(other)),
    });
    let info = part(infos)?.and_then(|infos| infos.into_values().next());
    let is_business = business_name.is_some() || info.as_ref().is_some_and(|info| info.is_business);
    let about = info
        .and_then(|info| info.status)
        .filter(|about| !about.is_empty());
    let mut business = None;
    if is_business {
        let profile = client.get_business_profile(&jid).await.map_err(of_query);
        business = part(profile)?.flatten().map(|profile| Business {
            description: Some(profile.description).filter(|text| !text.is_empty()),
            email: profile.email,
            websites: profile.website,
            categories: profile
                .categories
                .into_iter()
                .map(|category| category.name)
                .collect(),
            address: profile.address,
        });
    }
    Ok(Shown {
        person,
        business_name,
        about,
        business,
    })
}

/// WhatsApp takes a block by both names, and its end by the LID. Nothing is in doubt before the change itself is asked for.
async fn block(client: &Client, contact: &Recipient, blocked: bool) -> Result<Person, AskError> {
    let named = tokio::time::timeout(NAMES_DEADLINE, named(client, contact, blocked)).await;
    let person = before_change(named.unwrap_or(Err(AskError::InDoubt)))?;
    let lid = person.lid.as_deref().map(Jid::lid).ok_or_else(unnamed)?;
    let spec = if blocked {
        let number = person.phone.as_deref().map(Jid::pn).ok_or_else(unnamed)?;
        UpdateBlocklistSpec::block_with_pn(&lid, &number)
    } else {
        UpdateBlocklistSpec::unblock(&lid)
    };
    if !client.is_logged_in() {
        return Err(AskError::NotConnected);
    }
    client.execute(spec).await.map_err(|error| match error {
        IqError::ServerError { code: 404, .. } => AskError::NotOnWhatsapp,
        error => of_change(error),
    })?;
    Ok(person)
}

/// The names that a block needs: both of them, and of one who is unblocked by LID that one. Such a person may be gone from
/// WhatsApp.
async fn named(client: &Client, contact: &Recipient, blocked: bool) -> Result<Person, AskError> {
    if let Some(person) = names(client, contact).await? {
        return Ok(person);
    }
    if !blocked && contact.lid().is_some() {
        return Ok(Person::of(contact));
    }
    match look_up(client, std::slice::from_ref(contact)).await?.pop() {
        Some(Found::There { person, .. }) => Ok(person),
        Some(Found::Absent) => Err(AskError::NotOnWhatsapp),
        Some(Found::Unsaid) | None => Err(unnamed()),
    }
}

/// Both names of a person, where the library knows them.
async fn names(client: &Client, contact: &Recipient) -> Result<Option<Person>, AskError> {
    let known = client.get_lid_pn_entry(&people::jid(contact)).await;
    let known = known.map_err(|error| AskError::Unavailable(error.into()))?;
    Ok(known.map(|entry| Person {
        phone: Some(entry.phone_number.to_string()),
        lid: Some(entry.lid.to_string()),
    }))
}

/// Those whom the account blocks whose JIDs come after `after`, `most` at most.
async fn blocked(client: &Client, after: Option<&str>, most: u32) -> Result<Vec<BlockedPerson>, AskError> {
    let list = client.blocking().get_blocklist().await;
    let list = list.map_err(|error| match error {
        BlockingError::Iq(error) => of_query(error),
        other => AskError::Unavailable(Box::new(other)),
    })?;
    let mut jids: Vec<(String, Jid)> = list
        .into_iter()
        .map(|entry| (entry.jid.to_non_ad().to_string(), entry.jid))
        .filter(|(jid, _)| after.is_none_or(|after| jid.as_str() > after))
        .collect();
    jids.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    jids.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let mut listed = Vec::with_capacity(jids.len());
    for (jid, named) in jids {
        let person = match people::chat(&named) {
            Some(name) => names(client, &name).await?.unwrap_or_else(|| Person::of(&name)),
            None => Person::default(),
        };
        listed.push(BlockedPerson { jid, person });
    }
    Ok(listed)
}

/// Where a person's picture is, in its full size.
async fn picture(client: &Client, contact: &Recipient) -> Result<Option<Picture>, AskError> {
    let jid = people::jid(contact);
    let found = client.contacts().get_profile_picture(&jid, false).await;
    let found = found.map_err(|error| match error {
        ContactError::Iq(error) => of_query(error),
        other => AskError::Unavailable(Box::new(other)),
    })?;
    Ok(found.map(|picture| Picture {
        id: picture.id,
        url: picture.url,
    }))
}

fn unnamed() -> AskError {
    AskError::Refused {
        code: None,
        source: "WhatsApp does not tell both names of the person".into(),
    }
}
