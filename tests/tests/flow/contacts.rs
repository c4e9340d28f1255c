//! Who is on WhatsApp, and whom the account blocks, with phones of the sandbox.

use reqwest::Method;
use serde_json::{Value, json};
use testbed::caller::{Answer, Bases};
use testbed::wait::until;
use tests::flow::{Paired, exchange, pair, stats};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

async fn check(paired: &Paired, contacts: Value) -> Value {
    let body = json!({"contacts": contacts});
    let data = paired.key.post("/api/contacts/check", &body).await.data(200);
    data["results"].clone()
}

async fn block(paired: &Paired, method: Method, contact: &str, key: Option<&str>) -> Answer {
    let path = format!("/api/contacts/{contact}/block");
    let keyed = key.map(|key| paired.key.with_header("idempotency-key", key));
    keyed
        .as_ref()
        .unwrap_or(&paired.key)
        .request(method, &path, ())
        .await
}

/// The number of a phone of a business.
async fn business(phones: &Phones) -> String {
    let business = json!({"business": {"name": "Engines of Ada", "email": "ada@example.com"}});
    let made = phones.post("/admin/phones", &business).await;
    made["phone"].as_str().expect("a number").to_owned()
}

#[tokio::test]
async fn contacts_are_looked_up_at_whatsapp_and_then_in_memory() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let business = business(&phones).await;
    let (lid, lid_of_business) = (phones.lid(&paired.other).await, phones.lid(&business).await);
    let stranger = "15550999999";

    let results = check(
        &paired,
        json!([
            business,
            stranger,
            format!("lid:{lid}"),
            format!("+{}", paired.other),
            "lid:99999999999"
        ]),
    )
    .await;
    let there = |input: &str, phone: &str, lid: &str, name: Value| json!({"input": input, "exists": true, "phone": phone, "lid": lid, "businessName": name, "error": null});
    let absent = |input: &str| json!({"input": input, "exists": false, "phone": null, "lid": null, "businessName": null, "error": null});
    let by_lid = format!("lid:{lid}");
    let by_number = format!("+{}", paired.other);
    assert_eq!(
        results,
        json!([
            there(&business, &business, &lid_of_business, json!("Engines of Ada")),
            absent(stranger),
            there(&by_lid, &paired.other, &lid, Value::Null),
            there(&by_number, &paired.other, &lid, Value::Null),
            absent("lid:99999999999"),
        ])
    );

    // The daemon has learnt it, by either name: so it is known while there is no connection.
    paired
        .user
        .post("/api/instances/main/disconnect", ())
        .await
        .data(202);
    paired.user.until_status("main", "DISCONNECTED").await;
    let known = json!({"contacts": [format!("lid:{lid_of_business}"), stranger, paired.other]});
    // The function hears of it within seconds.
    let results = until("what was learnt", async || {
        let answer = paired.key.post("/api/contacts/check", &known).await;
        (answer.status == 200).then(|| answer.data(200)["results"].clone())
    })
    .await;
    let by_lid = format!("lid:{lid_of_business}");
    assert_eq!(
        results,
        json!([
            there(&by_lid, &business, &lid_of_business, json!("Engines of Ada")),
            absent(stranger),
            there(&paired.other, &paired.other, &lid, Value::Null),
        ])
    );
    let body = json!({"contacts": ["15550999998"]});
    let unknown = paired.key.post("/api/contacts/check", &body).await;
    assert_eq!(unknown.code(), "409 INSTANCE_NOT_CONNECTED");
    // A message to somebody who is known not to be there is refused at once.
    let body = json!({"to": stranger, "text": "anyone?"});
    paired
        .user
        .post("/api/instances/main/connect", ())
        .await
        .data(202);
    paired.user.until_status("main", "CONNECTED").await;
    let refused = paired.key.post("/api/messages/text", &body).await;
    assert_eq!(refused.code(), "422 RECIPIENT_NOT_ON_WHATSAPP");
    stack.stop().await;
}

