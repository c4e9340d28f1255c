//! Session state: reads and writes, what rests, and who may write.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use shared::clock::Clock;
use shared::seal::Purpose;
use shared::session_state::{
    Before, Entry, Fence, Gone, MAX_VALUE_LENGTH, Noted, Recalled, SessionState, TableSessionState,
};
use shared::storage::StorageError;
use shared::storage::keys;

use crate::support::World;

/// The state as the holder of `token` has it, in a process of its own.
fn owner(world: &World, token: u64) -> TableSessionState {
    TableSessionState::new(
        world.table.clone(),
        Arc::new(world.sealer()),
        Arc::new(world.clock.clone()),
        world.instance,
        Fence::new(token),
    )
}

fn entry(key: &str, value: &[u8]) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.to_vec(),
        expires: None,
    }
}

fn names(values: &[(String, Vec<u8>)]) -> Vec<&str> {
    values.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn what_is_put_is_read_until_it_is_deleted() {
    let world = World::new().await;
    let state = owner(&world, 1);
    assert_eq!(state.get("a").await.expect("read"), None);
    state.put("a", b"one", None).await.expect("put");
    state.put("a", b"two", None).await.expect("put again");
    assert_eq!(
        owner(&world, 1).get("a").await.expect("read").as_deref(),
        Some(&b"two"[..])
    );
    state.delete("a").await.expect("deleted");
    state.delete("never there").await.expect("deleted");
    assert_eq!(state.get("a").await.expect("read"), None);
    state
        .put("a", b"three", None)
        .await
        .expect("put after a deletion");
    assert_eq!(
        state.get("a").await.expect("read").as_deref(),
        Some(&b"three"[..])
    );
}

#[tokio::test]
async fn many_are_put_read_scanned_and_deleted() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let entries = (0..250).map(|n| entry(&format!("many#{n:03}"), &[u8::try_from(n).expect("small"); 3]));
    state.put_many(entries.collect()).await.expect("put");
    state.put("other", b"x", None).await.expect("put");

    let wanted: Vec<String> = (0..260)
        .map(|n| format!("many#{n:03}"))
        .chain(["other".to_owned()])
        .collect();
    let mut found = state
        .get_many(&[wanted.clone(), wanted.clone()].concat())
        .await
        .expect("read");
    found.sort();
    assert_eq!(found.len(), 251);
    assert_eq!(found[7], ("many#007".to_owned(), vec![7; 3]));

    let scanned = state.scan("many#").await.expect("scanned");
    assert_eq!(scanned, found[..250]);
    state.delete_many(&wanted[..249]).await.expect("deleted");
    assert_eq!(names(&state.scan("many#").await.expect("scanned")), ["many#249"]);
    assert_eq!(
        names(&state.scan("").await.expect("scanned")),
        ["many#249", "other"]
    );
    state.clear().await.expect("cleared");
    assert!(state.scan("").await.expect("scanned").is_empty());
    assert!(state.get_many(&wanted).await.expect("read").is_empty());
}

#[tokio::test]
async fn an_expired_value_reads_as_absent_before_the_store_removes_it() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let expires = world.clock.now() + TimeDelta::seconds(10);
    state.put("a", b"x", Some(expires)).await.expect("put");
    world.clock.advance(TimeDelta::seconds(9));
    assert!(state.get("a").await.expect("read").is_some());
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(state.get("a").await.expect("read"), None);
    assert!(state.get_many(&["a".to_owned()]).await.expect("read").is_empty());
    assert!(state.scan("").await.expect("scanned").is_empty());
    let raw = world
        .item(&keys::session_entry(world.instance, "a"))
        .await
        .expect("it still rests");
    assert_eq!(raw["exp"], AttributeValue::N(expires.timestamp().to_string()));
    state.put("a", b"y", None).await.expect("put anew");
    assert!(state.get("a").await.expect("read").is_some());
}

