//! Those who ask to be let into a group.

use shared::domain::question::{JoinRequest, ListRequests, RequestsListed};
use shared::domain::recipient::Recipient;
use whatsapp_rust::Client;

use super::super::{Put, Socket};
use super::changed;
use super::show::page;
use crate::connection::AskError;
use crate::whatsapp::people;

impl Put for ListRequests {
    async fn put(&self, Socket { client, .. }: Socket<'_>) -> Result<RequestsListed, AskError> {
        let asking = asking(client, &self.group).await?;
        let place = |request: &JoinRequest| (request.at, request.name.clone());
        let (requests, more) = page(asking, self.after.clone(), self.limit, place);
        Ok(RequestsListed { requests, more })
    }
}

/// All who ask.
pub async fn asking(client: &Client, group: &Recipient) -> Result<Vec<JoinRequest>, AskError> {
    let told = client.groups().get_membership_requests(people::jid(group)).await;
    let told = changed(client, group, told).await?;
    let mut asking = Vec::with_capacity(told.len());
    for request in told {
        let Some(name) = people::chat(&request.jid) else {
            continue;
        };
        let mut person = people::person([&request.jid]);
        // Where the library does not know the other name, this one will do.
        if let Ok(Some(known)) = client.get_lid_pn_entry(&request.jid).await {
            person.phone.get_or_insert(known.phone_number.to_string());
            person.lid.get_or_insert(known.lid.to_string());
        }
        let at = request.request_time.and_then(|at| i64::try_from(at).ok());
        asking.push(JoinRequest {
            name,
            person,
            at: at.unwrap_or(0),
        });
    }
    Ok(asking)
}
