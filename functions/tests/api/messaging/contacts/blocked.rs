//! `GET /api/contacts/blocked`.

use serde_json::{Value, json};
use shared::domain::person::Person;
use shared::domain::question::{Answer, Ask, BlockList, BlockedPerson, ListBlocked};

use crate::support::World;

/// The first of a hundred from `after` on, as WhatsApp has them in its list.
fn listed(ask: &Ask) -> Answer {
    let Ask::ListBlocked(ListBlocked { after, most }) = ask else {
        panic!("{ask:?}")
    };
    let all = (10..40).map(|n| BlockedPerson {
        jid: format!("2000000000000{n}@lid"),
        person: Person {
            phone: (n % 2 == 0).then(|| format!("155501000{n}")),
            lid: Some(format!("2000000000000{n}")),
        },
    });
    let people = all.filter(|blocked| after.as_ref().is_none_or(|after| blocked.jid > *after));
    BlockList {
        people: people.take(*most as usize).collect(),
    }
    .into()
}

#[tokio::test]
async fn whoever_is_blocked_is_listed_in_pages() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let _asked = world.answering(|ask| Ok(listed(ask)));
    let mut cursor = String::new();
    let mut seen: Vec<Value> = Vec::new();
    for expected in [12, 12, 6] {
        let answer = key.get(&format!("/api/contacts/blocked?limit=12{cursor}")).await;
        let page = answer.data(200).as_array().expect("a list").clone();
        assert_eq!(page.len(), expected);
        seen.extend(page);
        let next = answer.json()["meta"]["pagination"]["nextCursor"].clone();
        cursor = next
            .as_str()
            .map(|next| format!("&cursor={next}"))
            .unwrap_or_default();
    }
    assert_eq!(cursor, "");
    assert_eq!(seen[0], json!({"phone": "15550100010", "lid": "200000000000010"}));
    assert_eq!(seen[1], json!({"phone": null, "lid": "200000000000011"}));
    seen.dedup();
    assert_eq!(seen.len(), 30);
}