#[tokio::test]
async fn a_value_too_long_for_an_item_is_refused_and_the_longest_fits() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let longest = vec![7; MAX_VALUE_LENGTH];
    state.put("long", &longest, None).await.expect("put");
    assert_eq!(state.get("long").await.expect("read"), Some(longest));
    let refused = state.put("long", &vec![7; MAX_VALUE_LENGTH + 1], None).await;
    assert!(matches!(refused, Err(StorageError::TooLarge(_))), "{refused:?}");
}

#[tokio::test]
async fn keys_come_in_pages_without_tombstones_and_what_has_expired() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let soon = world.clock.now() + TimeDelta::seconds(10);
    let many: Vec<String> = (0..1_100).map(|n| format!("many#{n:04}")).collect();
    let entries = many.iter().map(|key| entry(key, b"x")).collect();
    state.put_many(entries).await.expect("put");
    state.put("many#0003", b"x", Some(soon)).await.expect("put");
    state.delete("many#0001").await.expect("deleted");
    state.put("other", b"x", None).await.expect("put");
    let all = async |prefix: &str| {
        let (mut listed, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = state.keys(prefix, after.as_deref()).await.expect("read");
            listed.extend(page.items);
            pages += 1;
            after = page.next;
            if after.is_none() {
                return (listed, pages);
            }
        }
    };
    let (listed, pages) = all("many#").await;
    assert!(pages > 1, "a page is small");
    assert_eq!(listed.len(), 1_099);
    assert!(listed.is_sorted_by(|a, b| a.key < b.key));
    let third = &listed[2];
    assert_eq!((third.key.as_str(), third.expires), ("many#0003", Some(soon)));
    world.clock.advance(TimeDelta::seconds(10));
    assert_eq!(all("many#").await.0.len(), 1_098);

    // What rests there goes, expired or not, in bounded steps.
    state.clear().await.expect("cleared");
    assert!(all("").await.0.is_empty());
    let raw = world
        .item(&keys::session_entry(world.instance, "many#0003"))
        .await
        .expect("its tombstone");
    assert!(!raw.contains_key("v"));
}

#[tokio::test]
async fn a_number_beside_a_value_outlives_it_and_stays_however_often_it_is_put() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let put = async |value: &[u8], note: i64| {
        let entry = entry("a", value);
        state
            .put_recalling(vec![Noted { entry, note }])
            .await
            .expect("put")
    };
    let noted = |note: i64| {
        [Recalled {
            key: "a".to_owned(),
            before: Before::Note(note),
        }]
    };
    let delete = async |note: Option<i64>| {
        let key = "a".to_owned();
        let gone = [Gone { key, note }];
        let deleted = state.delete_remembered(&gone, TimeDelta::days(30)).await;
        deleted.expect("deleted");
    };
    assert_eq!(put(&b"one"[..], 7).await, []);
    assert_eq!(
        put(&b"one"[..], 8).await,
        noted(7),
        "as a call does whose answer was lost"
    );
    let read = state.get_noted("a").await.expect("read");
    assert_eq!(read, Some((b"one".to_vec(), Some(7))));

    delete(None).await;
    assert!(state.is_deleted("a").await.expect("read"));
    assert_eq!(state.get_noted("a").await.expect("read"), None);
    let raw = world
        .item(&keys::session_entry(world.instance, "a"))
        .await
        .expect("its tombstone");
    let forgotten = (world.clock.now() + TimeDelta::days(30)).timestamp();
    assert_eq!(raw["exp"], AttributeValue::N(forgotten.to_string()));
    assert_eq!(put(&b"two"[..], 9).await, noted(7));
    let raw = world
        .item(&keys::session_entry(world.instance, "a"))
        .await
        .expect("stored");
    assert!(!raw.contains_key("exp"), "the value does not expire");

    delete(Some(5)).await;
    assert_eq!(put(&b"three"[..], 9).await, noted(7));
    state.put("a", b"without", None).await.expect("put");
    delete(Some(5)).await;
    assert_eq!(put(&b"four"[..], 9).await, noted(5));
    let late = owner(&world, 0);
    let entry = entry("a", b"late");
    let late = late.put_recalling(vec![Noted { entry, note: 1 }]).await;
    assert!(matches!(late, Err(StorageError::Fenced)), "{late:?}");
}

