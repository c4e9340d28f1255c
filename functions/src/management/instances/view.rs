//! An instance as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::domain::instance::{Instance, InstanceName, Status};
use shared::domain::network::Network;
use shared::ids::InstanceId;
use utoipa::ToSchema;

use crate::connection::Owners;
use crate::http::Timestamp;

/// An instance. Members that have no value are `null`, not absent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Instance)]
pub struct InstanceView {
    id: InstanceId,
    name: InstanceName,
    network: Network,
    status: Status,
    #[schema(example = json!(null))]
    reason: Option<String>,
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000012345678")]
    lid: Option<String>,
    #[schema(example = "Customer Service")]
    display_name: Option<String>,
    #[schema(example = json!({"team": "sales"}))]
    metadata: BTreeMap<String, String>,
    /// How many messages it sends in a minute at most; `null` for as many as it can.
    #[schema(example = json!(null))]
    messages_per_minute: Option<u16>,
    /// For how many days the content of its messages is kept; 0 for not at all.
    #[schema(example = 0)]
    content_days: u8,
    /// Whether the realtime feed says what its messages say.
    #[schema(example = false)]
    content_in_realtime: bool,
    created_at: Timestamp,
}

impl InstanceView {
    /// The instance, with how its connection is.
    pub fn new(instance: Instance, owners: &Owners) -> Self {
        let connection = owners.connection(&instance);
        let account = instance.account;
        let display_name = account.as_ref().and_then(|account| account.display_name.clone());
        let person = account.map(|account| account.person).unwrap_or_default();
        Self {
            id: instance.id,
            name: instance.name,
            network: instance.network,
            status: connection.status,
            reason: connection.reason,
            phone: person.phone,
            lid: person.lid,
            display_name,
            metadata: instance.metadata,
            messages_per_minute: instance.messages_per_minute,
            content_days: instance.content_days,
            content_in_realtime: instance.content_in_realtime,
            created_at: instance.created_at.into(),
        }
    }
}
