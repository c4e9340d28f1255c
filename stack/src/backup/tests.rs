//! Which copies are made, and which are restored where.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::json;
use shared::domain::network::Network;
use tempfile::TempDir;

use super::*;
use crate::database::Embedded;

/// A folder with the state of a stack that has ended, a copy of it, and room for what is restored.
struct World {
    _folder: TempDir,
    state: PathBuf,
    copy: PathBuf,
    restored: PathBuf,
}

async fn world() -> World {
    let folder = tempfile::tempdir().expect("made");
    let state = folder.path().join("state");
    let place = Place::open_for(state.clone(), Network::Live).expect("opened");
    wrapping::settle(&state, &place.wrapping()).expect("made");
    let database = Embedded::start(Some(&state.join(TABLE_FILE)), false)
        .await
        .expect("opened");
    let queue = EmbeddedQueue::open(Some(&state.join(QUEUES_FILE)), Arc::new(SystemClock)).expect("opened");
    place.jwt_secret().expect("made");
    let copy = folder.path().join("copy");
    let keys = back_up(&state, &copy).expect("copied while both are open");
    assert!(keys.has_wrapping_key && keys.has_jwt_secret);
    queue.close().await;
    database.shutdown().await;
    World {
        state,
        copy,
        restored: folder.path().join("restored"),
        _folder: folder,
    }
}

impl World {
    /// What a restore says.
    async fn refusal(&self) -> String {
        let refusal = Box::pin(restore(&self.copy, &self.restored)).await;
        format!("{:#}", refusal.expect_err("refused"))
    }
}

/// Does this to a store of a copy.
fn change(file: &Path, sql: &str) {
    let db = rusqlite::Connection::open(file).expect("opened");
    db.execute_batch(sql).expect("changed");
    db.close().expect("closed");
}

#[tokio::test]
async fn a_copy_is_restored_once_and_into_an_empty_folder() {
    let world = world().await;
    let keys = Box::pin(restore(&world.copy, &world.restored))
        .await
        .expect("restored");
    assert!(keys.has_wrapping_key && keys.has_jwt_secret);
    for name in [
        TABLE_FILE,
        QUEUES_FILE,
        NETWORK,
        WRAPPING_KEY,
        WRAPPING_MARK,
        JWT_SECRET,
    ] {
        assert!(world.restored.join(name).is_file(), "{name}");
    }
    assert!(!world.restored.join(RESTORING).exists());
    let said = world.refusal().await;
    assert!(said.contains("is not empty"), "{said}");
    let held = Place::open(world.restored.clone()).expect("nobody works on it");
    let said = world.refusal().await;
    assert!(said.contains("another Waxwing works on"), "{said}");
    drop(held);
}

#[tokio::test]
async fn newer_stores_are_refused_and_the_folder_is_left_with_its_lock_alone() {
    let world = world().await;
    change(&world.copy.join(QUEUES_FILE), "PRAGMA user_version = 99;");
    let said = world.refusal().await;
    assert!(
        said.contains("the queues of the backup") && said.contains("version 99"),
        "{said}"
    );
    assert_eq!(names(&world.restored).expect("listed"), [LOCK]);

    change(
        &world.copy.join(TABLE_FILE),
        "UPDATE _config SET value = '9999' WHERE key = 'schema_version';",
    );
    let said = world.refusal().await;
    assert!(
        said.contains("the table of the backup") && said.contains("9999"),
        "{said}"
    );
    assert_eq!(names(&world.restored).expect("listed"), [LOCK]);

    let newer = json!({"format": FORMAT + 1, "version": "99.0.0", "madeAt": "2030-01-01T00:00:00Z"});
    fs::write(world.copy.join(MANIFEST), newer.to_string()).expect("written");
    let said = world.refusal().await;
    assert!(said.contains("which a newer Waxwing (99.0.0) has made"), "{said}");
}

