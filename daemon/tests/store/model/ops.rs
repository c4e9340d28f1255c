//! The library's calls that change something, over a few names, and what they may change.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use wacore::appstate::hash::HashState;
use wacore::store::Device;
use wacore::store::error::Result;
use wacore::store::traits::{
    AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry,
    PendingInboundKey, PendingInboundRow, TcTokenEntry,
};
use wacore_appstate::processor::AppStateMutationMAC;

use super::facts::Fact;
use crate::support::session_record;

/// Two people, one of them with two devices.
pub const ADDRESSES: [&str; 3] = ["100@lid", "100:7@lid", "200@lid"];
pub const USERS: [&str; 2] = ["100", "200"];
pub const GROUPS: [&str; 2] = ["1@g.us", "2@g.us"];
/// Of three packs.
pub const PREKEYS: [u32; 5] = [1, 2, 63, 64, 130];
pub const COLLECTIONS: [&str; 2] = ["regular", "critical"];
/// Three of one bucket, and one of another.
pub const MACS: [u8; 4] = [0, 1, 3, 200];
pub const MESSAGES: [&str; 3] = ["M1", "M2", "M3"];
/// Two of each LID.
pub const PHONES: [&str; 4] = ["155", "156", "157", "158"];

/// Values by the places of their names.
type Values = BTreeMap<u8, u8>;

/// A call of the library's that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    PutSessions(Values),
    DeleteSession(u8),
    PutIdentities(Values),
    DeleteIdentity(u8),
    StorePrekeys(Values),
    MarkUploaded(Vec<u8>),
    RemovePrekey(u8),
    StoreSignedPrekey(u8, u8),
    RemoveSignedPrekey(u8),
    PutSenderKeys(Values),
    DeleteSenderKey(u8),
    SetSyncKey(u8, u8),
    SetVersion(u8, u8),
    PutMacs(u8, Values),
    DeleteMacs(u8, Vec<u8>),
    ClearMacs(u8),
    SetKeyed(u8, Values),
    ClearKeyed(u8),
    ForgetDevices(Vec<u8>),
    ClearAllKeyed,
    MapLids(Values, u8),
    SaveBaseKey(u8, u8),
    DeleteBaseKey(u8),
    UpdateDevices(Values),
    DeleteDevices(u8),
    PutGroup(u8, u8),
    DeleteGroup(u8),
    PutToken(u8, u8),
    TouchToken(u8, u8),
    ReceiveToken(u8, u8),
    DeleteToken(u8),
    StoreSent(u8, u8),
    TakeSent(u8),
    Buffer(Values),
    Commit(Vec<u8>),
    PutSecrets(Values),
    SaveDevice(u8),
}

fn one(names: u8) -> impl Strategy<Value = u8> + Clone {
    0..names
}

fn value() -> impl Strategy<Value = u8> + Clone {
    1..9_u8
}

fn values(names: u8) -> impl Strategy<Value = Values> {
    prop::collection::btree_map(one(names), value(), 1..=usize::from(names))
}

fn some(names: u8) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::btree_set(one(names), 1..=usize::from(names)).prop_map(|set| set.into_iter().collect())
}

