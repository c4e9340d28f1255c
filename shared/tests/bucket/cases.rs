//! What every adapter does.

use std::io;
use std::pin::pin;

use bytes::Bytes;
use futures::stream;
use shared::bucket::{Area, Length, ObjectName, PutError};

use super::adapters::{Adapter, bytes, name};

macro_rules! cases {
    ($($case:ident,)+) => {
        mod folder {$(
            #[tokio::test]
            async fn $case() {
                super::$case(super::Adapter::folder().await).await;
            }
        )+}

        mod s3 {$(
            #[tokio::test]
            #[ignore = "not run: needs S3's protocol at WAXWING_S3_ENDPOINT; see .ci/run"]
            async fn $case() {
                super::$case(super::Adapter::s3().await).await;
            }
        )+}
    };
}

cases! {
    an_object_of_any_length_comes_back_as_it_was,
    what_is_not_there_is_no_error,
    a_new_object_takes_the_place_of_the_old_one,
    of_what_could_not_be_put_nothing_is_there,
    what_was_there_stays_where_another_could_not_be_put,
    an_instances_object_is_no_other_instances,
    a_copy_is_the_same_under_another_name,
    all_objects_of_an_instance_that_goes_are_deleted,
}

/// Shorter than a sealed chunk, longer, and longer than two parts of either store.
async fn an_object_of_any_length_comes_back_as_it_was(adapter: Adapter) {
    for area in Area::ALL {
        for length in [0, 1, 65_536, 65_537, 600_000, 11 * 1024 * 1024] {
            let (name, bytes) = (name(area), bytes(length));
            adapter.put(&name, &bytes).await;
            let size = adapter.bucket.size(&name).await.expect("read");
            assert_eq!(size, Some(length as u64), "{name}");
            assert!(
                adapter.get(&name).await == Some(bytes),
                "{length} bytes of {name}"
            );
        }
    }
}

async fn what_is_not_there_is_no_error(adapter: Adapter) {
    let name = name(Area::Incoming);
    assert_eq!(adapter.get(&name).await, None);
    assert_eq!(adapter.bucket.size(&name).await.expect("read"), None);
    adapter.bucket.delete(&name).await.expect("nothing to do");
    adapter.put(&name, b"something").await;
    adapter.bucket.delete(&name).await.expect("deleted");
    assert_eq!(adapter.get(&name).await, None);
}

async fn a_new_object_takes_the_place_of_the_old_one(adapter: Adapter) {
    let name = name(Area::Outgoing);
    adapter.put(&name, &bytes(700_000)).await;
    adapter.put(&name, b"short").await;
    assert_eq!(adapter.get(&name).await.as_deref(), Some(&b"short"[..]));
}

/// Pieces of 100,000 bytes, of which the last cannot be read.
fn breaking(pieces: usize) -> impl futures::Stream<Item = io::Result<Bytes>> {
    let whole = std::iter::repeat_with(|| Ok(Bytes::from(bytes(100_000)))).take(pieces);
    stream::iter(whole.chain([Err(io::Error::other("the sender hung up"))]))
}

async fn of_what_could_not_be_put_nothing_is_there(adapter: Adapter) {
    for area in [Area::Upload, Area::Outgoing] {
        for pieces in [1, 7, 60] {
            let name = name(area);
            let length = Length::AtMost(u64::MAX);
            let put = adapter.bucket.put(&name, breaking(pieces), length).await;
            assert!(matches!(put, Err(PutError::Source(_))), "{put:?}");
            assert_eq!(adapter.get(&name).await, None, "{pieces} pieces of {name}");
        }
        let whole = |length| {
            let pieces: Vec<io::Result<_>> = vec![Ok(Bytes::from(bytes(length)))];
            stream::iter(pieces)
        };
        let name = name(area);
        let put = adapter
            .bucket
            .put(&name, whole(600_001), Length::AtMost(600_000))
            .await;
        assert!(matches!(put, Err(PutError::TooLong(600_000))), "{put:?}");
        let put = adapter
            .bucket
            .put(&name, whole(600_001), Length::Exactly(600_000))
            .await;
        assert!(matches!(put, Err(PutError::TooLong(600_000))), "{put:?}");
        let put = adapter
            .bucket
            .put(&name, whole(599_999), Length::Exactly(600_000))
            .await;
        assert!(matches!(put, Err(PutError::TooShort(599_999))), "{put:?}");
        assert_eq!(adapter.get(&name).await, None);
        let put = adapter
            .bucket
            .put(&name, whole(600_000), Length::AtMost(600_000))
            .await;
        assert_eq!(put.expect("as long as it may be"), 600_000);
    }
}

