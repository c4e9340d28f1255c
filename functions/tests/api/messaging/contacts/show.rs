//! `GET /api/contacts/{contact}`.

use serde_json::{Value, json};
use shared::domain::person::Person;
use shared::domain::question::{Business, Refusal, Show, Shown};

use crate::support::World;

const PATH: &str = "/api/contacts/15550100002";

#[tokio::test]
async fn a_contact_shows_what_whatsapp_says_of_it() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let mut shown = Shown {
        person: Person {
            phone: Some("15550100902".to_owned()),
            lid: Some("200000000000002".to_owned()),
        },
        business_name: Some("Engines of Ada".to_owned()),
        about: None,
        business: Some(Business {
            email: Some("ada@example.com".to_owned()),
            ..Business::default()
        }),
    };
    let asked = world.answering(move |_| {
        let told = shown.clone();
        // The next one is a person like any other.
        shown.business_name = None;
        shown.business = None;
        shown.about = Some("Gone fishing".to_owned());
        Ok(told.into())
    });
    let business = json!({
        "description": null, "email": "ada@example.com", "websites": [], "categories": [], "address": null,
    });
    let contact = |name: Value, about: Value, business: Value| {
        json!({
            "phone": "15550100902", "lid": "200000000000002", "businessName": name, "about": about, "business": business,
        })
    };
    assert_eq!(
        key.get(PATH).await.data(200),
        contact(json!("Engines of Ada"), Value::Null, business)
    );
    assert_eq!(
        key.get(PATH).await.data(200),
        contact(Value::Null, json!("Gone fishing"), Value::Null)
    );
    let contact = "15550100002".parse().expect("a number");
    assert_eq!(asked.asks()[0], Show { contact }.into());
    for path in ["/api/contacts/ada", "/api/contacts/120363021033254949@g.us"] {
        let answer = key.get(path).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.bad_fields()[0], "contact");
    }
}

#[tokio::test]
async fn nobody_of_that_name_is_a_404() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let _asked = world.answering(|_| Err(Refusal::NotOnWhatsapp));
    let answer = key.get(PATH).await;
    assert_eq!(answer.error(), "404 NOT_FOUND: There is no such contact");
}
