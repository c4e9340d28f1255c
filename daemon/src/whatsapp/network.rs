//! Which network this build serves. The sandbox's certificate chain is accepted by builds
//! with the feature `sandbox` alone, and nothing else differs between the two.

use shared::domain::network::Network;

/// The network that this build serves.
pub const NETWORK: Network = if cfg!(feature = "sandbox") {
    Network::Sandbox
} else {
    Network::Live
};

/// The client version that is announced; `None` for the current one, which is looked up at WhatsApp
/// over HTTPS (`versions.rs`). The sandbox takes any, and nothing leaves the machine.
pub const VERSION: Option<(u32, u32, u32)> = match NETWORK {
    Network::Sandbox => Some((2, 3_000, 1_000_000_000)),
    Network::Live => None,
};
