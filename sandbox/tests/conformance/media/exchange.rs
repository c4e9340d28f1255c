//! Files between two clients, and between clients and phones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wacore::download::MediaType;
use wacore::upload::{encrypt_media_streaming, encrypted_len};
use whatsapp_rust::UploadOptions;

use super::{bytes, carrying, download, fetched, paired, sha256};
use crate::net::{Admin, start};
use crate::web::Web;

const KINDS: [(MediaType, &str); 5] = [
    (MediaType::Image, "image"),
    (MediaType::Video, "video"),
    (MediaType::Audio, "audio"),
    (MediaType::Document, "document"),
    (MediaType::Sticker, "sticker"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_goes_from_client_to_client_and_to_both_phones() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, a) = paired(&sandbox, &web).await;
    let (bob, b) = paired(&sandbox, &web).await;
    for (seed, (kind, name)) in (0..).zip(KINDS) {
        // Around the blocks of the cipher, where padding differs.
        let plain = bytes(70_000 + usize::from(seed), seed);
        let uploaded = alice
            .client()
            .upload(plain.clone(), kind, UploadOptions::new())
            .await
            .expect("an upload");
        assert!(uploaded.url.starts_with(&sandbox.media_url()), "{}", uploaded.url);
        let id = format!("3EB00000000ED1A{seed}");
        alice.send_message(&b, &id, carrying(kind, &uploaded)).await;
        let (message, _) = bob.message(&id).await;
        assert_eq!(
            download(&bob, &message).await.expect("a download"),
            plain,
            "{name}"
        );
        for phone in [&a, &b] {
            let entry = fetched(admin, phone, &id).await;
            assert_eq!(entry["kind"], name);
            assert_eq!(entry["mediaSha256"], sha256(&plain).as_str(), "{name} of {phone}");
        }
    }
    let inbox = admin.inbox(&b, KINDS.len()).await;
    assert_eq!(
        (inbox[0]["text"].as_str(), inbox[3]["fileName"].as_str()),
        (Some("look"), Some("a.pdf"))
    );
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_sends_every_kind() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (client, own) = paired(&sandbox, &web).await;
    let phone = admin.phone().await;
    for (seed, kind) in (10..).zip(["image", "video", "audio", "voice", "document", "sticker"]) {
        let plain = bytes(5_000, seed);
        let extra = match kind {
            "document" => {
                r#", "fileName": "b.txt", "mime": "text/plain", "caption": "read"#.to_owned() + r#"""#
            }
            _ => String::new(),
        };
        let file = STANDARD.encode(&plain);
        let body = format!(r#"{{"to": "{own}", "kind": "{kind}", "base64": "{file}"{extra}}}"#);
        let sent = admin
            .ok("POST", &format!("/admin/phones/{phone}/send"), &body)
            .await;
        let (message, _) = client.message(sent["id"].as_str().expect("an id")).await;
        assert_eq!(
            download(&client, &message).await.expect("a download"),
            plain,
            "{kind}"
        );
        match kind {
            "voice" => assert_eq!(message.audio_message.ptt, Some(true)),
            "document" => {
                assert_eq!(message.document_message.file_name.as_deref(), Some("b.txt"));
                assert_eq!(message.document_message.mimetype.as_deref(), Some("text/plain"));
                assert_eq!(message.document_message.caption.as_deref(), Some("read"));
            }
            _ => {}
        }
    }
    for (body, named) in [
        (r#""kind": "image", "base64": "!""#, "base64"),
        (r#""kind": "image", "base64": """#, "file"),
        (r#""kind": "audio", "base64": "AA==", "caption": "x""#, "caption"),
        (
            r#""kind": "image", "base64": "AA==", "fileName": "x""#,
            "fileName",
        ),
        (r#""kind": "image", "base64": "AA==", "name": "x""#, "name"),
    ] {
        let body = format!(r#"{{"to": "{own}", {body}}}"#);
        let (status, error) = admin
            .call("POST", &format!("/admin/phones/{phone}/send"), &body)
            .await;
        let message = error["error"]["message"].as_str().expect("a message");
        assert!(status == 400 && message.contains(named), "{status} {message}");
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_document_is_streamed_both_ways() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, _) = paired(&sandbox, &web).await;
    let (bob, b) = paired(&sandbox, &web).await;
    let plain = bytes(20 * 1024 * 1024, 42);
    let mut sealed = Vec::with_capacity(encrypted_len(plain.len()));
    let info =
        encrypt_media_streaming(plain.as_slice(), &mut sealed, MediaType::Document).expect("encrypted");
    let uploaded = alice
        .client()
        .upload_stream(bytes::Bytes::from(sealed), info, MediaType::Document)
        .await
        .expect("an upload");
    alice
        .send_message(&b, "3EB00000000ED200", carrying(MediaType::Document, &uploaded))
        .await;
    let (message, _) = bob.message("3EB00000000ED200").await;
    let media = message.document_message.as_option().expect("a document").clone();
    let file = tempfile::tempfile().expect("a file");
    let mut file = bob
        .client()
        .download_to_writer(&media, file)
        .await
        .expect("a download");
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut read).expect("it is read");
    assert_eq!(sha256(&read), sha256(&plain));
    let entry = fetched(admin, &b, "3EB00000000ED200").await;
    assert_eq!(entry["mediaSha256"], sha256(&plain).as_str());
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_shows_what_it_opened_and_no_hash_of_what_it_could_not() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (client, _) = paired(&sandbox, &web).await;
    let phone = admin.phone().await;
    let plain = b"what the person sees".to_vec();
    let uploaded = client
        .client()
        .upload(plain.clone(), MediaType::Document, UploadOptions::new())
        .await
        .expect("an upload");
    let good = carrying(MediaType::Document, &uploaded);
    let mut lying = good.clone();
    let mut other_key = good.clone();
    let mut elsewhere = good.clone();
    lying.document_message.get_or_insert_default().file_sha256 = Some(vec![1; 32]);
    other_key.document_message.get_or_insert_default().media_key = Some(vec![1; 32]);
    elsewhere.document_message.get_or_insert_default().direct_path = Some("/v/t62/none.enc?oe=1".into());
    let cases = [("A", lying), ("B", other_key), ("C", elsewhere), ("D", good)];
    for (id, message) in &cases {
        client
            .send_message(&phone, &format!("3EB00000000ED30{id}"), message.clone())
            .await;
    }
    // Media are fetched in their order, so the last is behind all others.
    fetched(admin, &phone, "3EB00000000ED30D").await;
    let inbox = admin.inbox(&phone, cases.len()).await;
    for entry in &inbox[..3] {
        assert_eq!(entry["kind"], "document");
        assert!(entry["mediaSha256"].is_null(), "{entry}");
    }
    assert_eq!(inbox[3]["mediaSha256"], sha256(&plain).as_str());
    let media = |id: &str| format!("/admin/phones/{phone}/inbox/3EB00000000ED30{id}/media");
    let shown = admin.ok("GET", &media("D"), "").await;
    assert_eq!(shown, "what the person sees");
    let (status, _) = admin.call("GET", &media("A"), "").await;
    assert_eq!(status, 404);
    client.stop().await;
    sandbox.shutdown().await;
}
