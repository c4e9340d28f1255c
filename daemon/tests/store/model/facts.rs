//! What can be read of a store, over the same few names.

use wacore::store::traits::Backend;

use super::ops::{ADDRESSES, COLLECTIONS, GROUPS, MACS, MESSAGES, PHONES, PREKEYS, USERS, at};
use crate::support::ratchet_of;

/// Something that can be read, by the places of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    Session(u8),
    Identity(u8),
    Prekey(u8),
    SignedPrekey(u8),
    SenderKey(u8),
    SyncKey(u8),
    LatestSyncKey,
    Version(u8),
    Mac(u8, u8),
    Keyed(u8),
    Lid(u8),
    Phone(u8),
    BaseKey(u8),
    Devices(u8),
    Group(u8),
    Token(u8),
    Buffered(u8),
    Secret(u8),
    Device,
    /// What follows from others.
    HasState(u8),
    MaxPrekey,
    AllSignedPrekeys,
    AllLids,
    AllTokens,
}

impl Fact {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let each = |names: usize, fact: fn(u8) -> Self| -> Vec<Self> {
            (0..u8::try_from(names).expect("a few")).map(fact).collect()
        };
        let macs = (0..2).flat_map(|of| (0..4).map(move |mac| Self::Mac(of, mac)));
        [
            each(ADDRESSES.len(), Self::Session),
            each(ADDRESSES.len(), Self::Identity),
            each(PREKEYS.len(), Self::Prekey),
            each(2, Self::SignedPrekey),
            each(ADDRESSES.len(), Self::SenderKey),
            each(2, Self::SyncKey),
            each(COLLECTIONS.len(), Self::Version),
            macs.collect(),
            each(GROUPS.len(), Self::Keyed),
            each(USERS.len(), Self::Lid),
            each(PHONES.len(), Self::Phone),
            each(ADDRESSES.len(), Self::BaseKey),
            each(USERS.len(), Self::Devices),
            each(GROUPS.len(), Self::Group),
            each(USERS.len(), Self::Token),
            each(MESSAGES.len(), Self::Buffered),
            each(MESSAGES.len(), Self::Secret),
            each(USERS.len(), Self::HasState),
            vec![
                Self::LatestSyncKey,
                Self::Device,
                Self::MaxPrekey,
                Self::AllSignedPrekeys,
                Self::AllLids,
                Self::AllTokens,
            ],
        ]
        .concat()
    }

    /// What a store says of it, as text.
    pub async fn read(self, store: &dyn Backend) -> String {
        match self {
            Self::Session(of) => {
                let session = store.get_session(at(&ADDRESSES, of)).await.expect("read");
                let exists = store.has_session(at(&ADDRESSES, of)).await.expect("read");
                assert_eq!(session.is_some(), exists);
                // A step may be lost with its process. What may not is all that a lost step counts on.
                format!("{:?}", session.map(|record| ratchet_of(&record)))
            }
            Self::Identity(of) => format!(
                "{:?}",
                store.load_identity(at(&ADDRESSES, of)).await.expect("read")
            ),
            Self::Prekey(id) => format!("{:?}", store.load_prekey(at(&PREKEYS, id)).await.expect("read")),
            Self::SignedPrekey(id) => {
                format!("{:?}", store.load_signed_prekey(id.into()).await.expect("read"))
            }
            Self::SenderKey(of) => format!(
                "{:?}",
                store.get_sender_key(at(&ADDRESSES, of)).await.expect("read")
            ),
            Self::SyncKey(id) => format!("{:?}", store.get_sync_key(&[id]).await.expect("read")),
            Self::LatestSyncKey => format!("{:?}", store.get_latest_sync_key_id().await.expect("read")),
            Self::Version(of) => {
                let state = store.get_version(at(&COLLECTIONS, of)).await.expect("read");
                state.version.to_string()
            }
            Self::Mac(of, mac) => {
                let (of, mac) = (at(&COLLECTIONS, of), [at(&MACS, mac); 32]);
                let value = store.get_mutation_mac(of, &mac).await.expect("read");
                format!("{value:?}")
            }
            Self::Keyed(group) => {
                let devices = store
                    .get_sender_key_devices(at(&GROUPS, group))
                    .await
                    .expect("read");
                format!("{:?}", sorted(devices))
            }
            Self::Lid(lid) => format!(
                "{:?}",
                store.get_lid_mapping(at(&USERS, lid)).await.expect("read")
            ),
            Self::Phone(phone) => format!(
                "{:?}",
                store.get_pn_mapping(at(&PHONES, phone)).await.expect("read")
            ),
            Self::BaseKey(of) => {
                let mut same = Vec::new();
                for value in 0..2 {
                    let has = store.has_same_base_key(at(&ADDRESSES, of), "M1", &[value]).await;
                    same.extend(has.expect("read").then_some(value));
                }
                format!("{same:?}")
            }
            Self::Devices(user) => format!("{:?}", store.get_devices(at(&USERS, user)).await.expect("read")),
            Self::Group(group) => format!(
                "{:?}",
                store.get_group_metadata(at(&GROUPS, group)).await.expect("read")
            ),
            Self::Token(user) => format!("{:?}", store.get_tc_token(at(&USERS, user)).await.expect("read")),
            Self::Buffered(id) => {
                let id = at(&MESSAGES, id);
                format!(
                    "{:?}",
                    store
                        .get_pending_inbound("chat", "sender", id)
                        .await
                        .expect("read")
                )
            }
            Self::Secret(id) => {
                let id = at(&MESSAGES, id);
                let secret = store.get_msg_secret_with_ts("chat", "sender", id).await;
                format!("{:?}", secret.expect("read"))
            }
            Self::Device => {
                let device = store.load().await.expect("read");
                let told = device.map(|device| (device.next_pre_key_id, device.adv_secret_key));
                format!("{told:?}")
            }
            Self::HasState(user) => {
                let has = store.has_signal_state_for_user(at(&USERS, user)).await;
                has.expect("read").to_string()
            }
            Self::MaxPrekey => store.get_max_prekey_id().await.expect("read").to_string(),
            Self::AllSignedPrekeys => {
                let all = store.load_all_signed_prekeys().await.expect("read");
                format!("{:?}", sorted(all))
            }
            Self::AllLids => {
                let all = store.get_all_lid_mappings().await.expect("read");
                let told = all.into_iter().map(|entry| (entry.lid, entry.phone_number));
                format!("{:?}", sorted(told.collect::<Vec<_>>()))
            }
            Self::AllTokens => {
                let all = store.get_all_tc_token_jids().await.expect("read");
                format!("{:?}", sorted(all))
            }
        }
    }
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}
