//! `backup` and `restore`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use stack::backup;
use tokio::task::spawn_blocking;

use crate::say;

/// Copies the state, and says what is not in the copy.
pub async fn back_up(data_dir: PathBuf, to: PathBuf) -> anyhow::Result<()> {
    let copy = to.display().to_string();
    let keys = spawn_blocking(move || backup::back_up(&data_dir, &to))
        .await
        .context("the backup ended in a panic")??;
    say(&format!(
        "Everything is in {copy}. Keys are too: whoever has it has every account.\n"
    ));
    if !keys.has_wrapping_key {
        say(
            "The key that seals messages and sessions is NOT in it, since this server has it from WAXWING_KEY_FILE.\n\
             Keep a copy of that file: without it nothing that is sealed can be read.\n",
        );
    }
    if !keys.has_jwt_secret {
        say(
            "The secret of access tokens is NOT in it, since this server has it from WAXWING_JWT_SECRET.\n\
             Under another one everybody has to log in again.\n",
        );
    }
    Ok(())
}

/// Brings a copy back. Says which keys did not come with it, and that sessions of the past have to be paired again.
pub async fn restore(data_dir: &Path, from: &Path) -> anyhow::Result<()> {
    let keys = Box::pin(backup::restore(from, data_dir)).await?;
    say(&format!("Everything is back, in {}.\n", data_dir.display()));
    if !keys.has_wrapping_key {
        say(
            "The key that seals messages and sessions is NOT in this backup: before you start the server, let WAXWING_KEY_FILE\n\
             name the file that has it. Without that key the server does not start.\n",
        );
    }
    if !keys.has_jwt_secret {
        say(
            "The secret of access tokens is NOT in this backup: set WAXWING_JWT_SECRET as it was, or everybody has to log in again.\n",
        );
    }
    say(
        "If a server went on after this backup was made, its WhatsApp sessions are of the past: unlink each number on its phone\n\
         before you start the server, and pair it again.\n",
    );
    Ok(())
}
