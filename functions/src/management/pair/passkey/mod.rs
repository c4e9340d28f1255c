//! `/pair/{token}/passkey`: the passkey of the account's owner, whose page this is.

pub mod answer;
pub mod confirm;