/// Any of them.
pub fn op() -> impl Strategy<Value = Op> {
    let signal = prop_oneof![
        4 => values(3).prop_map(Op::PutSessions),
        2 => one(3).prop_map(Op::DeleteSession),
        2 => values(3).prop_map(Op::PutIdentities),
        1 => one(3).prop_map(Op::DeleteIdentity),
        4 => values(5).prop_map(Op::StorePrekeys),
        2 => some(5).prop_map(Op::MarkUploaded),
        3 => one(5).prop_map(Op::RemovePrekey),
        1 => (one(2), value()).prop_map(|(id, value)| Op::StoreSignedPrekey(id, value)),
        1 => one(2).prop_map(Op::RemoveSignedPrekey),
        2 => values(3).prop_map(Op::PutSenderKeys),
        1 => one(3).prop_map(Op::DeleteSenderKey),
    ];
    let app_state = prop_oneof![
        1 => (one(2), value()).prop_map(|(id, value)| Op::SetSyncKey(id, value)),
        1 => (one(2), value()).prop_map(|(of, value)| Op::SetVersion(of, value)),
        3 => (one(2), values(4)).prop_map(|(of, values)| Op::PutMacs(of, values)),
        2 => (one(2), some(4)).prop_map(|(of, macs)| Op::DeleteMacs(of, macs)),
        1 => one(2).prop_map(Op::ClearMacs),
    ];
    let people = prop_oneof![
        3 => (one(2), values(3)).prop_map(|(group, values)| Op::SetKeyed(group, values)),
        1 => one(2).prop_map(Op::ClearKeyed),
        1 => some(3).prop_map(Op::ForgetDevices),
        1 => Just(Op::ClearAllKeyed),
        2 => (values(2), value()).prop_map(|(phones, at)| Op::MapLids(phones, at)),
        1 => (one(3), value()).prop_map(|(of, value)| Op::SaveBaseKey(of, value)),
        1 => one(3).prop_map(Op::DeleteBaseKey),
        2 => values(2).prop_map(Op::UpdateDevices),
        1 => one(2).prop_map(Op::DeleteDevices),
        1 => (one(2), value()).prop_map(|(group, value)| Op::PutGroup(group, value)),
        1 => one(2).prop_map(Op::DeleteGroup),
        1 => (one(2), value()).prop_map(|(of, value)| Op::PutToken(of, value)),
        1 => (one(2), value()).prop_map(|(of, value)| Op::TouchToken(of, value)),
        1 => (one(2), value()).prop_map(|(of, value)| Op::ReceiveToken(of, value)),
        1 => one(2).prop_map(Op::DeleteToken),
    ];
    let messages = prop_oneof![
        2 => (one(3), value()).prop_map(|(of, value)| Op::StoreSent(of, value)),
        2 => one(3).prop_map(Op::TakeSent),
        3 => values(3).prop_map(Op::Buffer),
        3 => some(3).prop_map(Op::Commit),
        2 => values(3).prop_map(Op::PutSecrets),
        1 => value().prop_map(Op::SaveDevice),
    ];
    prop_oneof![4 => signal, 2 => app_state, 3 => people, 3 => messages]
}

/// The name at this place.
pub fn at<T: Copy>(names: &[T], place: u8) -> T {
    names[usize::from(place)]
}

fn bytes(value: u8) -> Bytes {
    Bytes::from(vec![value; 3])
}

/// A session's record. Three values in a row are steps under one ratchet key.
fn session(value: u8) -> Bytes {
    session_record(value / 3, u32::from(value % 3))
}

