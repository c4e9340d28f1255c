//! `GET /api/contacts`: the phone's address book, as WhatsApp brings it to the devices that are linked to the phone.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::address_book::SavedContact;
use shared::ids::InstanceId;
use shared::sealed;
use shared::storage::address_books::{Part, part_of};
use shared::storage::keys;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, List, Listing, PageQuery, Query, Reply};
use crate::messaging::MessagingState;
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SavedContact)]
pub struct Response {
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    /// The name under which the phone has the contact.
    #[schema(example = "Ada Lovelace")]
    name: Option<String>,
    /// The first of it, where the phone tells that apart.
    #[schema(example = "Ada")]
    first_name: Option<String>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/contacts", "listContacts", handler)
        .about(Tag::Contacts, "Lists the address book of the instance's phone")
        .details(
            "As the phone has brought it to its linked devices, in no particular order. A contact that is added or renamed shows \
             within a moment, one that is deleted on the phone when the instance is paired anew. It needs no connection.",
        )
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::ContactsRead>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<Response>, ApiError> {
    let instance = caller.grant.instance;
    let page = query.parse::<String>(List::new("contacts").of(instance))?;
    let after = page.after.as_deref();
    let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX) + 1;
    let contacts = contacts(&state, instance, after, wanted).await?;
    let (contacts, pagination) = page.cut(contacts, |(key, _)| key.clone());
    let entries = contacts.into_iter().map(|(_, contact)| contact.into());
    Ok(Reply::ok(entries.collect()).page(pagination))
}

/// Up to `wanted` contacts behind the one with this key, each with its key.
async fn contacts(
    state: &MessagingState,
    instance: InstanceId,
    after: Option<&str>,
    wanted: usize,
) -> Result<Vec<(String, SavedContact)>, ApiError> {
    let behind = after.and_then(|key| key.parse().ok());
    let mut from = Some(behind.as_ref().map_or(0, part_of));
    let mut contacts = Vec::new();
    while let Some(part) = from.filter(|_| contacts.len() < wanted) {
        let (parts, next) = state.address_books.list(instance, part).await?;
        for part in parts {
            let begun = behind.as_ref().filter(|behind| part_of(behind) == part.0);
            let opened = open(state, instance, part).await?.into_iter();
            // A part is in the order of its keys.
            let is_behind = |key: &str| begun.is_none() || after.is_none_or(|after| key > after);
            contacts.extend(opened.filter(|(key, _)| is_behind(key)));
        }
        from = next;
    }
    Ok(contacts)
}

async fn open(
    state: &MessagingState,
    instance: InstanceId,
    (number, sealed): Part,
) -> Result<Vec<(String, SavedContact)>, ApiError> {
    let of = keys::book_part(instance, number).path();
    let contacts: Vec<SavedContact> = sealed::open(&state.sealer, instance, &of, &sealed).await?;
    let keyed = contacts
        .into_iter()
        .filter_map(|contact| Some((contact.key()?.to_jid(), contact)));
    Ok(keyed.collect())
}

impl From<SavedContact> for Response {
    fn from(contact: SavedContact) -> Self {
        Self {
            phone: contact.person.phone,
            lid: contact.person.lid,
            name: contact.name,
            first_name: contact.first_name,
        }
    }
}
