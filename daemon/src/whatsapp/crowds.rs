//! Keys for groups with many members, and for the many who see a status, before a message to them is on the wire.
//!
//! Whoever writes to a group, or shows a status, for the first time agrees on a session with each device of each member. The
//! library does all that within the send: for 1,024 members it reads some thousand entries of the store one after the other, and
//! stores all sessions and identities in one go, during which the account sends and reads nothing else. If the send is cut off,
//! it begins anew. So for many it is done before, for some members at a time. Each of these steps is short, has a deadline of its
//! own, and is stored: a later attempt goes on behind it.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::debug;
use wacore::client::context::GroupInfo;
use wacore::send::retain_skdm_distribution_targets;
use wacore::store::traits::ProtocolStore as _;
use wacore::types::message::AddressingMode;
use wacore_binary::Jid;
use whatsapp_rust::{Client, ErrorChainExt as _, SignalError};

use crate::connection::{Audience, SendError};
use crate::store::SessionStore;

/// Fewer members are left to the library: a few reads and writes more or less are soon done.
pub const MANY: usize = 64;

/// How many members' keys are agreed upon at a time: as many as clients ask for in one request.
const STEP: usize = 50;

/// How long that may take.
const STEP_DEADLINE: Duration = Duration::from_secs(20);

/// For how many groups at a time.
const AT_ONCE: usize = 2;

/// How many groups are remembered as done with.
const MOST: usize = 256;

/// The server's answer to a request for the keys of devices that are gone.
const GONE: u16 = 406;

/// The many of a session.
#[derive(Debug)]
pub struct Crowds {
    /// The groups whose members have what they need, as each was then.
    groups: Mutex<HashMap<Jid, Weak<GroupInfo>>>,
    /// Those who saw a status last and have what they need.
    audience: Mutex<Option<u64>>,
    turns: Semaphore,
}

impl Default for Crowds {
    fn default() -> Self {
        Self {
            groups: Mutex::default(),
            audience: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Crowds {
    /// Agrees on keys with those devices of a group's members that have none of ours yet. Nothing is done for small groups,
    /// and nothing again while a group stays as it is.
    pub async fn agree_with_group(
        &self,
        client: &Client,
        store: &SessionStore,
        group: &Jid,
        info: &Arc<GroupInfo>,
    ) -> Result<(), SendError> {
        if info.participants.len() < MANY || self.is_done(group, info) {
            return Ok(());
        }
        self.agree(client, store, group, info).await?;
        self.note(group, info);
        Ok(())
    }

    /// The same with those who see a status, while they stay the same.
    pub async fn agree_with_audience(
        &self,
        client: &Client,
        store: &SessionStore,
        audience: &Audience,
    ) -> Result<(), SendError> {
        let lids = audience.people.iter().filter_map(|person| person.lid.as_deref());
        let people: Vec<Jid> = lids.map(Jid::lid).collect();
        let mut hasher = DefaultHasher::new();
        people.hash(&mut hasher);
        let all = Some(hasher.finish());
        if people.len() < MANY || *self.audience.lock().expect("no holder panics") == all {
            return Ok(());
        }
        let info = GroupInfo::new(people, AddressingMode::Lid);
        self.agree(client, store, &Jid::status_broadcast(), &info).await?;
        *self.audience.lock().expect("no holder panics") = all;
        Ok(())
    }

    async fn agree(
        &self,
        client: &Client,
        store: &SessionStore,
        chat: &Jid,
        info: &GroupInfo,
    ) -> Result<(), SendError> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|closed| SendError::Failed(Box::new(closed)))?;
        let by_lid = info.addressing_mode == AddressingMode::Lid;
        let own = if by_lid { client.lid() } else { client.pn() };
        let own = own.ok_or(SendError::NotConnected)?;
        let devices = store.get_sender_key_devices(&chat.to_string()).await;
        let devices = devices.map_err(|error| SendError::State(Box::new(error)))?;
        let with_key = devices.into_iter().filter(|(_, has_key)| *has_key);
        let keyed: HashSet<String> = with_key.map(|(device, _)| device).collect();
        for members in info.participants.chunks(STEP) {
            let step = step(client, info, members, &own, &keyed);
            match tokio::time::timeout(STEP_DEADLINE, step).await {
                Ok(agreed) => agreed?,
                Err(late) => return Err(SendError::Unavailable(Box::new(late))),
            }
        }
        Ok(())
    }

    fn is_done(&self, group: &Jid, info: &Arc<GroupInfo>) -> bool {
        let done = self.groups.lock().expect("no holder panics");
        done.get(group)
            .is_some_and(|then| std::ptr::eq(then.as_ptr(), Arc::as_ptr(info)))
    }

    fn note(&self, group: &Jid, info: &Arc<GroupInfo>) {
        let mut done = self.groups.lock().expect("no holder panics");
        if done.len() >= MOST {
            done.clear();
        }
        done.insert(group.clone(), Arc::downgrade(info));
    }
}

/// Finds the devices of some members, as the library does for the send, and agrees on keys with those that need them.
async fn step(
    client: &Client,
    info: &GroupInfo,
    members: &[Jid],
    own: &Jid,
    keyed: &HashSet<String>,
) -> Result<(), SendError> {
    let by_number = |member: &Jid| {
        let number = info.phone_jid_for_lid_user(&member.user);
        number.filter(|_| member.is_lid()).unwrap_or(member).to_non_ad()
    };
    let people: Vec<Jid> = members.iter().map(by_number).collect();
    let signal = client.signal();
    let found = signal.get_user_devices(&people).await.map_err(failed)?;
    let mut devices: Vec<Jid> = if info.addressing_mode == AddressingMode::Lid {
        let by_lid = found
            .into_iter()
            .map(|device| info.phone_device_jid_into_lid(device));
        by_lid.collect()
    } else {
        found
    };
    retain_skdm_distribution_targets(&mut devices, own);
    devices.retain(|device| !keyed.contains(&device.to_string()));
    match signal.assert_sessions(&devices).await {
        Ok(()) => Ok(()),
        // What becomes of those that are gone the send decides, which leaves them out.
        Err(error) if error.server_rejection().is_some_and(|said| said.code == GONE) => {
            debug!("some members' devices are gone");
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: SignalError) -> SendError {
    match error.server_rejection() {
        Some(said) if said.code == 429 => SendError::Throttled {
            after: said.backoff.map(|seconds| Duration::from_secs(seconds.into())),
            source: Box::new(error),
        },
        _ => SendError::Unavailable(Box::new(error)),
    }
}
