//! Which network this build serves. Only builds with the feature `sandbox` accept the sandbox's certificate chain;
//! nothing else differs between the two.

use shared::domain::network::Network;

/// The network that this build serves.
pub const NETWORK: Network = if cfg!(feature = "sandbox") {
    Network::Sandbox
} else {
    Network::Live
};

/// The client version that is announced; `None` for the current one, which is looked up at WhatsApp over HTTPS
/// (`versions.rs`). The sandbox takes any version, so no request leaves the machine for it.
pub const VERSION: Option<(u32, u32, u32)> = match NETWORK {
    Network::Sandbox => Some((2, 3_000, 1_000_000_000)),
    Network::Live => None,
};
