//! Copies of a stack's folder: made while the stack runs, and restored into a folder of their own.
//!
//! | in the copy | what |
//! | --- | --- |
//! | `table.db`, `queues.db` | both stores, as they were at one moment |
//! | `bucket/` | the bucket's objects, and the key of its links |
//! | `wrapping.key` | the key that the table is sealed under, where that is in the folder |
//! | `wrapping.mark` | which key that is |
//! | `jwt.secret` | the secret of access tokens, where it is in the folder |
//! | `network` | the network that the folder is of |
//! | `backup.json` | what made it and when. It is written last: where there is none, the copy is not whole |
//! | `unfinished` | it is there while the copy is made, and stays where the process is killed meanwhile |
//!
//! Nothing writes into either store at the moment of the copy, so it is what a kill at that moment leaves, and a start copes with
//! that. The bucket is copied before and after. So what the table names is there, unless it was made and deleted meanwhile.

mod files;
mod stores;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use shared::clock::{Clock as _, SystemClock};
use shared::queue::embedded::EmbeddedQueue;

use crate::database;
use crate::place::{
    BUCKET, JWT_SECRET, LOCK, NETWORK, Place, QUEUES_FILE, RESTORING, TABLE_FILE, WRAPPING_KEY,
    WRAPPING_MARK, private_directory, private_store,
};
use crate::wrapping;

/// The file that makes a copy whole.
const MANIFEST: &str = "backup.json";

/// The file that marks a folder while a copy is made in it.
const UNFINISHED: &str = "unfinished";

/// How the files of a copy are laid out. Raised where an older program would restore them wrongly.
const FORMAT: u32 = 1;

/// What a copy says of itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    format: u32,
    version: String,
    made_at: String,
    /// Older versions did not say.
    keys: Option<Keys>,
}

/// Which keys are in a copy. A key that is not in it is outside the folder, where the stack has it from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// Whether the key that the table is sealed under is in it. Without that key nothing opens that is sealed.
    pub has_wrapping_key: bool,
    /// Whether the secret of access tokens is in it. Under another one everybody has to log in again.
    pub has_jwt_secret: bool,
}

/// Copies the state in `directory` to `copy`, an empty folder or a new one, whether a stack works on it or not. Blocks for as
/// long as that takes; a stack's writes wait for some milliseconds of it.
///
/// # Errors
/// There is no state, `copy` is not empty or is in the bucket, or a file cannot be read or written, as where the disk is full. What was
/// written into `copy` is removed then. Where it cannot be removed, or the process is killed, the copy is not whole and cannot be restored.
pub fn back_up(directory: &Path, copy: &Path) -> anyhow::Result<Keys> {
    ensure!(
        [TABLE_FILE, QUEUES_FILE]
            .iter()
            .all(|name| directory.join(name).is_file()),
        "there is nothing to copy in {}: --data-dir says where the state is",
        directory.display()
    );
    let bucket = leads_to(&directory.join(BUCKET))?;
    ensure!(
        !leads_to(copy)?.starts_with(&bucket),
        "{} is in {}, which is copied: a backup wants a folder elsewhere",
        copy.display(),
        bucket.display()
    );
    private_directory(copy)?;
    claim(copy)?;
    take(directory, copy).map_err(|error| match give_back(copy) {
        Ok(()) => error,
        Err(failure) => error.context(format!(
            "what is in {} is not whole, and could not be removed ({failure:#}): remove it",
            copy.display()
        )),
    })
}

/// Where a path leads, without links and `..`. Its last parts need not be there yet.
fn leads_to(file: &Path) -> anyhow::Result<PathBuf> {
    let absolute =
        path::absolute(file).with_context(|| format!("cannot tell where {} is", file.display()))?;
    for there in absolute.ancestors() {
        if let (Ok(found), Ok(missing)) = (there.canonicalize(), absolute.strip_prefix(there)) {
            return Ok(found.join(missing));
        }
    }
    Ok(absolute)
}

