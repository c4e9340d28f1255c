//! Files and folders, copied as they are: with their rights, and with their times, by which the bucket reckons its terms.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::place::private_directory;

/// Copies a folder with all that is in it and not in the copy yet. Nothing is done where there is none. A file that goes meanwhile
/// is left out, and so is one that is not written to its end.
pub fn add_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look into {}", from.display())),
    };
    private_directory(to)?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot look into {}", from.display()))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            // Some file systems have to look at the file for this, and it may be gone.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot look at {}", source.display())),
        };
        if kind.is_dir() {
            add_tree(&source, &target)?;
        } else if kind.is_file() && !is_draft(&source) {
            add(&source, &target)?;
        }
    }
    sync_directory(to)
}

/// Copies a file, unless the copy is there already. Answers whether there is one.
pub fn add(from: &Path, to: &Path) -> anyhow::Result<bool> {
    match copied(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => Ok(false),
        Err(error) => {
            Err(error).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
        }
    }
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::metadata(from)?;
    let modified = found.modified()?;
    if let Ok(copy) = fs::metadata(to)
        && copy.len() == found.len()
        && copy.modified()? == modified
    {
        return Ok(());
    }
    fs::copy(from, to)?;
    let copy = File::options().write(true).open(to)?;
    copy.set_modified(modified)?;
    copy.sync_all()
}

/// Whether a file is an object of the bucket that is being written.
fn is_draft(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().contains('#'))
}

/// Writes a file, and puts it on disk.
pub fn write(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let written = File::create(file).and_then(|mut created| {
        created.write_all(content)?;
        created.sync_all()
    });
    written.with_context(|| format!("cannot write {}", file.display()))
}

/// Puts the names of a folder's files on disk.
pub fn sync_directory(directory: &Path) -> anyhow::Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| format!("cannot sync {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn files_are_copied_once_with_their_times_and_rights_and_drafts_are_left_out() {
        let folder = tempfile::tempdir().expect("made");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let object = from.join("incoming/instance/object");
        fs::create_dir_all(from.join("incoming/instance")).expect("made");
        fs::write(&object, "content").expect("written");
        fs::write(from.join("incoming/instance/object#1"), "half").expect("written");
        fs::set_permissions(&object, fs::Permissions::from_mode(0o600)).expect("set");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let file = File::options().write(true).open(&object).expect("opened");
        file.set_modified(long_ago).expect("set");

        add_tree(&from, &to).expect("copied");
        let copy = to.join("incoming/instance/object");
        let found = fs::metadata(&copy).expect("there");
        assert_eq!(found.modified().expect("told"), long_ago);
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert!(!to.join("incoming/instance/object#1").exists());

        // What is there stays, what has gone stays in the copy, and what is new comes along.
        fs::remove_file(&object).expect("removed");
        fs::write(from.join("incoming/instance/later"), "more").expect("written");
        add_tree(&from, &to).expect("copied");
        assert_eq!(fs::read(&copy).expect("there"), b"content");
        assert_eq!(
            fs::read(to.join("incoming/instance/later")).expect("there"),
            b"more"
        );
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        let folder = tempfile::tempdir().expect("made");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        add_tree(&from, &to).expect("nothing to do");
        assert!(!add(&from, &to).expect("nothing to do"));
        assert!(!to.exists());
        fs::write(&from, "content").expect("written");
        assert!(add(&from, &folder.path().join("missing/to")).is_err());
    }
}