#[tokio::test]
async fn a_value_without_a_number_is_recalled_itself_if_it_opens() {
    let world = World::new().await;
    let state = owner(&world, 1);
    state.put("a", b"before", None).await.expect("put");
    state.put("b", b"other", None).await.expect("put");
    let key = keys::session_entry(world.instance, "b");
    let another = world
        .item(&keys::session_entry(world.instance, "a"))
        .await
        .expect("stored");
    let mut broken = world.item(&key).await.expect("stored");
    broken.insert("v".to_owned(), another["v"].clone());
    world.put_item(broken).await;
    let noted = |key: &str| Noted {
        entry: entry(key, b"after"),
        note: 1,
    };
    let recalled = state.put_recalling(vec![noted("a"), noted("b")]).await;
    let expected = [Recalled {
        key: "a".to_owned(),
        before: Before::Value(b"before".to_vec()),
    }];
    assert_eq!(recalled.expect("put"), expected);
    assert_eq!(
        state.get("b").await.expect("read").as_deref(),
        Some(&b"after"[..])
    );
}

#[tokio::test]
async fn many_tombstones_before_a_value_take_no_pages_of_their_own() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let gone: Vec<String> = (0..250).map(|n| format!("many#{n:03}")).collect();
    state.delete_many(&gone).await.expect("deleted");
    state.put("many#250", b"x", None).await.expect("put");
    let page = state.page("many#", None).await.expect("read");
    assert_eq!(names(&page.items), ["many#250"]);
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn a_page_of_values_is_read_from_a_bounded_number_of_items() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let gone: Vec<String> = (0..1_100).map(|n| format!("many#{n:04}")).collect();
    state.delete_many(&gone).await.expect("deleted");
    state.put("many#1100", b"x", None).await.expect("put");
    let page = state.page("many#", None).await.expect("read");
    assert!(page.items.is_empty());
    assert!(page.next.is_some(), "an empty page is not the last");
    let values = state.scan("many#").await.expect("read");
    assert_eq!(names(&values), ["many#1100"]);
}

#[tokio::test]
async fn an_old_owner_changes_nothing_and_stops() {
    let world = World::new().await;
    let old = owner(&world, 1);
    for key in ["kept", "deleted", "cleared"] {
        old.put(key, b"old", None).await.expect("put");
    }
    let new = owner(&world, 2);
    new.put("kept", b"new", None).await.expect("put");
    new.delete("deleted").await.expect("deleted");

    // Each by an owner that has not yet heard that it is late.
    for key in ["kept", "deleted"] {
        let late = owner(&world, 1);
        assert!(
            matches!(late.put(key, b"late", None).await, Err(StorageError::Fenced)),
            "put {key}"
        );
        let late = owner(&world, 1);
        assert!(
            matches!(late.delete(key).await, Err(StorageError::Fenced)),
            "delete {key}"
        );
        let late = owner(&world, 1);
        let many = late.put_many(vec![entry(key, b"late")]).await;
        assert!(matches!(many, Err(StorageError::Fenced)), "put many {key}");
    }
    new.clear().await.expect("cleared");
    assert!(matches!(
        owner(&world, 1).put("cleared", b"late", None).await,
        Err(StorageError::Fenced)
    ));
    assert!(new.scan("").await.expect("scanned").is_empty());

    // One refusal ends every later write, of keys too that no new owner has touched.
    assert!(matches!(
        old.put("kept", b"late", None).await,
        Err(StorageError::Fenced)
    ));
    assert!(old.fence().is_revoked());
    assert!(matches!(
        old.put("untouched", b"late", None).await,
        Err(StorageError::Fenced)
    ));
    assert_eq!(new.get("untouched").await.expect("read"), None);
}

