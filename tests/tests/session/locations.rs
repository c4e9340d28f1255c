//! Places, out and in.

use serde_json::json;
use shared::domain::content::{Content, Location, Place};
use shared::ids::MessageId;

use crate::world::{World, to};

fn gate() -> Location {
    Location {
        location: Place {
            latitude: 52.516_3,
            longitude: -13.377_7,
            name: Some("Brandenburg Gate".to_owned()),
            address: Some("Pariser Platz".to_owned()),
            live: false,
        },
        text: None,
        live_seconds: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_goes_out_and_one_comes_in() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let message = MessageId::from_bytes([7; 16]);
    session
        .connection
        .send(message, &to(&other), &Content::Location(gate()).into())
        .await
        .expect("on the wire");
    assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    let inbox = world.inbox(&other, |inbox| !inbox.is_empty()).await;
    let shown = &inbox[0];
    assert_eq!(
        (&shown["kind"], &shown["text"]),
        (&json!("location"), &json!("Brandenburg Gate"))
    );
    assert_eq!(
        (&shown["latitude"], &shown["longitude"]),
        (&json!(52.516_3), &json!(-13.377_7))
    );

    let live = Location {
        location: Place {
            latitude: 1.5,
            longitude: 2.5,
            name: None,
            address: None,
            live: true,
        },
        text: None,
        live_seconds: Some(900),
    };
    let message = MessageId::from_bytes([8; 16]);
    session
        .connection
        .send(message, &to(&other), &Content::Location(live).into())
        .await
        .expect("on the wire");
    assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    let inbox = world.inbox(&other, |inbox| inbox.len() == 2).await;
    let shown = &inbox[1];
    assert_eq!(
        (&shown["kind"], &shown["latitude"], &shown["longitude"]),
        (&json!("live-location"), &json!(1.5), &json!(2.5))
    );

    let place = json!({
        "to": own, "kind": "location", "latitude": 52.516_3, "longitude": -13.377_7,
        "name": "Brandenburg Gate", "address": "Pariser Platz",
    });
    world.admin(&format!("/admin/phones/{other}/send"), place).await;
    assert_eq!(session.committed().await.content, Content::Location(gate()));

    let live = json!({
        "to": own, "kind": "live-location", "latitude": 1.5, "longitude": 2.5, "caption": "on my way",
    });
    world.admin(&format!("/admin/phones/{other}/send"), live).await;
    let live = Location {
        location: Place {
            latitude: 1.5,
            longitude: 2.5,
            name: None,
            address: None,
            live: true,
        },
        text: Some("on my way".to_owned()),
        live_seconds: None,
    };
    assert_eq!(session.committed().await.content, Content::Location(live));
    world.nothing_queued().await;
}