/// Marks an empty folder as that of a copy that is being made. Where two copies want it at the same time, at least one is refused.
fn claim(copy: &Path) -> anyhow::Result<()> {
    let found = names(copy)?;
    ensure!(
        !found.iter().any(|name| name == UNFINISHED),
        "{} has a backup that is being made, or what is left of one that was killed: remove it in that case",
        copy.display()
    );
    let refusal = || {
        format!(
            "{} is not empty: a backup wants a folder of its own",
            copy.display()
        )
    };
    ensure!(found.is_empty(), refusal());
    let mark = copy.join(UNFINISHED);
    match File::options().write(true).create_new(true).open(&mark) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(refusal()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot make {}", mark.display()));
        }
    }
    // Another copy may have been made in it since the first look.
    if names(copy)?.iter().any(|name| name != UNFINISHED) {
        fs::remove_file(&mark).with_context(|| format!("cannot remove {}", mark.display()))?;
        bail!(refusal());
    }
    Ok(())
}

/// Empties a folder in which a copy failed. A half copy is of no use, and may fill the server's own disk. The manifest goes first, so that
/// no half copy counts as whole, and the mark last, so that no other copy begins meanwhile.
fn give_back(copy: &Path) -> anyhow::Result<()> {
    let manifest = copy.join(MANIFEST);
    match fs::remove_file(&manifest) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot remove {}", manifest.display()));
        }
    }
    remove_all_but(copy, &[UNFINISHED])?;
    remove_all_but(copy, &[])
}