#[tokio::test]
async fn a_revoked_fence_writes_nothing() {
    let world = World::new().await;
    let state = owner(&world, 1);
    state.put("a", b"x", None).await.expect("put");
    state.fence().revoke();
    assert!(matches!(
        state.put("a", b"y", None).await,
        Err(StorageError::Fenced)
    ));
    assert!(matches!(state.delete("a").await, Err(StorageError::Fenced)));
    assert!(matches!(state.clear().await, Err(StorageError::Fenced)));
    assert_eq!(state.get("a").await.expect("read").as_deref(), Some(&b"x"[..]));
}

#[tokio::test]
async fn a_write_of_ones_own_that_arrives_late_does_not_replace_its_successor() {
    let world = World::new().await;
    let state = owner(&world, 1);
    let key = keys::session_entry(world.instance, "a");
    state.put("a", b"first", None).await.expect("put");
    let delayed = world.item(&key).await.expect("stored");
    state.put("a", b"second", None).await.expect("put");

    let arrives = world
        .table
        .client()
        .put_item()
        .table_name(world.table.name())
        .set_item(Some(delayed.clone()))
        .condition_expression(
            "attribute_not_exists(#fence) OR #fence < :token OR (#fence = :token AND #seq <= :seq)",
        )
        .expression_attribute_names("#fence", "fence")
        .expression_attribute_names("#seq", "seq")
        .expression_attribute_values(":token", delayed["fence"].clone())
        .expression_attribute_values(":seq", delayed["seq"].clone())
        .send()
        .await;
    assert!(arrives.is_err());
    assert_eq!(
        state.get("a").await.expect("read").as_deref(),
        Some(&b"second"[..])
    );
    assert!(!state.fence().is_revoked());
}

#[tokio::test]
async fn a_token_that_another_process_uses_too_is_noticed() {
    let world = World::new().await;
    let state = owner(&world, 1);
    state.put("a", b"ours", None).await.expect("put");
    let mut item = world
        .item(&keys::session_entry(world.instance, "a"))
        .await
        .expect("stored");
    item.insert("seq".to_owned(), AttributeValue::N(u64::MAX.to_string()));
    world.put_item(item).await;
    assert!(matches!(
        state.put("a", b"again", None).await,
        Err(StorageError::Fenced)
    ));
}

#[tokio::test]
async fn nothing_rests_in_the_clear() {
    let world = World::new().await;
    let secret = b"a secret that must not be found in the table";
    owner(&world, 1).put("a", secret, None).await.expect("put");
    let raw = world
        .item(&keys::session_entry(world.instance, "a"))
        .await
        .expect("stored");
    for (name, attribute) in &raw {
        let bytes = match attribute {
            AttributeValue::B(bytes) => bytes.as_ref().to_vec(),
            AttributeValue::S(text) | AttributeValue::N(text) => text.clone().into_bytes(),
            other => panic!("{name} is {other:?}"),
        };
        assert!(
            !bytes
                .windows(8)
                .any(|part| secret.windows(8).any(|of| of == part)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn sealed_values_cannot_be_exchanged_between_items() {
    let world = World::new().await;
    let state = owner(&world, 1);
    state.put("mine", b"x", None).await.expect("put");
    state.put("yours", b"y", None).await.expect("put");
    let mine = world
        .item(&keys::session_entry(world.instance, "mine"))
        .await
        .expect("stored");
    let mut yours = world
        .item(&keys::session_entry(world.instance, "yours"))
        .await
        .expect("stored");
    yours.insert("v".to_owned(), mine["v"].clone());
    world.put_item(yours).await;
    let read = state.get("yours").await;
    assert!(
        matches!(read, Err(StorageError::Corrupt { field: "v", .. })),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_process_without_the_purpose_reads_no_session() {
    let world = World::new().await;
    owner(&world, 1).put("a", b"x", None).await.expect("put");
    let function = TableSessionState::new(
        world.table.clone(),
        Arc::new(world.sealer().restricted_to(&[Purpose::Content])),
        Arc::new(world.clock.clone()),
        world.instance,
        Fence::new(1),
    );
    assert!(matches!(function.get("a").await, Err(StorageError::Refused(_))));
}
