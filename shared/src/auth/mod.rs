//! Who is calling: passwords, sessions (JWT and refresh token) and API keys.
//!
//! Nothing here reads the table or knows HTTP. `storage::accounts` and `storage::api_keys` keep what this module
//! makes; the functions' extractors tell what is wrong with a header.

pub mod api_key;
pub mod cidr;
pub mod jwt;
pub mod login;
pub mod mail_code;
pub mod pairing_link;
pub mod password;
pub mod session;

use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest, Sha256};

/// The hexadecimal SHA-256 of a secret that is random enough to need no salt.
fn sha256_hex(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

/// Random letters and digits: each carries 5.95 bits.
fn random_letters(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}
