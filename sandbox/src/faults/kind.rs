//! The faults there are, by their names and the members that go with each.

use serde::{Deserialize, Serialize};

/// What goes wrong. The table in the module's documentation has the exact meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Sockets are closed without a word.
    DropSocket,
    /// A message is neither stored nor acknowledged, and the socket is closed.
    DropBeforeAck,
    /// A message is stored and relayed; the socket is closed before the acknowledgement.
    DropAfterStore,
    /// Messages are stored and relayed, but never acknowledged.
    HoldAcks,
    /// Acknowledgements of any class are lost on their way to the client.
    LoseAcks,
    /// The socket is closed after the client's first handshake message.
    RefuseHandshake,
    /// Logins and registrations get a `<failure>`.
    RefuseLogin,
    /// Stanzas come late, in their order.
    Delay,
    /// Stanzas are lost.
    Lose,
    /// Stanzas come twice.
    Duplicate,
    /// Messages get an acknowledgement with an error and go nowhere.
    Refuse,
    /// Questions get an error.
    RefuseIq,
    /// The account is banned for a time.
    Ban,
    /// Devices are removed from their account.
    LogOut,
    /// Connections end as if the device had connected elsewhere.
    Replace,
    /// Connections end with a `<stream:error>`.
    StreamError,
    /// Messages beyond a number each second are refused.
    RateLimit,
    /// The server's clock is wrong.
    SkewClock,
    /// The server takes everything and says nothing.
    Mute,
    /// All connections are closed, as by a server that starts anew.
    Restart,
    /// Pings are not answered.
    NoPong,
    /// Nobody gets the keys of these devices.
    WithholdKeys,
    /// Nobody is told of these devices.
    HideDevices,
    /// These devices are told of as hosted ones.
    HostDevices,
}

impl Fault {
    /// Every fault, in the order of their declaration.
    pub const ALL: [Self; 24] = [
        Self::DropSocket,
        Self::DropBeforeAck,
        Self::DropAfterStore,
        Self::HoldAcks,
        Self::LoseAcks,
        Self::RefuseHandshake,
        Self::RefuseLogin,
        Self::Delay,
        Self::Lose,
        Self::Duplicate,
        Self::Refuse,
        Self::RefuseIq,
        Self::Ban,
        Self::LogOut,
        Self::Replace,
        Self::StreamError,
        Self::RateLimit,
        Self::SkewClock,
        Self::Mute,
        Self::Restart,
        Self::NoPong,
        Self::WithholdKeys,
        Self::HideDevices,
        Self::HostDevices,
    ];

    /// Its name in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::DropSocket => "drop-socket",
            Self::DropBeforeAck => "drop-before-ack",
            Self::DropAfterStore => "drop-after-store",
            Self::HoldAcks => "hold-acks",
            Self::LoseAcks => "lose-acks",
            Self::RefuseHandshake => "refuse-handshake",
            Self::RefuseLogin => "refuse-login",
            Self::Delay => "delay",
            Self::Lose => "lose",
            Self::Duplicate => "duplicate",
            Self::Refuse => "refuse",
            Self::RefuseIq => "refuse-iq",
            Self::Ban => "ban",
            Self::LogOut => "log-out",
            Self::Replace => "replace",
            Self::StreamError => "stream-error",
            Self::RateLimit => "rate-limit",
            Self::SkewClock => "skew-clock",
            Self::Mute => "mute",
            Self::Restart => "restart",
            Self::NoPong => "no-pong",
            Self::WithholdKeys => "withhold-keys",
            Self::HideDevices => "hide-devices",
            Self::HostDevices => "host-devices",
        }
    }

    /// The members besides `target`, `count`, `chance`, `seed` and `seconds` that mean something here.
    pub(super) fn members(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::DropSocket | Self::Replace => (&[], &["stanza"]),
            Self::StreamError => (&["code"], &["stanza"]),
            Self::Delay => (&["delayMs"], &["stanza", "direction"]),
            Self::Lose | Self::Duplicate => (&[], &["stanza", "direction"]),
            Self::RefuseLogin | Self::Refuse | Self::RefuseIq => (&["code"], &[]),
            Self::RateLimit => (&["perSecond"], &[]),
            Self::SkewClock => (&["skewMs"], &[]),
            Self::Ban => (&["seconds"], &["code"]),
            Self::WithholdKeys => (&[], &["code"]),
            Self::DropBeforeAck
            | Self::DropAfterStore
            | Self::HoldAcks
            | Self::LoseAcks
            | Self::RefuseHandshake
            | Self::LogOut
            | Self::Mute
            | Self::Restart
            | Self::NoPong
            | Self::HideDevices
            | Self::HostDevices => (&[], &[]),
        }
    }

    /// Whether it is about the server as a whole, or about clients before they have said who they are.
    pub(super) fn only_for_all(self) -> bool {
        matches!(self, Self::RefuseHandshake | Self::SkewClock | Self::Restart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_the_name_that_the_api_reads() {
        for fault in Fault::ALL {
            assert_eq!(
                serde_json::to_value(fault).unwrap(),
                serde_json::json!(fault.name())
            );
        }
        let mut sorted = Fault::ALL.map(|fault| fault as usize);
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..Fault::ALL.len()));
    }
}
