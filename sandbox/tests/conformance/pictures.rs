//! Pictures of people.

use reqwest::Method;
use wacore::types::events::Event;
use wacore_binary::Jid;
use whatsapp_rust::{GroupCreateOptions, GroupParticipantOptions, PictureType};

use crate::client::TestClient;
use crate::net::{Admin, start};
use crate::web::Web;

/// Something that begins as a JPEG does.
fn jpeg(seed: u8) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE0];
    bytes.extend([seed; 3_000]);
    bytes
}

/// Waits for the news that `phone` has a picture, or none; answers its id.
async fn news(client: &TestClient, phone: &str, removed: bool, after: Option<&str>) -> Option<String> {
    client
        .wait("picture", |event| match event {
            Event::PictureUpdate(update)
                if update.jid.user == phone
                    && update.removed == removed
                    && (removed || update.picture_id.as_deref() != after) =>
            {
                Some(update.picture_id.clone())
            }
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_set_shown_announced_and_removed() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    // Bob knows alice from here on.
    bob.send(&a, "3EB0000000091C01", "hello").await;
    alice.text("hello").await;
    let jid = Jid::pn(a.as_str());
    let look = async |preview| {
        let client = bob.client();
        client
            .contacts()
            .get_profile_picture(&jid, preview)
            .await
            .expect("an answer")
    };
    assert!(look(false).await.is_none());

    let set = alice.client().profile().set_profile_picture(jpeg(1)).await;
    let first = set.expect("it is set").id;
    assert_eq!(news(&bob, &a, false, None).await.as_deref(), Some(first.as_str()));
    for preview in [false, true] {
        let picture = look(preview).await.expect("a picture");
        assert_eq!(picture.id, first);
        assert!(picture.url.ends_with(&picture.direct_path.expect("a path")));
        let served = web
            .request(Method::GET, &picture.url)
            .send()
            .await
            .expect("an answer");
        assert_eq!(served.headers()["content-type"], "image/jpeg");
        assert_eq!(served.bytes().await.expect("a body"), jpeg(1));
    }
    let old = look(false).await.expect("a picture").url;

    let set = alice.client().profile().set_profile_picture(jpeg(2)).await;
    let second = set.expect("it is set").id;
    assert_eq!(news(&bob, &a, false, Some(&first)).await, Some(second));
    let gone = web.request(Method::GET, &old).send().await.expect("an answer");
    assert_eq!(gone.status().as_u16(), 404);
    let refused = alice
        .client()
        .profile()
        .set_profile_picture(b"\x89PNG".to_vec())
        .await;
    assert!(refused.is_err(), "no JPEG");

    alice
        .client()
        .profile()
        .remove_profile_picture()
        .await
        .expect("it is removed");
    news(&bob, &a, true, None).await;
    assert!(look(false).await.is_none());

    // What a person does on the phone reaches those who know her as well.
    let path = format!("/admin/phones/{a}/picture");
    let (status, _) = admin.call("POST", &path, "no JPEG").await;
    assert_eq!(status, 400);
    let url = format!("{}{path}", sandbox.admin_url());
    let set = reqwest::Client::new().post(&url).body(jpeg(3)).send().await;
    assert_eq!(set.expect("an answer").status().as_u16(), 204);
    let shown = look(true).await.expect("a picture");
    let served = web
        .request(Method::GET, &shown.url)
        .send()
        .await
        .expect("an answer");
    assert_eq!(served.bytes().await.expect("a body"), jpeg(3));
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_has_a_picture_that_its_admins_may_keep_to_themselves() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (eve, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let options = GroupCreateOptions::builder()
        .subject("Pictures")
        .participants(vec![GroupParticipantOptions::new(Jid::pn(b.as_str()))])
        .finish();
    let group = alice.client().groups().create_group(options).await;
    let group = group.expect("a group").metadata.id;
    let set = async |client: &TestClient, seed| {
        let client = client.client();
        client.groups().set_profile_picture(&group, jpeg(seed)).await
    };
    let id = set(&bob, 1).await.expect("members may").id;
    assert_eq!(
        news(&alice, &group.user, false, None).await.as_deref(),
        Some(id.as_str())
    );
    assert!(set(&eve, 2).await.is_err(), "strangers may not");
    alice
        .client()
        .groups()
        .set_locked(group.clone(), true)
        .await
        .expect("locked");
    assert!(set(&bob, 3).await.is_err(), "members may not any more");
    let second = set(&alice, 4).await.expect("admins may").id;
    assert_eq!(
        news(&bob, &group.user, false, Some(&id)).await,
        Some(second.clone())
    );

    let one = bob.client().contacts().get_profile_picture(&group, false).await;
    assert_eq!(one.expect("an answer").expect("a picture").id, second);
    let all = bob
        .client()
        .groups()
        .get_profile_pictures(vec![group.clone()], PictureType::Image)
        .await
        .expect("an answer");
    assert_eq!(all[0].photo_id.as_deref(), Some(second.as_str()));
    let url = all[0].url.as_deref().expect("a URL");
    let served = web.request(Method::GET, url).send().await.expect("an answer");
    assert_eq!(served.bytes().await.expect("a body"), jpeg(4));
    alice
        .client()
        .groups()
        .remove_profile_picture(&group)
        .await
        .expect("it is removed");
    news(&bob, &group.user, true, None).await;
    for client in [alice, bob, eve] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}
