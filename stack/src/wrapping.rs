//! Which key a folder's data is sealed under, and that no other takes its place.
//!
//! Nothing opens under another key. A key that is made silently beside a table that has one would lose all that is sealed, and
//! seal more beside it. So a key is made where there is no table yet, and never later. Its fingerprint lies in the folder.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, ensure};
use shared::config::Wrapping;
use shared::seal::FileKeyWrapper;

use crate::place::{TABLE_FILE, WRAPPING_KEY, WRAPPING_MARK, read_mark, write_mark};

/// Makes the key of a folder that has no table yet, and notes which key it is. In a folder that has one, the key must be there, and
/// be the one that was noted. A folder without a note is given one.
///
/// # Errors
/// The key is missing beside a table, is another one than was noted, or cannot be read or made.
pub fn settle(directory: &Path, wrapping: &Wrapping) -> anyhow::Result<()> {
    let Wrapping::File(file) = wrapping else {
        return Ok(());
    };
    let (folder, name) = (directory.display(), file.display());
    let has_table = directory
        .join(TABLE_FILE)
        .try_exists()
        .with_context(|| format!("cannot look into {folder}"))?;
    if !has_table {
        let made = FileKeyWrapper::open(file);
        let key = made.with_context(|| format!("cannot read or make the wrapping key in {name}"))?;
        return write_mark(directory, WRAPPING_MARK, &key.fingerprint());
    }
    let key = match FileKeyWrapper::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(error).with_context(|| {
            format!(
                "what is in {folder} is sealed under a key, which is not in {name}; no other is made, since nothing would open under \
                 it: bring that file back, or let WAXWING_KEY_FILE of `waxwing-server` name the file that has the key"
            )
        }),
        read => read.with_context(|| format!("cannot read the wrapping key in {name}")),
    }?;
    match read_mark(directory, WRAPPING_MARK)? {
        Some(noted) => {
            ensure!(
                noted == key.fingerprint(),
                "the key in {name} is not the one that what is in {folder} is sealed under: bring back the file with that key, or let \
                 WAXWING_KEY_FILE of `waxwing-server` name it"
            );
            Ok(())
        }
        None => write_mark(directory, WRAPPING_MARK, &key.fingerprint()),
    }
}

/// Whether the key that a folder's data is sealed under is in the folder itself. Where there is no note, since older versions alone
/// have started on the folder, the key that lies in it is taken for that one.
pub fn is_in(directory: &Path) -> anyhow::Result<bool> {
    let file = directory.join(WRAPPING_KEY);
    match FileKeyWrapper::read(&file) {
        Ok(key) => {
            let noted = read_mark(directory, WRAPPING_MARK)?;
            Ok(noted.is_none_or(|noted| noted == key.fingerprint()))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn settled(directory: &Path, key: &Path) -> Result<(), String> {
        settle(directory, &Wrapping::File(key.to_owned())).map_err(|refusal| format!("{refusal:#}"))
    }

    /// A folder with a table, whose key is in this file of it.
    fn world(key: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("made");
        let key = folder.path().join(key);
        settled(folder.path(), &key).expect("made");
        fs::write(folder.path().join(TABLE_FILE), "").expect("written");
        (folder, key)
    }

    #[test]
    fn a_key_is_made_before_the_table_and_never_beside_one() {
        let (folder, key) = world(WRAPPING_KEY);
        let made = fs::read(&key).expect("made");
        settled(folder.path(), &key).expect("the same key");

        let missed = folder.path().join("typo.key");
        let said = settled(folder.path(), &missed).expect_err("refused");
        assert!(said.contains(&missed.display().to_string()), "{said}");
        assert!(said.contains("WAXWING_KEY_FILE"), "{said}");
        assert!(!missed.exists());

        fs::remove_file(&key).expect("removed");
        settled(folder.path(), &key).expect_err("refused");
        assert!(!key.exists());
        fs::write(&key, made).expect("brought back");
        settled(folder.path(), &key).expect("the same key");
    }

    #[test]
    fn another_key_is_refused_and_the_same_one_may_move() {
        let (folder, key) = world(WRAPPING_KEY);
        let (moved, other) = (folder.path().join("moved"), folder.path().join("other"));
        fs::rename(&key, &moved).expect("moved");
        settled(folder.path(), &moved).expect("the same key");
        fs::write(&other, [7; 32]).expect("written");
        let said = settled(folder.path(), &other).expect_err("refused");
        assert!(said.contains("is not the one"), "{said}");
    }

    #[test]
    fn a_folder_of_an_older_version_is_told_its_key_at_the_next_start() {
        let (folder, key) = world(WRAPPING_KEY);
        let mark = folder.path().join(WRAPPING_MARK);
        fs::remove_file(&mark).expect("removed");
        assert!(is_in(folder.path()).expect("read"), "it is believed");
        settled(folder.path(), &key).expect("taken");
        assert!(mark.is_file());
    }

    #[test]
    fn the_key_is_in_the_folder_where_the_data_is_sealed_under_it() {
        let (folder, _) = world(WRAPPING_KEY);
        assert!(is_in(folder.path()).expect("read"));
        let (folder, _) = world("elsewhere.key");
        assert!(!is_in(folder.path()).expect("read"), "there is none");
        fs::write(folder.path().join(WRAPPING_KEY), [7; 32]).expect("written");
        assert!(!is_in(folder.path()).expect("read"), "it is another one");
    }
}
