//! What a session reads before it dials.

use shared::domain::person::Person;
use shared::session_state::SessionState;
use shared::storage::StorageError;
use wacore::types::jid::JidExt as _;

use crate::store::{DEVICE, Early, session_entry};
use crate::whatsapp::{people, secrets};

/// Reads in one request what is needed of an instance's state until its login is over: the key of its messages' secrets, the
/// device, and the sessions with the account's own phone, which the library looks for at each login under both of its names.
pub async fn read_early(state: &dyn SessionState, account: &Person) -> Result<Early, StorageError> {
    let phone = account.names().map(|name| people::jid(&name));
    let phone = phone.map(|jid| session_entry(&jid.to_protocol_address_string()));
    let own = [secrets::ENTRY, DEVICE].map(str::to_owned);
    Early::read(state, own.into_iter().chain(phone).collect()).await
}
