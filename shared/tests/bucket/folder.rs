//! What a folder does beside: it seals all there is, and sweeps what S3's rules would remove.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use shared::bucket::{Allowed, Area, BucketError, Link, LinkFault, ObjectName};
use shared::seal::SealError;

use super::adapters::{Adapter, bytes, name};

fn path(adapter: &Adapter, name: &ObjectName) -> PathBuf {
    let folder = adapter.world.keys.directory().join("bucket/objects");
    folder.join(name.to_string())
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn nothing_rests_in_the_clear() {
    let adapter = Adapter::folder().await;
    let marked = b"MARKER-OF-A-PLAIN-TEXT ".repeat(20_000);
    for area in Area::ALL {
        let name = name(area);
        adapter.put(&name, &marked).await;
        let stored = fs::read(path(&adapter, &name)).expect("a file");
        assert!(stored.len() > marked.len());
        let clear = stored
            .windows(22)
            .any(|window| window == b"MARKER-OF-A-PLAIN-TEXT");
        assert!(!clear, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_was_moved_or_changed_does_not_open() {
    let adapter = Adapter::folder().await;
    let (first, second) = (name(Area::Incoming), name(Area::Incoming));
    let second = ObjectName::new(Area::Incoming, first.instance(), second.id());
    adapter.put(&first, &bytes(300_000)).await;
    fs::copy(path(&adapter, &first), path(&adapter, &second)).expect("copied");
    let fails = async |name: &ObjectName| {
        use futures::TryStreamExt as _;
        let object = adapter.bucket.get(name).await?.expect("there");
        object
            .content
            .try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) })
            .await
    };
    let moved = fails(&second).await;
    assert!(
        matches!(moved, Err(BucketError::Seal(SealError::DoesNotOpen))),
        "{moved:?}"
    );
    let whole = fs::read(path(&adapter, &first)).expect("a file");
    fs::write(path(&adapter, &first), &whole[..whole.len() - 1]).expect("written");
    assert!(fails(&first).await.is_err(), "cut short");
    fs::write(path(&adapter, &first), b"x").expect("written");
    let cut = fails(&first).await;
    assert!(matches!(cut, Err(BucketError::CutShort)), "{cut:?}");
}

#[tokio::test]
async fn each_area_is_swept_after_its_term_and_a_half_written_object_after_an_hour() {
    let adapter = Adapter::folder().await;
    let names = Area::ALL.map(name);
    for name in &names {
        adapter.put(name, b"x").await;
    }
    // What a process leaves behind that is killed while it puts.
    let half = path(&adapter, &names[0]).with_file_name("med_half#1");
    fs::write(&half, b"half").expect("written");
    let objects = adapter.world.keys.directory().join("bucket/objects");
    let mut left = Vec::new();
    for hours in [0, 2, 25, 24 * 7 + 1, 24 * 14 + 1, 24 * 34 + 1] {
        adapter
            .clock
            .advance(TimeDelta::hours(hours) - TimeDelta::hours(left.last().map_or(0, |(at, _)| *at)));
        adapter.bucket.sweep().await.expect("swept");
        left.push((hours, files(&objects).len()));
    }
    assert_eq!(left, [(0, 8), (2, 7), (25, 4), (169, 3), (337, 2), (817, 0)]);
}

#[tokio::test]
async fn a_link_allows_what_it_says_until_it_ends() {
    let adapter = Adapter::folder().await;
    let name = name(Area::Upload);
    let request = adapter
        .bucket
        .upload(&name, 5, "image/png", TimeDelta::minutes(15))
        .await;
    let request = request.expect("signed");
    assert_eq!(request.method, "PUT");
    let (base, query) = request.url.split_once('?').expect("a query");
    assert_eq!(base, "http://waxwing.example/api/media/content");
    let (_, signature) = query.rsplit_once("signature=").expect("signed");
    let link = Link {
        allowed: Allowed::Put { size: 5 },
        object: name.clone(),
        expires: request.expires_at.timestamp(),
        mime_type: "image/png".to_owned(),
        file_name: None,
    };
    assert_eq!(adapter.bucket.check(&link, signature), Some(Ok(())));
    let got = Link {
        allowed: Allowed::Get,
        ..link.clone()
    };
    assert_eq!(
        adapter.bucket.check(&got, signature),
        Some(Err(LinkFault::Forged))
    );
    adapter.clock.advance(TimeDelta::minutes(15));
    assert_eq!(
        adapter.bucket.check(&link, signature),
        Some(Err(LinkFault::Expired))
    );
}
