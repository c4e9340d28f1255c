//! A configuration of the functions that is quick and safe in tests.

use std::path::PathBuf;

use shared::config::{Common, Functions, JwtSecret, Secret, Wrapping};
use shared::domain::network::Network;

use crate::{queues, table};

/// So many shards on the sandbox network, cheap passwords, and a wrapping key in this file.
pub fn functions(shards: u32, key_file: PathBuf) -> Functions {
    let common = Common {
        table: table::NAME.to_owned(),
        shards,
        queue_prefix: queues::PREFIX.to_owned(),
    };
    let wrapping = Wrapping::File(key_file);
    let mut config = Functions::new(common, vec![Network::Sandbox], vec![jwt_secret()], wrapping);
    config.users.bcrypt_cost = 4;
    config
}

/// What signs its access tokens.
pub fn jwt_secret() -> JwtSecret {
    JwtSecret {
        kid: "test".to_owned(),
        secret: Secret::new("a secret for tests alone, of 32 bytes or more"),
    }
}
