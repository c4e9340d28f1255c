//! Puts what is written on disk, for many writes at once.
//!
//! The engine commits each write into its write-ahead log and leaves it to the operating system. A process that is killed
//! loses nothing by that. A power cut would, so no write is answered before a thread of its own has put the log on disk.
//! A sync takes as long for a hundred writes as for one. While one runs, the next writes gather.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// How far the disk has come, counted in writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// This write and all before it are on disk.
    Write(u64),
    /// A sync failed. What the log holds is not known since, so nothing is promised any more.
    Nothing,
}

/// The disk did not take what was written. It may be there, and may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk did not take what was written")]
pub struct Lost;

/// What the thread is to do.
#[derive(Debug, Default)]
struct Wanted {
    /// The last write that is to be on disk.
    write: u64,
    /// Whether nobody writes any more.
    ended: bool,
}

/// The thread that syncs, and how far it has come. It ends with this, after what was written.
#[derive(Debug)]
pub struct Disk {
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
    reached: watch::Receiver<Reached>,
    broken: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    /// The disk under the write-ahead log of this database, which must be open.
    pub fn under(database: &Path) -> anyhow::Result<Self> {
        let log = log_of(database);
        let file = File::options()
            .read(true)
            .write(true)
            .open(&log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        // The log's own name must outlive a power cut, too.
        if let Some(folder) = log.parent() {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.with_context(|| format!("cannot sync {}", folder.display()))?;
        }
        Self::over(move || file.sync_data())
    }

    /// A disk that is synced by this.
    pub(super) fn over(sync: impl FnMut() -> io::Result<()> + Send + 'static) -> anyhow::Result<Self> {
        let wanted = Arc::<(Mutex<Wanted>, Condvar)>::default();
        let (tell, reached) = watch::channel(Reached::Write(0));
        let broken = CancellationToken::new();
        let thread = std::thread::Builder::new()
            .name("table-disk".to_owned())
            .spawn({
                let (wanted, broken) = (Arc::clone(&wanted), broken.clone());
                move || {
                    // A panic breaks it, too.
                    let guard = broken.clone().drop_guard();
                    run(&wanted, &tell, &broken, sync);
                    if !broken.is_cancelled() {
                        drop(guard.disarm());
                    }
                }
            })
            .context("no thread for the disk")?;
        Ok(Self {
            wanted,
            reached,
            broken,
            thread: Some(thread),
        })
    }

    /// Cancelled once a sync has failed.
    pub fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    /// Whether this write is on disk.
    pub fn has(&self, write: u64) -> bool {
        matches!(*self.reached.borrow(), Reached::Write(reached) if reached >= write)
    }

    /// Has the thread put this write on disk, and all before it.
    pub fn want(&self, write: u64) {
        let (wanted, changed) = &*self.wanted;
        wanted.lock().unwrap_or_else(PoisonError::into_inner).write = write;
        changed.notify_one();
    }

    /// Waits until this write is on disk.
    pub async fn until(&self, write: u64) -> Result<(), Lost> {
        let mut reached = self.reached.clone();
        let is_there = |reached: &Reached| match reached {
            Reached::Write(reached) => *reached >= write,
            Reached::Nothing => true,
        };
        match reached.wait_for(is_there).await.as_deref() {
            Ok(Reached::Write(_)) => Ok(()),
            Ok(Reached::Nothing) | Err(_) => Err(Lost),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let (wanted, changed) = &*self.wanted;
        wanted.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread of the table's disk panicked");
        }
    }
}

/// Puts the write-ahead log of this database on disk as it reads now, if there is one. For whoever is about to open it.
///
/// After a failed sync the operating system may hold pages for written that are not. A new process reads them from memory
/// and appends to them, and a power cut then takes what lies before its own writes. So the log is written over itself,
/// which makes all of its pages due again. The database's own pages need no such care: `SQLite` keeps the log until they are
/// synced, and writes them again from it after a start.
pub fn settle(database: &Path) -> anyhow::Result<()> {
    let log = log_of(database);
    let written = match File::options().read(true).write(true).open(&log) {
        Ok(file) => write_anew(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    written.with_context(|| format!("cannot write {} anew", log.display()))
}

fn write_anew(file: &File) -> io::Result<()> {
    let mut part = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut part, at)?;
        if read == 0 {
            return file.sync_all();
        }
        file.write_all_at(&part[..read], at)?;
        at += u64::try_from(read).map_err(io::Error::other)?;
    }
}

/// The write-ahead log that `SQLite` keeps beside a database.
fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn run(
    (wanted, changed): &(Mutex<Wanted>, Condvar),
    reached: &watch::Sender<Reached>,
    broken: &CancellationToken,
    mut sync: impl FnMut() -> io::Result<()>,
) {
    let mut done = 0;
    loop {
        let next = {
            let now = wanted.lock().unwrap_or_else(PoisonError::into_inner);
            let now = changed
                .wait_while(now, |now| now.write <= done && !now.ended)
                .unwrap_or_else(PoisonError::into_inner);
            now.write
        };
        if next <= done {
            return;
        }
        if let Err(failure) = sync() {
            // After a failed sync the operating system may hold for written what is not. So there is no second one: the
            // process ends, and the next one begins with [`settle`].
            error!(error = %failure, "the disk does not take the table's changes: this process ends; start it again once the disk does");
            broken.cancel();
            reached.send_replace(Reached::Nothing);
            return;
        }
        done = next;
        reached.send_replace(Reached::Write(done));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_write_waits_for_its_sync_and_many_share_one() {
        let (let_go, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel::<()>();
        let disk = Disk::over(move || {
            begun.send(()).expect("the test listens");
            held.recv().map_err(io::Error::other)
        });
        let disk = disk.expect("a thread");
        disk.want(1);
        begins.recv().expect("the first sync");
        // These come while the first sync runs: they are not in it.
        for write in 2..=9 {
            disk.want(write);
        }
        assert!(!disk.has(1));
        let_go.send(()).expect("it waits");
        assert_eq!(disk.until(1).await, Ok(()));
        begins.recv().expect("the second sync");
        assert!(!disk.has(2));
        let waits = disk.until(2).now_or_never().is_none();
        assert!(waits, "answered before its sync");
        let_go.send(()).expect("it waits");
        assert_eq!(disk.until(9).await, Ok(()));
        assert!(begins.try_recv().is_err(), "a third sync for nothing");
        drop(disk);
    }

    #[tokio::test]
    async fn after_a_failed_sync_nothing_is_promised() {
        let syncs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&syncs);
        let disk = Disk::over(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Err(io::Error::other("full"))
        });
        let disk = disk.expect("a thread");
        disk.want(1);
        assert_eq!(disk.until(1).await, Err(Lost));
        assert!(disk.broken().is_cancelled());
        disk.want(2);
        assert_eq!(disk.until(2).await, Err(Lost));
        assert!(!disk.has(1));
        assert_eq!(syncs.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_is_wanted_is_synced_before_the_end() {
        let syncs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&syncs);
        let disk = Disk::over(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let disk = disk.expect("a thread");
        let broken = disk.broken().clone();
        disk.want(1);
        drop(disk);
        assert_eq!(syncs.load(Ordering::SeqCst), 1);
        assert!(!broken.is_cancelled(), "an end in order");
    }

    #[tokio::test]
    async fn a_thread_that_panics_breaks_the_disk() {
        let disk = Disk::over(|| panic!("as the test wants it")).expect("a thread");
        disk.want(1);
        assert_eq!(disk.until(1).await, Err(Lost));
        disk.broken().cancelled().await;
    }

    #[test]
    fn a_log_is_written_anew_as_it_was() {
        let folder = tempfile::tempdir().expect("made");
        let database = folder.path().join("table.db");
        settle(&database).expect("there is nothing to write");
        let log = log_of(&database);
        let content: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        std::fs::write(&log, &content).expect("written");
        let file = File::options().write(true).open(&log).expect("opened");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        file.set_modified(long_ago).expect("set");
        settle(&database).expect("written anew");
        assert!(std::fs::read(&log).expect("read") == content);
        let modified = file.metadata().and_then(|data| data.modified());
        assert!(modified.expect("told") > long_ago, "its pages are due again");
    }
}
