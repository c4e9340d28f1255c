//! What the embedded queue promises beyond the contract: time that the test steers, restarts, and agreement with
//! a plain model under any interleaving.

mod limits;
mod model;
mod time;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use shared::clock::{Clock, SteppedClock};
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{Queue, QueueAttributes, QueueName};

fn stepped_clock() -> SteppedClock {
    SteppedClock::at(DateTime::from_timestamp(1_800_000_000, 0).expect("a time that can be shown"))
}

fn open(folder: &Path, clock: &SteppedClock) -> EmbeddedQueue {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    EmbeddedQueue::open(Some(&folder.join("queue.db")), clock).expect("the file opens")
}

fn open_looking_at(folder: &Path, clock: &SteppedClock, looked_at: u32) -> EmbeddedQueue {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let file = folder.join("queue.db");
    EmbeddedQueue::open_looking_at(Some(&file), clock, looked_at).expect("the file opens")
}

/// What a killed process leaves behind: the files as they are at this moment, opened in another folder.
fn reopen_after_kill(folder: &tempfile::TempDir, clock: &SteppedClock) -> (tempfile::TempDir, EmbeddedQueue) {
    let copy = copy_of(folder);
    let queue = open(copy.path(), clock);
    (copy, queue)
}

fn copy_of(folder: &tempfile::TempDir) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder for temporary files");
    for entry in std::fs::read_dir(folder.path()).expect("the folder is there") {
        let entry = entry.expect("its entries can be read");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("they can be copied");
    }
    copy
}

/// Makes a queue that keeps messages for an hour.
async fn create(queue: &EmbeddedQueue, name: &str) -> QueueName {
    create_with(queue, name, Duration::from_hours(1), None).await
}

async fn create_with(
    queue: &EmbeddedQueue,
    name: &str,
    retention: Duration,
    dead_letter: Option<(QueueName, u32)>,
) -> QueueName {
    let name = QueueName::new(name).expect("a queue name");
    let attributes = QueueAttributes {
        visibility: Duration::from_secs(30),
        retention,
        dead_letter,
    };
    queue
        .ensure(&name, attributes)
        .await
        .expect("the queue can be created");
    name
}
