//! Media that the host has dropped, and the phone that has them still.

use wacore::download::MediaType;
use wacore_binary::Jid;
use whatsapp_rust::features::{MediaRetryResult, MediaReuploadRequest};
use whatsapp_rust::{
    ErrorChainExt as _, GroupCreateOptions, GroupParticipantOptions, SendOptions, UploadOptions,
};

use super::{bytes, carrying, download, fetched, paired, sha256};
use crate::net::{Admin, start};
use crate::web::Web;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_companion_has_its_phone_upload_expired_media_again() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, a) = paired(&sandbox, &web).await;
    let (bob, b) = paired(&sandbox, &web).await;
    let plain = bytes(30_000, 1);
    let uploaded = alice
        .client()
        .upload(plain.clone(), MediaType::Image, UploadOptions::new())
        .await
        .expect("an upload");
    let id = "3EB00000000ED401";
    alice
        .send_message(&b, id, carrying(MediaType::Image, &uploaded))
        .await;
    let (mut message, chat) = bob.message(id).await;
    // Both phones hold the file; what they hold they can give again.
    fetched(admin, &a, id).await;
    fetched(admin, &b, id).await;
    let expired = admin.ok("POST", "/admin/media/expire", "").await;
    assert_eq!(expired["expired"], 1);
    let error = download(&bob, &message).await.expect_err("it has expired");
    assert_eq!(error.http_status(), Some(410), "{error:#}");

    let request = MediaReuploadRequest {
        msg_id: id,
        chat_jid: &chat,
        media_key: &uploaded.media_key,
        is_from_me: false,
        participant: None,
    };
    let result = bob.client().media_reupload().request(&request).await;
    let MediaRetryResult::Success { direct_path } = result.expect("an answer") else {
        panic!("the phone has it");
    };
    assert_ne!(direct_path, uploaded.direct_path);
    message.image_message.get_or_insert_default().direct_path = Some(direct_path.clone());
    assert_eq!(download(&bob, &message).await.expect("a download"), plain);

    // One path alone expires too, and the sender's own phone gives its own file again as well.
    let body = format!(r#"{{"directPath": "{direct_path}"}}"#);
    assert_eq!(admin.ok("POST", "/admin/media/expire", &body).await["expired"], 1);
    assert!(download(&bob, &message).await.is_err());
    let to = Jid::pn(b.as_str());
    let request = MediaReuploadRequest {
        chat_jid: &to,
        is_from_me: true,
        ..request
    };
    let result = alice.client().media_reupload().request(&request).await;
    assert!(
        matches!(result, Ok(MediaRetryResult::Success { .. })),
        "{result:?}"
    );
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_gives_nothing_that_it_does_not_hold_or_for_another_key() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, _) = paired(&sandbox, &web).await;
    let (bob, b) = paired(&sandbox, &web).await;
    let uploaded = alice
        .client()
        .upload(bytes(100, 2), MediaType::Image, UploadOptions::new())
        .await
        .expect("an upload");
    let id = "3EB00000000ED402";
    alice
        .send_message(&b, id, carrying(MediaType::Image, &uploaded))
        .await;
    let (_, chat) = bob.message(id).await;
    fetched(admin, &b, id).await;
    let ask = async |id: &str, key: &[u8]| {
        let client = bob.client();
        let request = MediaReuploadRequest {
            msg_id: id,
            chat_jid: &chat,
            media_key: key,
            is_from_me: false,
            participant: None,
        };
        client
            .media_reupload()
            .request(&request)
            .await
            .expect("an answer")
    };
    let other = ask(id, &[3; 32]).await;
    assert!(matches!(other, MediaRetryResult::DecryptionError), "{other:?}");
    let unknown = ask("3EB00000000ED4FF", &uploaded.media_key).await;
    assert!(matches!(unknown, MediaRetryResult::NotFound), "{unknown:?}");
    // A person deletes the file, and the phone gives it no more.
    let path = format!("/admin/phones/{b}/inbox/{id}/media");
    let (status, _) = admin.call("DELETE", &path, "").await;
    assert_eq!(status, 204);
    let deleted = ask(id, &uploaded.media_key).await;
    assert!(matches!(deleted, MediaRetryResult::NotFound), "{deleted:?}");
    let (status, _) = admin.call("DELETE", &path, "").await;
    assert_eq!(status, 404);
    let (status, _) = admin
        .call(
            "POST",
            "/admin/media/expire",
            r#"{"directPath": "/v/t62/no.enc"}"#,
        )
        .await;
    assert_eq!(status, 404);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_of_groups_are_fetched_and_given_again_too() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, a) = paired(&sandbox, &web).await;
    let (bob, b) = paired(&sandbox, &web).await;
    let phone = admin.phone().await;
    let members = [&b, &phone].map(|number| GroupParticipantOptions::new(Jid::pn(number.as_str())));
    let options = GroupCreateOptions::builder()
        .subject("Media")
        .participants(members.into())
        .finish();
    let group = alice.client().groups().create_group(options).await;
    let group = group.expect("a group").metadata.id;
    let plain = bytes(20_000, 3);
    let uploaded = alice
        .client()
        .upload(plain.clone(), MediaType::Video, UploadOptions::new())
        .await
        .expect("an upload");
    let id = "3EB00000000ED403";
    let message = carrying(MediaType::Video, &uploaded);
    alice
        .client()
        .send_message_with_options(&group, message, SendOptions::default().with_message_id(id))
        .await
        .expect("it is sent");
    let (mut message, chat) = bob.message(id).await;
    assert_eq!(chat, group);
    for number in [&b, &phone] {
        let entry = fetched(admin, number, id).await;
        assert_eq!(entry["mediaSha256"], sha256(&plain).as_str());
    }
    admin.ok("POST", "/admin/media/expire", "").await;
    assert!(download(&bob, &message).await.is_err());
    let author = Jid::pn(a.as_str());
    let request = MediaReuploadRequest {
        msg_id: id,
        chat_jid: &group,
        media_key: &uploaded.media_key,
        is_from_me: false,
        participant: Some(&author),
    };
    let result = bob.client().media_reupload().request(&request).await;
    let MediaRetryResult::Success { direct_path } = result.expect("an answer") else {
        panic!("the phone has it");
    };
    message.video_message.get_or_insert_default().direct_path = Some(direct_path);
    assert_eq!(download(&bob, &message).await.expect("a download"), plain);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}
