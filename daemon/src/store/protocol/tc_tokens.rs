//! One person's privacy token: read from memory or the store, and changed in both.

use wacore::store::error::Result;
use wacore::store::traits::TcTokenEntry;

use crate::store::SessionStore;
use crate::store::names::name;
use crate::store::tokens::Stored;

impl SessionStore {
    /// Reads a token and writes back what `change` makes of it, if anything.
    pub(super) async fn change_tc_token(
        &self,
        jid: &str,
        change: impl FnOnce(Option<TcTokenEntry>) -> Option<TcTokenEntry> + Send,
    ) -> Result<()> {
        let _alone = self.locks.tc_tokens.lock().await;
        let Some(changed) = change(self.tc_token(jid).await?) else {
            return Ok(());
        };
        let change = self.tokens.change(Some(jid));
        self.put_json(&name("tc", &[jid]), &changed).await?;
        change.done();
        self.tokens.learn(jid, Some(changed));
        Ok(())
    }

    /// What is stored for a person. The caller holds the lock.
    pub(super) async fn tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        if let Some(Stored(known)) = self.tokens.of(jid) {
            return Ok(known);
        }
        let entry: Option<TcTokenEntry> = self.get_json(&name("tc", &[jid])).await?;
        self.tokens.learn(jid, entry.clone());
        Ok(entry)
    }
}
