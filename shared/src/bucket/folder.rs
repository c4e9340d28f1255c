//! A bucket in a folder: for the local stack and for tests.
//!
//! | in the folder | what |
//! | --- | --- |
//! | `objects/` | the objects, at their names |
//! | `signing.key` | what signs links to them |
//!
//! An object is written under its name with `#` and a number behind it, and gets its own in one step. What a process
//! that ended left behind is swept with what is past its term.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use object_store::local::LocalFileSystem;

use super::OpenError;
use super::link::{Link, LinkFault};
use super::name::{Area, ObjectName};
use crate::seal::{DataKey, key_in};

/// How long a half-written object may lie still before it is swept: longer than any pause in a transfer.
pub(super) const DRAFT_TERM: Duration = Duration::from_hours(1);

/// A folder and what signs links to it.
#[derive(Debug)]
pub(super) struct Folder {
    objects: PathBuf,
    base: String,
    key: DataKey,
}

impl Folder {
    /// Opens a folder, which is made where there is none. Links lead to `base`.
    pub(super) fn open(path: &Path, base: String) -> Result<(Self, LocalFileSystem), OpenError> {
        let objects = path.join("objects");
        fs::create_dir_all(&objects).map_err(OpenError::Folder)?;
        let key = key_in(&path.join("signing.key")).map_err(OpenError::Folder)?;
        let store = LocalFileSystem::new_with_prefix(&objects)
            .map_err(|error| OpenError::Client(error.into()))?
            .with_fsync(true);
        Ok((Self { objects, base, key }, store))
    }

    pub(super) fn url(&self, link: &Link) -> String {
        link.url(&self.base, &self.key)
    }

    pub(super) fn check(
        &self,
        link: &Link,
        signature: &str,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), LinkFault> {
        link.check(&self.key, signature, now)
    }

    /// Begins an object's term at `now`.
    pub(super) fn begin_term(&self, name: &ObjectName, now: SystemTime) -> io::Result<()> {
        let file = fs::File::options()
            .write(true)
            .open(self.objects.join(name.to_string()))?;
        file.set_modified(now)
    }

    /// Removes what is past its term at `now`, by when it was written last, and half-written objects that lie still for
    /// longer than `drafts`. Answers how many objects it were.
    pub(super) fn sweep(&self, now: SystemTime, drafts: Duration) -> io::Result<usize> {
        let mut swept = 0;
        for area in Area::ALL {
            let term = area.term().to_std().unwrap_or(Duration::MAX);
            for instance in entries(&self.objects.join(area.prefix()))? {
                for object in entries(&instance)? {
                    let term = if is_draft(&object) { drafts } else { term };
                    swept += usize::from(remove_if_over(&object, term, now)?);
                }
            }
        }
        Ok(swept)
    }
}

/// What is in a directory; nothing where there is none.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    listed.map(|entry| Ok(entry?.path())).collect()
}

/// Whether a file is an object that is not written to its end.
fn is_draft(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().contains('#'))
}

fn remove_if_over(file: &Path, term: Duration, now: SystemTime) -> io::Result<bool> {
    let outcome = fs::metadata(file).and_then(|found| {
        let age = now.duration_since(found.modified()?).unwrap_or_default();
        if age < term {
            return Ok(false);
        }
        fs::remove_file(file).map(|()| true)
    });
    // Someone may have taken it meanwhile.
    outcome.or_else(|error| if is_gone(&error) { Ok(false) } else { Err(error) })
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
