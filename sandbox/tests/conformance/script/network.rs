//! Files, pictures, businesses, and the network as a whole.

use sandbox::Error;
use sandbox::script::{Business, NewPhone};
use wacore::download::MediaType;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;
use whatsapp_rust::UploadOptions;

use super::Scene;
use crate::client::TestClient;
use crate::media::{bytes, carrying, download};
use crate::net::{Admin, DEADLINE, start};
use crate::web::Web;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_opened_and_expire() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, _) = TestClient::paired_with(&sandbox.ws_url(), admin, None, web.clone()).await;
    let (bob, b) = TestClient::paired_with(&sandbox.ws_url(), admin, None, web).await;
    let plain = bytes(30_000, 9);
    let uploaded = alice
        .client()
        .upload(plain.clone(), MediaType::Document, UploadOptions::new())
        .await
        .expect("an upload");
    let id = "3EB0000000C00004";
    alice
        .send_message(&b, id, carrying(MediaType::Document, &uploaded))
        .await;
    let phone = sandbox.phone(&b);
    let fetched = phone.wait_for(
        |entry| entry.id == id && entry.content.media_sha256.is_some(),
        DEADLINE,
    );
    fetched.await.expect("the phone has it");
    let file = phone.media(id).await.expect("the file");
    assert_eq!((file.mime_type.as_str(), file.bytes), ("application/pdf", plain));
    let (message, _) = bob.message(id).await;
    download(&bob, &message).await.expect("a download");
    let path = uploaded.direct_path.clone();
    assert_eq!(sandbox.expire_media(Some(path)).await.expect("expired"), 1);
    assert!(download(&bob, &message).await.is_err());
    assert_eq!(sandbox.expire_media(None).await.expect("nothing is left"), 0);
    let elsewhere = sandbox.expire_media(Some("/v/elsewhere".into())).await;
    assert!(elsewhere.is_err(), "{elsewhere:?}");
    assert!(matches!(phone.media("NONE").await, Err(Error::NotFound(_))));
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_and_business_profiles_are_seen() {
    let scene = Scene::new().await;
    let Scene {
        sandbox, client, ada, ..
    } = &scene;
    let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xE0];
    jpeg.extend([7; 3_000]);
    let look = async || {
        let her = Jid::pn(ada.number());
        let wa = client.client();
        wa.contacts()
            .get_profile_picture(&her, false)
            .await
            .expect("an answer")
    };
    ada.set_picture(Some(jpeg.into())).await.expect("it is set");
    assert!(look().await.is_some());
    ada.set_picture(None).await.expect("it is taken away");
    assert!(look().await.is_none());
    let refused = ada.set_picture(Some("no JPEG".into())).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");

    let new = NewPhone {
        business: Some(Business {
            name: "Engines of Ada".into(),
            email: Some("ada@example.com".into()),
            ..Business::default()
        }),
        ..NewPhone::default()
    };
    let shop = sandbox.create_phone(new).await.expect("a phone");
    let jid = Jid::pn(shop.number());
    let profile = client
        .client()
        .get_business_profile(&jid)
        .await
        .expect("an answer");
    assert_eq!(
        profile.expect("a profile").email.as_deref(),
        Some("ada@example.com")
    );
    let nameless = NewPhone {
        business: Some(Business::default()),
        ..NewPhone::default()
    };
    let refused = sandbox.create_phone(nameless).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_and_keys_are_those_of_the_admin_api() {
    let scene = Scene::new().await;
    let Scene {
        sandbox, client, ada, ..
    } = &scene;
    let admin = Admin(sandbox.addr());
    client.send(ada.number(), "3EB0000000C00005", "counted").await;
    client.receipt("3EB0000000C00005", &ReceiptType::Delivered).await;
    let stats = sandbox.stats().await.expect("the counters");
    assert_eq!((stats.clients, stats.phones, stats.companions), (1, 2, 1));
    assert!(stats.counts.messages >= 1 && stats.counts.stanzas.r#in["message"] >= 1);
    let shown = admin.ok("GET", "/admin/stats", "").await;
    assert_eq!(
        (&shown["phones"], &shown["companions"], &shown["handshakes"]["xx"]),
        (&2.into(), &1.into(), &stats.counts.handshakes.xx.into())
    );
    let key = admin.ok("GET", "/admin/root-pub", "").await;
    assert_eq!(key, hex::encode(sandbox.root_key()));
    let pem = admin.ok("GET", "/admin/ca.pem", "").await;
    assert_eq!(pem, sandbox.ca_pem());
    scene.end().await;
}
