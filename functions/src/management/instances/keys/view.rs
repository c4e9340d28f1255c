//! An API key as its owner sees it.

use std::collections::BTreeSet;

use serde::Serialize;
use shared::auth::api_key::{Grant, Scope};
use shared::auth::cidr::Cidr;
use shared::domain::account::PersonName;
use shared::ids::KeyId;
use shared::storage::api_keys::ListedKey;
use utoipa::ToSchema;

use crate::http::Timestamp;

/// A key without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub struct KeyView {
    id: KeyId,
    name: PersonName,
    #[schema(example = "wak_test_x7Kp2Q")]
    prefix: String,
    scopes: BTreeSet<Scope>,
    #[schema(value_type = Vec<Cidr>)]
    allowed_cidrs: Vec<String>,
    expires_at: Option<Timestamp>,
    #[schema(example = 1_000)]
    rate_limit: u32,
    created_at: Timestamp,
    rotated_at: Option<Timestamp>,
    /// The hour in which it was used last.
    last_used_at: Option<Timestamp>,
}

impl KeyView {
    /// A key that was just made.
    pub fn of_new(grant: Grant, name: PersonName, prefix: &str, created_at: Timestamp) -> Self {
        Self {
            id: grant.key,
            name,
            prefix: prefix.to_owned(),
            scopes: grant.scopes,
            allowed_cidrs: grant.allowed_cidrs.iter().map(ToString::to_string).collect(),
            expires_at: grant.expires_at.map(Timestamp::from),
            rate_limit: grant.rate_limit,
            created_at,
            rotated_at: None,
            last_used_at: None,
        }
    }

    /// The same key under another secret.
    #[must_use]
    pub fn rotated(self, prefix: &str, at: Timestamp) -> Self {
        Self {
            prefix: prefix.to_owned(),
            rotated_at: Some(at),
            ..self
        }
    }
}

impl From<ListedKey> for KeyView {
    fn from(key: ListedKey) -> Self {
        Self {
            rotated_at: key.rotated_at.map(Timestamp::from),
            last_used_at: key.last_used_at.map(Timestamp::from),
            ..Self::of_new(key.grant, key.name, &key.prefix, key.created_at.into())
        }
    }
}

/// A key with its secret, shown once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyWithSecret)]
pub struct KeyWithSecret {
    #[serde(flatten)]
    pub view: KeyView,
    /// The secret itself.
    #[schema(example = "wak_test_x7Kp2QmYbR4nTz8sVw3LcD9fGh5JkE1aNp6UoXiBqMtZy")]
    pub key: String,
}
