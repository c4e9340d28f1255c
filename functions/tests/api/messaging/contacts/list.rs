//! `GET /api/contacts`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared::domain::address_book::SavedContact;
use shared::domain::instance::Status;
use shared::domain::person::Person;
use shared::ids::InstanceId;
use shared::sealed;
use shared::storage::address_books::{AddressBooks, Written, part_of};
use shared::storage::keys;

use crate::support::{Caller, World};

fn contact(n: u32) -> SavedContact {
    SavedContact {
        person: Person {
            phone: Some(format!("1555010{n:04}")),
            lid: n.is_multiple_of(2).then(|| format!("20000000000{n:04}")),
        },
        name: Some(format!("Ada {n}")),
        first_name: n.is_multiple_of(3).then(|| "Ada".to_owned()),
    }
}

/// As a daemon stores a phone's address book.
async fn save(world: &World, instance: InstanceId, contacts: impl Iterator<Item = SavedContact>) {
    let mut parts: BTreeMap<u8, BTreeMap<String, SavedContact>> = BTreeMap::new();
    for contact in contacts {
        let key = contact.key().expect("a name");
        let part = parts.entry(part_of(&key)).or_default();
        part.insert(key.to_jid(), contact);
    }
    let books = AddressBooks::new(world.state.table.clone());
    for (part, contacts) in parts {
        let of = keys::book_part(instance, part).path();
        let contacts: Vec<_> = contacts.into_values().collect();
        let sealed = sealed::seal(&world.state.sealer, instance, &of, &contacts).await;
        let written = books.put(instance, 1, part, &sealed.expect("sealed")).await;
        assert_eq!(written.expect("stored"), Written::Done);
    }
}

async fn pages(key: &Caller, limit: usize) -> Vec<Vec<Value>> {
    let (mut cursor, mut pages) = (String::new(), Vec::new());
    loop {
        let answer = key.get(&format!("/api/contacts?limit={limit}{cursor}")).await;
        pages.push(answer.data(200).as_array().expect("a list").clone());
        let next = answer.json()["meta"]["pagination"]["nextCursor"].clone();
        match next.as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn the_address_book_is_listed_in_pages_without_a_connection() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    assert_eq!(pages(&key, 25).await, [Vec::<Value>::new()]);
    save(&world, instance, (0..300).map(contact)).await;
    world.daemon.observe(instance, Status::Reconnecting).await;
    for limit in [7, 100] {
        let pages = pages(&key, limit).await;
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit));
        let phones: BTreeSet<&str> = pages
            .iter()
            .flatten()
            .filter_map(|one| one["phone"].as_str())
            .collect();
        assert_eq!(
            (phones.len(), pages.iter().flatten().count()),
            (300, 300),
            "by {limit}"
        );
        let of = |n: &str| {
            pages
                .iter()
                .flatten()
                .find(|one| one["phone"] == n)
                .expect("listed")
        };
        assert_eq!(
            *of("15550100006"),
            json!({"phone": "15550100006", "lid": "200000000000006", "name": "Ada 6", "firstName": "Ada"})
        );
        assert_eq!(
            *of("15550100001"),
            json!({"phone": "15550100001", "lid": null, "name": "Ada 1", "firstName": null})
        );
    }
    // Names rest sealed.
    assert!(!format!("{:?}", world.items().await).contains("Ada 6"));
    // Another instance's is its own, and a cursor of this list is good for it alone.
    let other = world.instance(&user, "other").await;
    let other = world.key(&user, other, json!({})).await;
    assert_eq!(pages(&other, 25).await, [Vec::<Value>::new()]);
    let answer = key.get("/api/contacts?limit=7").await;
    let cursor = answer.json()["meta"]["pagination"]["nextCursor"].clone();
    let foreign = format!("/api/contacts?cursor={}", cursor.as_str().expect("more"));
    assert_eq!(other.get(&foreign).await.code(), "400 VALIDATION_ERROR");
}
