//! The settings that a phone shares with its companions.

use super::{AppStateAction, AppStateRecord, Phone};
use crate::error::Result;
use crate::phone::app_state::{self, actions};

impl Phone {
    /// The shared settings as the phone holds them, decrypted and verified by it.
    pub async fn app_state(&self) -> Result<Vec<AppStateRecord>> {
        self.work(|unit, account| app_state::list(unit, &account.phone))
            .await
    }

    /// Does something with a chat, a contact or a setting: writes the shared setting, for all of the account's devices.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a chat or text that cannot be.
    pub async fn change_app_state(&self, action: AppStateAction) -> Result<()> {
        self.act(move |unit, account| actions::act(unit, account, action))
            .await
    }
}
