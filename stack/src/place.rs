//! The folder of the state.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use shared::config::{JwtSecret, Wrapping};
use shared::domain::network::Network;
use tempfile::{NamedTempFile, TempDir};
use tracing::warn;

use crate::{network, secrets};

/// The file of the table.
pub const TABLE_FILE: &str = "table.db";

/// The file of the queues.
pub const QUEUES_FILE: &str = "queues.db";

/// The folder of the bucket.
pub const BUCKET: &str = "bucket";

/// The file of the key that wraps data keys, unless the key is elsewhere.
pub const WRAPPING_KEY: &str = "wrapping.key";

/// The file with the fingerprint of the key that what is in the folder is sealed under, wherever that key is.
pub const WRAPPING_MARK: &str = "wrapping.mark";

/// The file with the network that the folder is of.
pub const NETWORK: &str = "network";

/// The file of the secret of access tokens, unless that is elsewhere.
pub const JWT_SECRET: &str = "jwt.secret";

/// The file whose lock keeps a second stack away.
pub const LOCK: &str = "lock";

/// The file that is there while a backup is restored into the folder, and stays where that breaks off.
pub const RESTORING: &str = "restoring";

/// Makes a folder that its owner alone may look into, with those that it is in; leaves one that is there as it is.
pub fn private_directory(directory: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))
}

/// Makes the file of a store, which its owner alone may read, whoever may look into its folder. One that is there is taken from
/// others, with what `SQLite` keeps beside it. Where that cannot be done the log says so: not every file system has such rights.
///
/// It is for a store that this process has not opened: closing a file lets go of the locks that `SQLite` has on it.
pub fn private_store(file: &Path) -> anyhow::Result<()> {
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match made {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("cannot make {}", file.display())),
    }
    for beside in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(beside);
        if let Err(error) = keep_from_others(Path::new(&name)) {
            warn!(%error, file = %Path::new(&name).display(), "others on this machine may read the file, and that cannot be changed");
        }
    }
    Ok(())
}

/// Takes a file from all but its owner. Nothing is done where there is none.
fn keep_from_others(file: &Path) -> io::Result<()> {
    let found = match std::fs::metadata(file) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let of_others = found.permissions().mode() & 0o077;
    if of_others == 0 {
        return Ok(());
    }
    std::fs::set_permissions(file, Permissions::from_mode(0o600))
}

/// What a small file of a folder says; `None` where there is none.
pub fn read_mark(directory: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let file = directory.join(name);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Writes a small file of a folder. It is there whole or not at all, and outlives a power cut.
pub fn write_mark(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let file = directory.join(name);
    let write = || -> io::Result<()> {
        let mut draft = NamedTempFile::new_in(directory)?;
        draft.write_all(text.as_bytes())?;
        draft.as_file().sync_all()?;
        draft.persist(&file).map_err(|failed| failed.error)?;
        File::open(directory)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// The folder of the state, locked against a second stack.
pub struct Place {
    directory: PathBuf,
    held: Held,
}

enum Held {
    Kept { _lock: File },
    Ephemeral { _directory: TempDir },
}

impl Place {
    /// Opens a folder for a stack of this network, and makes it where there is none. Fails where another stack works on it, where what
    /// was restored into it is not whole, or where it is another network's.
    pub fn open_for(directory: PathBuf, network: Network) -> anyhow::Result<Self> {
        let place = Self::open(directory)?;
        network::settle(&place.directory, network)?;
        Ok(place)
    }

    /// Opens a folder of any network. Fails where another stack works on it, or where what was restored into it is not whole.
    pub(crate) fn open(directory: PathBuf) -> anyhow::Result<Self> {
        let name = directory.display();
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make the directory {name}"))?;
        let lock = File::create(directory.join(LOCK)).with_context(|| format!("cannot write in {name}"))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                anyhow::anyhow!("another Waxwing works on {name} already; --data-dir takes another directory")
            }
            std::fs::TryLockError::Error(error) => anyhow::anyhow!("cannot lock {name}: {error}"),
        })?;
        anyhow::ensure!(
            !directory.join(RESTORING).exists(),
            "a backup was being restored into {name} and is not whole: empty the folder, and restore it again"
        );
        Ok(Self {
            directory,
            held: Held::Kept { _lock: lock },
        })
    }

    /// A place where nothing is kept. The keys need a file; it goes with the process.
    pub fn ephemeral() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        Ok(Self {
            directory: directory.path().to_owned(),
            held: Held::Ephemeral {
                _directory: directory,
            },
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// A file or directory of the state; `None` where nothing is kept.
    pub fn durable(&self, name: &str) -> Option<PathBuf> {
        match self.held {
            Held::Kept { .. } => Some(self.directory.join(name)),
            Held::Ephemeral { .. } => None,
        }
    }

    /// The folder's own key that wraps data keys. The file is made when a stack first starts on the folder.
    pub fn wrapping(&self) -> Wrapping {
        Wrapping::File(self.directory.join(WRAPPING_KEY))
    }

    /// The folder's own secret of access tokens, which is made where there is none.
    pub fn jwt_secret(&self) -> anyhow::Result<JwtSecret> {
        let file = self.directory.join(JWT_SECRET);
        let is_anew = !file.exists() && self.directory.join(TABLE_FILE).exists();
        let secret = secrets::jwt_secret(&file)?;
        if is_anew {
            warn!(
                file = %file.display(),
                "the secret of access tokens was not there, and is made anew: everybody has to log in again"
            );
        }
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mode(file: &Path) -> u32 {
        let found = fs::metadata(file).expect("it is there");
        found.permissions().mode() & 0o777
    }

    #[test]
    fn a_store_is_its_owners_alone_in_a_folder_that_others_look_into() {
        let folder = tempfile::tempdir().expect("made");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("set");
        let [store, log] = ["table.db", "table.db-wal"].map(|name| folder.path().join(name));
        private_store(&store).expect("made");
        assert_eq!(mode(&store), 0o600);

        for file in [&store, &log] {
            fs::write(file, "kept").expect("written");
            fs::set_permissions(file, Permissions::from_mode(0o664)).expect("set");
        }
        private_store(&store).expect("taken from others");
        for file in [&store, &log] {
            assert_eq!(mode(file), 0o600);
            assert_eq!(fs::read(file).expect("read"), b"kept");
        }
        assert!(private_store(&folder.path().join("missing/table.db")).is_err());
    }
}
