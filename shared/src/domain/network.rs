//! The two networks that an instance can be on.

use super::text_enum;

text_enum! {
    /// Where an instance's messages go. Fixed at the instance's creation; shards, queues
    /// and daemon builds are per network.
    Network {
        /// WhatsApp itself.
        Live = "live",
        /// The sandbox: same protocol, scripted phones.
        Sandbox = "sandbox",
    }
}