impl Op {
    /// Calls the store. Answers what the call answers, as text.
    #[expect(clippy::too_many_lines, reason = "one arm a call")]
    pub async fn call(&self, store: &dyn Backend, base: &Device) -> Result<String> {
        let records = |names: &[&str], values: &Values| -> Vec<(Arc<str>, Bytes)> {
            let record = |(place, value): (&u8, &u8)| (Arc::from(at(names, *place)), bytes(*value));
            values.iter().map(record).collect()
        };
        match self {
            Self::PutSessions(values) => {
                let record = |(of, value): (&u8, &u8)| (Arc::from(at(&ADDRESSES, *of)), session(*value));
                let records: Vec<(Arc<str>, Bytes)> = values.iter().map(record).collect();
                store.put_sessions_batch(&records).await?;
            }
            Self::DeleteSession(of) => store.delete_session(at(&ADDRESSES, *of)).await?,
            Self::PutIdentities(values) => {
                let key = |(of, value): (&u8, &u8)| (Arc::from(at(&ADDRESSES, *of)), [*value; 32]);
                let keys: Vec<_> = values.iter().map(key).collect();
                store.put_identities_batch(&keys).await?;
            }
            Self::DeleteIdentity(of) => store.delete_identity(at(&ADDRESSES, *of)).await?,
            Self::StorePrekeys(values) => {
                let key = |(id, value): (&u8, &u8)| (at(&PREKEYS, *id), bytes(*value));
                let keys: Vec<_> = values.iter().map(key).collect();
                store.store_prekeys_batch(&keys, false).await?;
            }
            Self::MarkUploaded(ids) => {
                let ids: Vec<u32> = ids.iter().map(|id| at(&PREKEYS, *id)).collect();
                store.mark_prekeys_uploaded(&ids).await?;
            }
            Self::RemovePrekey(id) => store.remove_prekey(at(&PREKEYS, *id)).await?,
            Self::StoreSignedPrekey(id, value) => store.store_signed_prekey((*id).into(), &[*value]).await?,
            Self::RemoveSignedPrekey(id) => store.remove_signed_prekey((*id).into()).await?,
            Self::PutSenderKeys(values) => store.put_sender_keys_batch(&records(&ADDRESSES, values)).await?,
            Self::DeleteSenderKey(of) => store.delete_sender_key(at(&ADDRESSES, *of)).await?,
            Self::SetSyncKey(id, value) => {
                let key = AppStateSyncKey {
                    key_data: vec![*value],
                    fingerprint: vec![],
                    timestamp: 1,
                };
                store.set_sync_key(&[*id], key).await?;
            }
            Self::SetVersion(of, value) => {
                let state = HashState {
                    version: (*value).into(),
                    ..HashState::default()
                };
                store.set_version(at(&COLLECTIONS, *of), state).await?;
            }
            Self::PutMacs(of, values) => {
                let mac = |(mac, value): (&u8, &u8)| AppStateMutationMAC {
                    index_mac: vec![at(&MACS, *mac); 32],
                    value_mac: vec![*value; 32],
                };
                let macs: Vec<_> = values.iter().map(mac).collect();
                store.put_mutation_macs(at(&COLLECTIONS, *of), 1, &macs).await?;
            }
            Self::DeleteMacs(of, macs) => {
                let macs: Vec<_> = macs.iter().map(|mac| vec![at(&MACS, *mac); 32]).collect();
                store.delete_mutation_macs(at(&COLLECTIONS, *of), &macs).await?;
            }
            Self::ClearMacs(of) => store.clear_mutation_macs(at(&COLLECTIONS, *of)).await?,
            Self::SetKeyed(group, values) => {
                let device = |(of, value): (&u8, &u8)| (at(&ADDRESSES, *of), *value % 2 == 0);
                let devices: Vec<_> = values.iter().map(device).collect();
                store.set_sender_key_status(at(&GROUPS, *group), &devices).await?;
            }
            Self::ClearKeyed(group) => store.clear_sender_key_devices(at(&GROUPS, *group)).await?,
            Self::ForgetDevices(devices) => {
                let devices: Vec<_> = devices.iter().map(|of| at(&ADDRESSES, *of)).collect();
                store.delete_sender_key_device_rows(&devices).await?;
            }
            Self::ClearAllKeyed => store.clear_all_sender_key_devices().await?,
            Self::MapLids(values, updated_at) => {
                let mapping = |(lid, value): (&u8, &u8)| LidPnMappingEntry {
                    lid: at(&USERS, *lid).to_owned(),
                    phone_number: at(&PHONES, 2 * lid + value % 2).to_owned(),
                    created_at: 1,
                    updated_at: (*updated_at).into(),
                    learning_source: "usync".to_owned(),
                };
                let mappings: Vec<_> = values.iter().map(mapping).collect();
                store.put_lid_mappings(&mappings).await?;
            }
            Self::SaveBaseKey(of, value) => {
                store
                    .save_base_key(at(&ADDRESSES, *of), "M1", &[value % 2])
                    .await?;
            }
            Self::DeleteBaseKey(of) => store.delete_base_key(at(&ADDRESSES, *of), "M1").await?,
            Self::UpdateDevices(values) => {
                let record = |(user, value): (&u8, &u8)| DeviceListRecord {
                    user: at(&USERS, *user).to_owned(),
                    devices: vec![DeviceInfo::new((*value).into(), None)],
                    timestamp: (*value).into(),
                    phash: None,
                    raw_id: None,
                };
                store
                    .update_device_lists(values.iter().map(record).collect())
                    .await?;
            }
            Self::DeleteDevices(user) => store.delete_devices(at(&USERS, *user)).await?,
            Self::PutGroup(group, value) => store.put_group_metadata(at(&GROUPS, *group), &[*value]).await?,
            Self::DeleteGroup(group) => store.delete_group_metadata(at(&GROUPS, *group)).await?,
            Self::PutToken(user, value) => {
                let entry = TcTokenEntry {
                    token: vec![*value],
                    token_timestamp: (*value).into(),
                    sender_timestamp: None,
                };
                store.put_tc_token(at(&USERS, *user), &entry).await?;
            }
            Self::TouchToken(user, value) => {
                let at_seconds = (*value).into();
                store
                    .touch_tc_token_sender_timestamp(at(&USERS, *user), at_seconds)
                    .await?;
            }
            Self::ReceiveToken(user, value) => {
                let (token, at_seconds) = ([*value], (*value).into());
                store
                    .store_received_tc_token(at(&USERS, *user), &token, at_seconds)
                    .await?;
            }
            Self::DeleteToken(user) => store.delete_tc_token(at(&USERS, *user)).await?,
            Self::StoreSent(id, value) => {
                store
                    .store_sent_message("chat", at(&MESSAGES, *id), &[*value])
                    .await?;
            }
            Self::TakeSent(id) => {
                let taken = store.take_sent_message("chat", at(&MESSAGES, *id)).await?;
                return Ok(format!("{taken:?}"));
            }
            Self::Buffer(values) => {
                let messages: Vec<_> = values.iter().map(|(id, value)| (*id, bytes(*value))).collect();
                let row = |(id, message)| PendingInboundRow {
                    chat: "chat",
                    sender: "sender",
                    id: at(&MESSAGES, id),
                    message,
                };
                let rows: Vec<_> = messages
                    .iter()
                    .map(|(id, message)| row((*id, &message[..])))
                    .collect();
                store.store_pending_inbound_batch(&rows).await?;
            }
            Self::Commit(ids) => {
                let key = |id: &u8| PendingInboundKey {
                    chat: "chat",
                    sender: "sender",
                    id: at(&MESSAGES, *id),
                };
                let keys: Vec<_> = ids.iter().map(key).collect();
                store.delete_pending_inbound_batch(&keys).await?;
            }
            Self::PutSecrets(values) => {
                let secret = |(id, value): (&u8, &u8)| MsgSecretEntry {
                    chat: "chat".into(),
                    sender: "sender".into(),
                    msg_id: at(&MESSAGES, *id).into(),
                    secret: [*value; 32],
                    expires_at: 0,
                    message_ts: (*value).into(),
                };
                store.put_msg_secrets(values.iter().map(secret).collect()).await?;
            }
            Self::SaveDevice(value) => {
                let mut device = base.clone();
                device.next_pre_key_id = (*value).into();
                store.save(&device).await?;
            }
        }
        Ok(String::new())
    }