#[tokio::test]
async fn a_contact_shows_what_its_phone_says() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let business = business(&phones).await;
    let about = json!({"text": "Gone fishing"});
    phones
        .post(&format!("/admin/phones/{}/about", paired.other), &about)
        .await;
    let show = async |contact: &str| paired.key.get(&format!("/api/contacts/{contact}")).await;

    let lid = phones.lid(&paired.other).await;
    for name in [paired.other.clone(), format!("lid:{lid}")] {
        let other = show(&name).await.data(200);
        let shown = json!({
            "phone": paired.other, "lid": lid, "businessName": null, "about": "Gone fishing", "business": null,
        });
        assert_eq!(other, shown);
    }
    let seller = show(&business).await.data(200);
    assert_eq!(seller["businessName"], "Engines of Ada");
    assert_eq!(seller["business"]["email"], "ada@example.com");
    assert_eq!(show("15550999999").await.code(), "404 NOT_FOUND");
    stack.stop().await;
}

#[tokio::test]
async fn a_blocked_contact_does_not_reach_the_account() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    exchange(&paired, &phones).await;
    let third = phones.create("Third").await;
    let lid = phones.lid(&paired.other).await;
    let received = async || {
        stats(&paired.key).await["totals"]["received"]
            .as_u64()
            .expect("a count")
    };

    let first = block(&paired, Method::POST, &paired.other, Some("once")).await;
    let blocked = json!({"phone": paired.other, "lid": lid, "blocked": true});
    assert_eq!(first.data(200), blocked);
    let again = block(&paired, Method::POST, &paired.other, Some("once")).await;
    assert_eq!(again.data(200), blocked);
    let before = received().await;
    phones.send(&paired.other, &paired.own, "Can you hear me?").await;
    phones.send(&third, &paired.own, "I can").await;
    until("the third one's text", async || {
        (received().await > before).then_some(())
    })
    .await;
    assert_eq!(received().await, before + 1, "the other's does not arrive");

    let by_lid = format!("lid:{lid}");
    let unblocked = block(&paired, Method::DELETE, &by_lid, None).await.data(200);
    assert_eq!(unblocked, json!({"id": format!("{lid}@lid"), "deleted": true}));
    phones.send(&paired.other, &paired.own, "And now?").await;
    until("the other one's text", async || {
        (received().await > before + 1).then_some(())
    })
    .await;

    let nobody = block(&paired, Method::POST, "15550999999", None).await;
    assert_eq!(nobody.code(), "422 RECIPIENT_NOT_ON_WHATSAPP");
    stack.stop().await;
}

/// A number that the sandbox knows without Brazil's ninth digit.
const SPELT: &str = "551187654321";
const WRITTEN: &str = "5511987654321";

#[tokio::test]
async fn a_number_is_reached_however_it_is_spelt() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    // WhatsApp knows Brazil's ninth digit by itself, and the first ones of Mexico and Argentina not.
    let spellings = [
        (WRITTEN, SPELT),
        ("5215512345678", "525512345678"),
        ("541123456789", "5491123456789"),
    ];
    for (written, spelt) in spellings {
        let made = phones.post("/admin/phones", &json!({"phone": spelt})).await;
        assert_eq!(made["phone"], spelt);
        // Not looked up before, the message finds its way.
        let first = paired.key.send_text(written, &format!("One to {spelt}")).await;
        phones.until_shown(spelt, &format!("One to {spelt}")).await;
        paired.key.until_state(&first, "delivered").await;
        let both = json!({"phone": spelt, "lid": phones.lid(spelt).await, "group": null});
        for to in [written, spelt] {
            let body = json!({"to": to, "text": format!("Two by {to}")});
            let accepted = until("that the number is known", async || {
                let accepted = paired.key.post("/api/messages/text", &body).await.data(202);
                (accepted["to"] == both).then_some(accepted)
            })
            .await;
            phones.until_shown(spelt, &format!("Two by {to}")).await;
            let id = accepted["id"].as_str().expect("an id");
            assert_eq!(paired.key.until_state(id, "delivered").await["to"], both);
        }
    }
    // And from memory, by either.
    paired
        .user
        .post("/api/instances/main/disconnect", ())
        .await
        .data(202);
    paired.user.until_status("main", "DISCONNECTED").await;
    let results = check(&paired, json!([WRITTEN, SPELT])).await;
    for n in 0..2 {
        assert_eq!(
            (&results[n]["exists"], &results[n]["phone"]),
            (&json!(true), &json!(SPELT))
        );
    }
    stack.stop().await;
}

