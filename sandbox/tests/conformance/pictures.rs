//! Pictures of people.

use reqwest::Method;
use wacore::types::events::Event;
use wacore_binary::Jid;

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
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
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

    // What a person does on the phone reaches her own companions too.
    let path = format!("/admin/phones/{b}/picture");
    let (status, _) = admin.call("POST", &path, "no JPEG").await;
    assert_eq!(status, 400);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}