/// Copies everything.
fn take(directory: &Path, copy: &Path) -> anyhow::Result<Keys> {
    let (from, to) = (|name: &str| directory.join(name), |name: &str| copy.join(name));
    files::add_tree(&from(BUCKET), &to(BUCKET))?;
    stores::copy(
        [&from(TABLE_FILE), &from(QUEUES_FILE)],
        [&to(TABLE_FILE), &to(QUEUES_FILE)],
    )?;
    files::add_tree(&from(BUCKET), &to(BUCKET))?;
    for mark in [NETWORK, WRAPPING_MARK] {
        files::add(&from(mark), &to(mark))?;
    }
    // A key that nothing is sealed under would only be taken for the right one.
    let has_wrapping_key = wrapping::is_in(directory)? && files::add(&from(WRAPPING_KEY), &to(WRAPPING_KEY))?;
    let keys = Keys {
        has_wrapping_key,
        has_jwt_secret: files::add(&from(JWT_SECRET), &to(JWT_SECRET))?,
    };
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: SystemClock.now().to_rfc3339(),
        keys: Some(keys),
    };
    files::sync_directory(copy)?;
    fs::remove_file(to(UNFINISHED)).context("the mark of an unfinished copy cannot be removed")?;
    files::write(&to(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    files::sync_directory(copy)?;
    // The folder's own name is to be on the disk too, where its parent can be opened.
    let parent = copy.canonicalize().ok();
    if let Some(parent) = parent.as_deref().and_then(Path::parent) {
        let _ = files::sync_directory(parent);
    }
    Ok(keys)
}

/// Restores a copy into `directory`, an empty folder or a new one. Answers which keys came with it.
///
/// # Errors
/// The copy is not whole, is damaged, or is newer than this program; `directory` is not empty, or another process works on it; a
/// file cannot be read or written. Nothing but a lock is in the folder then; where that cannot be done, no stack starts on what is left.
pub async fn restore(copy: &Path, directory: &Path) -> anyhow::Result<Keys> {
    let manifest = read_manifest(copy)?;
    private_directory(directory)?;
    let place = take_empty(directory)?;
    let restored = Box::pin(fill(copy, place.path(), &manifest)).await;
    restored.map_err(|error| match empty(place.path()) {
        Ok(()) => error,
        Err(failure) => error.context(format!(
            "{} is not empty any more, and could not be emptied ({failure:#}): empty it",
            directory.display()
        )),
    })
}

/// Takes a folder that has nothing in it but perhaps the lock of whoever has worked on it.
fn take_empty(directory: &Path) -> anyhow::Result<Place> {
    let is_lock = |name: &OsString| name == LOCK;
    let refusal = || {
        format!(
            "{} is not empty: --data-dir says where to restore to, which is a new folder or an empty one",
            directory.display()
        )
    };
    let found = names(directory)?;
    // A folder that is not empty and has no lock is no stack's: none is put into it.
    ensure!(found.is_empty() || found.iter().any(is_lock), refusal());
    let place = Place::open(directory.to_owned())?;
    // From now on nobody else puts anything into it.
    ensure!(names(directory)?.iter().all(is_lock), refusal());
    Ok(place)
}

/// Copies everything, and sees whether it can be used.
async fn fill(copy: &Path, directory: &Path, manifest: &Manifest) -> anyhow::Result<Keys> {
    let (from, to) = (|name: &str| copy.join(name), |name: &str| directory.join(name));
    files::write(&to(RESTORING), b"")?;
    files::sync_directory(directory)?;
    for name in [TABLE_FILE, QUEUES_FILE] {
        ensure!(
            files::add(&from(name), &to(name))?,
            "{name} is missing in the backup"
        );
        // The copy may have come by ways that keep no rights.
        private_store(&to(name))?;
        stores::check(&to(name)).with_context(|| format!("{name} of the backup is damaged"))?;
    }
    files::add(&from(NETWORK), &to(NETWORK))?;
    let keys = add_keys(copy, directory, manifest)?;
    files::add_tree(&from(BUCKET), &to(BUCKET))?;
    database::check(&to(TABLE_FILE))
        .await
        .context("the table of the backup")?;
    let queue = EmbeddedQueue::open(Some(&to(QUEUES_FILE)), Arc::new(SystemClock))
        .context("the queues of the backup")?;
    queue.close().await;
    files::sync_directory(directory)?;
    fs::remove_file(to(RESTORING)).context("the mark of a restore cannot be removed")?;
    files::sync_directory(directory)?;
    Ok(keys)
}

/// Copies the keys. Fails where one is missing that was in the copy when it was made.
fn add_keys(copy: &Path, directory: &Path, manifest: &Manifest) -> anyhow::Result<Keys> {
    for name in [WRAPPING_MARK, WRAPPING_KEY, JWT_SECRET] {
        files::add(&copy.join(name), &directory.join(name))?;
    }
    let found = Keys {
        has_wrapping_key: wrapping::is_in(directory)?,
        has_jwt_secret: directory.join(JWT_SECRET).is_file(),
    };
    let said = manifest.keys.unwrap_or(found);
    for (name, is_said, is_found) in [
        (WRAPPING_KEY, said.has_wrapping_key, found.has_wrapping_key),
        (JWT_SECRET, said.has_jwt_secret, found.has_jwt_secret),
    ] {
        ensure!(is_found || !is_said, "{name} of the backup is missing or damaged");
    }
    Ok(found)
}

/// What a copy says of itself. Fails where it is not whole, or newer than this program.
fn read_manifest(copy: &Path) -> anyhow::Result<Manifest> {
    let file = copy.join(MANIFEST);
    let text = fs::read(&file).with_context(|| {
        format!(
            "{} is no whole backup: its {MANIFEST} cannot be read",
            copy.display()
        )
    })?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not of a backup that this Waxwing knows", file.display()))?;
    ensure!(
        manifest.format <= FORMAT,
        "the backup in {} is of format {}, which a newer Waxwing ({}) has made: this one knows formats up to {FORMAT}",
        copy.display(),
        manifest.format,
        manifest.version
    );
    Ok(manifest)
}

/// What is in a folder.
fn names(directory: &Path) -> anyhow::Result<Vec<OsString>> {
    let listed = fs::read_dir(directory).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    });
    listed.with_context(|| format!("cannot look into {}", directory.display()))
}

/// Empties a folder whose lock is held. The lock stays, since whoever waits for it would lock a file that is gone. The mark of a
/// restore goes last: until then no stack starts on what is left.
fn empty(directory: &Path) -> anyhow::Result<()> {
    let mark = directory.join(RESTORING);
    files::write(&mark, b"")?;
    files::sync_directory(directory)?;
    remove_all_but(directory, &[LOCK, RESTORING])?;
    files::sync_directory(directory)?;
    fs::remove_file(mark).context("the mark of a restore cannot be removed")?;
    files::sync_directory(directory)
}

/// Removes what is in a folder and has none of these names.
fn remove_all_but(directory: &Path, kept: &[&str]) -> anyhow::Result<()> {
    for name in names(directory)? {
        if kept.iter().any(|kept| name == *kept) {
            continue;
        }
        let path = directory.join(name);
        let is_directory = fs::symlink_metadata(&path)?.is_dir();
        let removed: io::Result<()> = if is_directory {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod load;
#[cfg(test)]
mod tests;