#[tokio::test]
async fn fifty_contacts_have_fifty_results_in_the_order_asked() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let mut asked: Vec<String> = (0..44).map(|n| format!("155509999{n:02}")).collect();
    asked[7].clone_from(&paired.other);
    for more in [&paired.other, &format!("+{}", paired.other), &paired.own] {
        asked.push(more.clone());
    }
    asked.extend(["ada", "120363021033254949@g.us", ""].map(str::to_owned));
    asked[49] = "0".to_owned();
    let results = check(&paired, json!(asked)).await;
    let results = results.as_array().expect("a list");
    assert_eq!(results.len(), 50);
    for (n, (result, input)) in results.iter().zip(&asked).enumerate() {
        assert_eq!(result["input"], *input);
        let (exists, phone) = match n {
            7 | 44 | 45 => (json!(true), json!(paired.other)),
            46 => (json!(true), json!(paired.own)),
            47.. => (Value::Null, Value::Null),
            _ => (json!(false), Value::Null),
        };
        assert_eq!(
            (&result["exists"], &result["phone"]),
            (&exists, &phone),
            "{input}"
        );
        let code = &result["error"]["code"];
        assert_eq!(*code == "VALIDATION_ERROR", n >= 47, "{input}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn the_phones_address_book_is_listed_and_its_changes_show() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let lid = phones.lid(&paired.other).await;
    let save = async |phone: &str, name: &str| {
        let body = json!({"action": "contact", "phone": phone, "fullName": name, "firstName": "Ada"});
        phones
            .post(&format!("/admin/phones/{}/app-state", paired.own), &body)
            .await;
    };
    let listed = async || {
        let mut listed = paired.key.get("/api/contacts").await.data(200);
        let contacts = listed.as_array_mut().expect("a list");
        contacts.sort_by_key(|contact| contact["name"].to_string());
        listed
    };
    // A change that comes while the client takes in another waits for the next: its person saves once more.
    let until_saved = async |saved: &[(&str, &str)], expected: Value| {
        let mut looks = 0;
        until(&format!("the address book {expected}"), async || {
            if looks % 50 == 0 {
                for (phone, name) in saved {
                    save(phone, name).await;
                }
            }
            looks += 1;
            (listed().await == expected).then_some(())
        })
        .await;
    };
    let other = |name: &str| json!({"phone": paired.other, "lid": lid, "name": name, "firstName": "Ada"});
    let stranger = json!({"phone": "15550999999", "lid": null, "name": "Nobody", "firstName": "Ada"});
    until_saved(&[(&paired.other, "Ada")], json!([other("Ada")])).await;
    let saved = [("15550999999", "Nobody"), (&*paired.other, "Ada Lovelace")];
    until_saved(&saved, json!([other("Ada Lovelace"), stranger])).await;
    // The book goes with the phone.
    paired.user.post("/api/instances/main/logout", ()).await.data(202);
    paired.user.until_status("main", "LOGGED_OUT").await;
    until_saved(&[], json!([])).await;
    stack.stop().await;
}

#[tokio::test]
async fn a_contacts_picture_and_the_blocked_are_told() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let path = format!("/api/contacts/{}/picture", paired.other);
    assert_eq!(paired.key.get(&path).await.code(), "404 NOT_FOUND");
    phones.set_picture(&paired.other, JPEG).await;
    let picture = paired.key.get(&path).await.data(200);
    assert!(
        picture["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://")),
        "{picture}"
    );
    assert!(picture["id"].is_string());

    let blocked = async || paired.key.get("/api/contacts/blocked").await.data(200);
    assert_eq!(blocked().await, json!([]));
    let lid = phones.lid(&paired.other).await;
    block(&paired, Method::POST, &paired.other, None).await.data(200);
    // What the phone blocks shows as well.
    let third = phones.create("Third").await;
    let body = json!({"who": third});
    phones
        .post(&format!("/admin/phones/{}/block", paired.own), &body)
        .await;
    let mut expected = [
        json!({"phone": paired.other, "lid": lid}),
        json!({"phone": third, "lid": phones.lid(&third).await}),
    ];
    expected.sort_by_key(|one| one["lid"].to_string());
    let mut listed = blocked().await;
    // Somebody whom the account has not met is known by the one name that the list gives.
    for (one, expected) in listed.as_array_mut().expect("a list").iter_mut().zip(&expected) {
        if one["phone"].is_null() {
            one["phone"] = expected["phone"].clone();
        }
    }
    assert_eq!(listed, json!(expected));
    let own = block(&paired, Method::POST, &paired.own, None).await;
    assert_eq!(own.code(), "400 VALIDATION_ERROR");
    stack.stop().await;
}

/// It begins as a JPEG does, which is enough for the sandbox.
const JPEG: &[u8] = b"\xff\xd8\xff\xe0a picture";