#[tokio::test]
async fn what_is_not_whole_is_neither_restored_nor_started_on() {
    let world = world().await;
    fs::remove_file(world.copy.join(MANIFEST)).expect("removed");
    let said = world.refusal().await;
    assert!(said.contains("is no whole backup"), "{said}");

    fs::create_dir(&world.restored).expect("made");
    fs::write(world.restored.join(RESTORING), "").expect("written");
    let refusal = Place::open(world.restored.clone()).err().expect("refused");
    assert!(refusal.to_string().contains("is not whole"), "{refusal}");
}

#[tokio::test]
async fn a_backup_wants_a_state_and_a_folder_of_its_own() {
    let world = world().await;
    let nowhere = world.copy.join("nowhere");
    let refusal = back_up(&nowhere, &world.restored).expect_err("refused");
    assert!(
        refusal.to_string().contains("there is nothing to copy"),
        "{refusal}"
    );
    let refusal = back_up(&world.copy, &world.copy).expect_err("refused");
    assert!(refusal.to_string().contains("is not empty"), "{refusal}");
}

#[tokio::test]
async fn a_copy_that_fails_leaves_its_folder_as_empty_as_it_was() {
    let world = world().await;
    let (queues, next) = (world.state.join(QUEUES_FILE), world.copy.with_extension("next"));
    let kept = fs::read(&queues).expect("read");
    fs::write(&queues, vec![b'x'; 8_192]).expect("written");
    let refusal = back_up(&world.state, &next).expect_err("no database");
    assert!(format!("{refusal:#}").contains("queues.db"), "{refusal:#}");
    assert!(names(&next).expect("listed").is_empty());
    fs::write(&queues, kept).expect("written");
    back_up(&world.state, &next).expect("the folder can be used again");
    assert!(next.join(MANIFEST).is_file() && !next.join(UNFINISHED).exists());
}

#[tokio::test]
async fn what_is_left_of_a_copy_that_was_killed_is_neither_whole_nor_gone_on_with() {
    let world = world().await;
    let half = world.copy.with_extension("half");
    private_directory(&half).expect("made");
    claim(&half).expect("nobody has it");
    fs::write(half.join(TABLE_FILE), "half").expect("written");
    let refusal = back_up(&world.state, &half).expect_err("refused");
    assert!(refusal.to_string().contains("that was killed"), "{refusal}");
    assert!(half.join(TABLE_FILE).is_file(), "it may be another's");
    let refusal = Box::pin(restore(&half, &world.restored)).await;
    let said = refusal.expect_err("refused").to_string();
    assert!(said.contains("is no whole backup"), "{said}");
}

#[tokio::test]
async fn a_copy_is_not_made_in_what_is_copied() {
    let world = world().await;
    let within = world.state.join(BUCKET).join("objects/copy");
    let refusal = back_up(&world.state, &within).expect_err("refused");
    assert!(refusal.to_string().contains("which is copied"), "{refusal}");
    assert!(!within.exists());
    fs::create_dir_all(world.state.join(BUCKET)).expect("made");
    let around = world.copy.join("../state").join(BUCKET).join("copy");
    let link = world.copy.with_extension("link");
    symlink(world.state.join(BUCKET), &link).expect("linked");
    for within in [around, link.join("copy")] {
        let refusal = back_up(&world.state, &within).expect_err("refused");
        assert!(refusal.to_string().contains("which is copied"), "{refusal}");
        assert!(!within.exists());
    }
}

#[tokio::test]
async fn a_copy_tells_which_keys_it_has_and_has_no_key_that_nothing_is_sealed_under() {
    let world = world().await;
    let copy = world.copy.with_extension("without");
    fs::write(world.state.join(WRAPPING_KEY), [7; 32]).expect("another one");
    fs::remove_file(world.state.join(JWT_SECRET)).expect("removed");
    let none = Keys {
        has_wrapping_key: false,
        has_jwt_secret: false,
    };
    assert_eq!(back_up(&world.state, &copy).expect("copied"), none);
    assert!(!copy.join(WRAPPING_KEY).exists());
    let restored = Box::pin(restore(&copy, &world.restored)).await;
    assert_eq!(restored.expect("restored"), none);
    assert!(
        world.restored.join(WRAPPING_MARK).is_file(),
        "it is known which key is missing"
    );
}