    /// What it may change.
    pub fn facts(&self) -> Vec<Fact> {
        let each = |values: &Values, fact: fn(u8) -> Fact| values.keys().copied().map(fact).collect();
        match self {
            Self::PutSessions(values) => each(values, Fact::Session),
            Self::DeleteSession(of) => vec![Fact::Session(*of)],
            Self::PutIdentities(values) => each(values, Fact::Identity),
            Self::DeleteIdentity(of) => vec![Fact::Identity(*of)],
            Self::StorePrekeys(values) => each(values, Fact::Prekey),
            Self::MarkUploaded(ids) => ids.iter().copied().map(Fact::Prekey).collect(),
            Self::RemovePrekey(id) => vec![Fact::Prekey(*id)],
            Self::StoreSignedPrekey(id, _) | Self::RemoveSignedPrekey(id) => vec![Fact::SignedPrekey(*id)],
            Self::PutSenderKeys(values) => each(values, Fact::SenderKey),
            Self::DeleteSenderKey(of) => vec![Fact::SenderKey(*of)],
            Self::SetSyncKey(id, _) => vec![Fact::SyncKey(*id), Fact::LatestSyncKey],
            Self::SetVersion(of, _) => vec![Fact::Version(*of)],
            Self::PutMacs(of, values) => values.keys().map(|mac| Fact::Mac(*of, *mac)).collect(),
            Self::DeleteMacs(of, macs) => macs.iter().map(|mac| Fact::Mac(*of, *mac)).collect(),
            Self::ClearMacs(of) => (0..4).map(|mac| Fact::Mac(*of, mac)).collect(),
            Self::SetKeyed(group, _) | Self::ClearKeyed(group) => vec![Fact::Keyed(*group)],
            Self::ForgetDevices(_) | Self::ClearAllKeyed => vec![Fact::Keyed(0), Fact::Keyed(1)],
            Self::MapLids(values, _) => {
                let both = |lid: &u8| [Fact::Lid(*lid), Fact::Phone(2 * lid), Fact::Phone(2 * lid + 1)];
                values.keys().flat_map(both).collect()
            }
            Self::SaveBaseKey(of, _) | Self::DeleteBaseKey(of) => vec![Fact::BaseKey(*of)],
            Self::UpdateDevices(values) => each(values, Fact::Devices),
            Self::DeleteDevices(user) => vec![Fact::Devices(*user)],
            Self::PutGroup(group, _) | Self::DeleteGroup(group) => vec![Fact::Group(*group)],
            Self::PutToken(user, _)
            | Self::TouchToken(user, _)
            | Self::ReceiveToken(user, _)
            | Self::DeleteToken(user) => vec![Fact::Token(*user)],
            Self::StoreSent(..) | Self::TakeSent(_) => vec![],
            Self::Buffer(values) => each(values, Fact::Buffered),
            Self::Commit(ids) => ids.iter().copied().map(Fact::Buffered).collect(),
            Self::PutSecrets(values) => each(values, Fact::Secret),
            Self::SaveDevice(_) => vec![Fact::Device],
        }
    }

