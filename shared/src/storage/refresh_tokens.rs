//! Refresh tokens, by their hash. They run out by themselves.

use super::error::{StorageError, classify};
use super::item::{s, seconds, text, time};
use super::keys;
use super::table::Table;
use crate::auth::refresh::{RefreshToken, Session};

/// The refresh tokens of the table.
#[derive(Debug, Clone)]
pub struct RefreshTokens {
    table: Table,
}

impl RefreshTokens {
    /// The refresh tokens of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Stores a new token.
    pub async fn put(&self, token: &RefreshToken, session: &Session) -> Result<(), StorageError> {
        let mut item = keys::refresh(&token.hash()).attributes();
        item.insert("user".into(), text(session.user));
        item.insert("subscription".into(), text(session.subscription));
        item.insert("family".into(), s(&session.family));
        item.insert("createdAt".into(), time(session.created_at));
        item.insert("expiresAt".into(), time(session.expires_at));
        item.insert("exp".into(), seconds(session.expires_at));
        self.table
            .client()
            .put_item()
            .table_name(self.table.name())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }
}