#[tokio::test]
async fn stores_are_their_owners_alone_in_a_copy_and_after_a_restore() {
    let world = world().await;
    let mode = |file: PathBuf| fs::metadata(file).expect("there").permissions().mode() & 0o777;
    for name in [TABLE_FILE, QUEUES_FILE] {
        let copy = world.copy.join(name);
        assert_eq!(mode(copy.clone()), 0o600, "{name}");
        fs::set_permissions(copy, fs::Permissions::from_mode(0o644)).expect("set");
    }
    let restored = Box::pin(restore(&world.copy, &world.restored)).await;
    restored.expect("restored");
    for name in [TABLE_FILE, QUEUES_FILE] {
        assert_eq!(mode(world.restored.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_key_that_was_in_a_copy_is_missed() {
    let world = world().await;
    fs::write(world.copy.join(WRAPPING_KEY), [7; 32]).expect("another one");
    let said = world.refusal().await;
    assert!(
        said.contains("wrapping.key of the backup is missing or damaged"),
        "{said}"
    );
}

#[tokio::test]
async fn a_folder_with_a_lock_alone_is_empty_unless_somebody_works_on_it() {
    let world = world().await;
    let held = Place::open(world.restored.clone()).expect("opened");
    let said = world.refusal().await;
    assert!(said.contains("another Waxwing works on"), "{said}");
    drop(held);

    // One that fails leaves room for the next.
    let (queues, away) = (world.copy.join(QUEUES_FILE), world.copy.join("away"));
    fs::rename(&queues, &away).expect("moved");
    let said = world.refusal().await;
    assert!(said.contains("queues.db is missing in the backup"), "{said}");
    assert_eq!(names(&world.restored).expect("listed"), [LOCK]);
    fs::rename(&away, &queues).expect("moved");
    let restored = Box::pin(restore(&world.copy, &world.restored)).await;
    restored.expect("restored");
    drop(Place::open(world.restored.clone()).expect("it is whole"));
}

#[tokio::test]
async fn a_folder_with_what_is_not_ours_is_left_as_it_is() {
    let world = world().await;
    fs::create_dir(&world.restored).expect("made");
    fs::write(world.restored.join("letter"), "dear").expect("written");
    let said = world.refusal().await;
    assert!(said.contains("is not empty"), "{said}");
    assert_eq!(names(&world.restored).expect("listed"), ["letter"]);
}

#[test]
fn what_is_left_of_a_restore_is_marked_until_nothing_is() {
    let folder = tempfile::tempdir().expect("made");
    let directory = folder.path().join("restored");
    let place = Place::open(directory.clone()).expect("opened");
    fs::write(directory.join(TABLE_FILE), "half").expect("written");
    fs::write(directory.join(RESTORING), "").expect("written");
    fs::create_dir_all(directory.join(BUCKET).join("objects")).expect("made");
    remove_all_but(&directory, &[LOCK, RESTORING]).expect("removed");
    let mut left = names(&directory).expect("listed");
    left.sort();
    assert_eq!(left, [LOCK, RESTORING]);
    drop(place);
    let refusal = Place::open(directory.clone()).err().expect("refused");
    assert!(refusal.to_string().contains("is not whole"), "{refusal}");

    fs::write(directory.join(TABLE_FILE), "half").expect("written");
    empty(&directory).expect("emptied");
    assert_eq!(names(&directory).expect("listed"), [LOCK]);
    drop(Place::open(directory).expect("nothing is half"));
}