    /// The same as calls of which each is stored as a whole or not at all; `None` where there are none such. The
    /// library makes such a call again until it is answered, or what it tells is only a cache.
    pub fn wholes(&self) -> Option<Vec<Self>> {
        let each = |values: &Values, op: &dyn Fn(Values) -> Self| {
            let whole = |(name, value): (&u8, &u8)| op(Values::from([(*name, *value)]));
            values.iter().map(whole).collect()
        };
        Some(match self {
            Self::PutSessions(values) => each(values, &Self::PutSessions),
            Self::PutIdentities(values) => each(values, &Self::PutIdentities),
            Self::StorePrekeys(values) => each(values, &Self::StorePrekeys),
            Self::PutSenderKeys(values) => each(values, &Self::PutSenderKeys),
            Self::PutMacs(of, values) => each(values, &|values| Self::PutMacs(*of, values)),
            Self::DeleteMacs(of, macs) => macs.iter().map(|mac| Self::DeleteMacs(*of, vec![*mac])).collect(),
            Self::UpdateDevices(values) => each(values, &Self::UpdateDevices),
            Self::Buffer(values) => each(values, &Self::Buffer),
            Self::Commit(ids) => ids.iter().map(|id| Self::Commit(vec![*id])).collect(),
            Self::PutSecrets(values) => each(values, &Self::PutSecrets),
            Self::SetSyncKey(..)
            | Self::ClearMacs(_)
            | Self::ForgetDevices(_)
            | Self::ClearAllKeyed
            | Self::MapLids(..)
            | Self::StoreSent(..)
            | Self::TakeSent(_) => return None,
            one => vec![one.clone()],
        })
    }

    /// A call that writes the same entries, whatever they are, to say something else; `None` where such a call may
    /// find that there is nothing to write.
    pub fn contrary(&self) -> Option<Self> {
        let other =
            |values: &Values| -> Values { values.iter().map(|(name, value)| (*name, value + 9)).collect() };
        let put = |of: u8| Values::from([(of, 99)]);
        Some(match self {
            Self::PutSessions(values) => Self::PutSessions(other(values)),
            Self::DeleteSession(of) => Self::PutSessions(put(*of)),
            Self::PutIdentities(values) => Self::PutIdentities(other(values)),
            Self::DeleteIdentity(of) => Self::PutIdentities(put(*of)),
            Self::StorePrekeys(values) => Self::StorePrekeys(other(values)),
            Self::StoreSignedPrekey(id, value) => Self::StoreSignedPrekey(*id, value + 9),
            Self::RemoveSignedPrekey(id) => Self::StoreSignedPrekey(*id, 99),
            Self::PutSenderKeys(values) => Self::PutSenderKeys(other(values)),
            Self::DeleteSenderKey(of) => Self::PutSenderKeys(put(*of)),
            Self::SetVersion(of, value) => Self::SetVersion(*of, value + 9),
            Self::PutMacs(of, values) => Self::PutMacs(*of, other(values)),
            Self::SaveBaseKey(of, value) => Self::SaveBaseKey(*of, value + 9),
            Self::DeleteBaseKey(of) => Self::SaveBaseKey(*of, 99),
            Self::UpdateDevices(values) => Self::UpdateDevices(other(values)),
            Self::DeleteDevices(user) => Self::UpdateDevices(put(*user)),
            Self::PutGroup(group, value) => Self::PutGroup(*group, value + 9),
            Self::DeleteGroup(group) => Self::PutGroup(*group, 99),
            Self::PutToken(user, value) => Self::PutToken(*user, value + 9),
            Self::DeleteToken(user) => Self::PutToken(*user, 99),
            Self::Buffer(values) => Self::Buffer(other(values)),
            Self::Commit(ids) => Self::Buffer(ids.iter().map(|id| (*id, 99)).collect()),
            Self::PutSecrets(values) => Self::PutSecrets(other(values)),
            Self::SaveDevice(value) => Self::SaveDevice(value + 9),
            _ => return None,
        })
    }
}