async fn what_was_there_stays_where_another_could_not_be_put(adapter: Adapter) {
    let name = name(Area::Upload);
    adapter.put(&name, b"the first").await;
    let put = adapter
        .bucket
        .put(&name, breaking(7), Length::AtMost(u64::MAX))
        .await;
    assert!(put.is_err());
    assert_eq!(adapter.get(&name).await.as_deref(), Some(&b"the first"[..]));
    // Nobody waits for this one any more.
    let mut pieces = 0;
    let endless = stream::poll_fn(|_| {
        pieces += 1;
        match pieces {
            ..8 => std::task::Poll::Ready(Some(io::Result::Ok(Bytes::from(bytes(100_000))))),
            _ => std::task::Poll::Pending,
        }
    });
    {
        let put = pin!(adapter.bucket.put(&name, endless, Length::AtMost(u64::MAX)));
        let put = tokio::time::timeout(std::time::Duration::from_millis(200), put).await;
        assert!(put.is_err(), "it waits for more");
    }
    assert_eq!(adapter.get(&name).await.as_deref(), Some(&b"the first"[..]));
}

async fn an_instances_object_is_no_other_instances(adapter: Adapter) {
    let (own, other) = (name(Area::Event), name(Area::Event));
    adapter.put(&own, b"mine").await;
    let same_id = ObjectName::new(Area::Event, other.instance(), own.id());
    assert_eq!(adapter.get(&same_id).await, None);
}

async fn a_copy_is_the_same_under_another_name(adapter: Adapter) {
    for area in [Area::Taken, Area::TakenLater, Area::Later] {
        for length in [0, 600_000] {
            let from = name(Area::Upload);
            let to = ObjectName::new(area, from.instance(), "msg_1");
            assert!(
                !adapter.bucket.copy(&from, &to).await.expect("asked"),
                "nothing is there"
            );
            adapter.put(&from, &bytes(length)).await;
            adapter.put(&to, b"what was there before").await;
            assert!(adapter.bucket.copy(&from, &to).await.expect("copied"));
            adapter.bucket.delete(&from).await.expect("deleted");
            assert!(
                adapter.get(&to).await == Some(bytes(length)),
                "{length} bytes to {to}"
            );
        }
    }
}

async fn all_objects_of_an_instance_that_goes_are_deleted(adapter: Adapter) {
    let (goes, stays) = (name(Area::Event), name(Area::Event));
    let mut gone = Vec::new();
    for area in Area::ALL {
        for id in ["one", "two"] {
            let name = ObjectName::new(area, goes.instance(), id);
            adapter.put(&name, b"x").await;
            gone.push(name);
        }
        adapter
            .put(&ObjectName::new(area, stays.instance(), "one"), b"x")
            .await;
    }
    for _ in 0..2 {
        adapter.bucket.forget(goes.instance()).await.expect("deleted");
        for name in &gone {
            assert_eq!(adapter.get(name).await, None, "{name}");
        }
    }
    for area in Area::ALL {
        let name = ObjectName::new(area, stays.instance(), "one");
        assert!(adapter.get(&name).await.is_some(), "{name} is another instance's");
    }
}
