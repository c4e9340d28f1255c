//! Media: through the host, between clients and phones, and what happens when they expire.

mod exchange;
mod expiry;
mod host;
mod resume;

use sandbox::Sandbox;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wacore::download::MediaType;
use wacore::upload::{EncryptedMedia, encrypt_media};
use waproto::whatsapp as wa;
use whatsapp_rust::upload::UploadResponse;

use crate::client::TestClient;
use crate::net::Admin;
use crate::web::Web;

/// Bytes that do not repeat, other ones for every `seed`.
pub fn bytes(length: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let mut next = || {
        // A linear congruential generator (Numerical Recipes): the same bytes in every run.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A client whose phone is the next free one, with a way to the media host.
async fn paired(sandbox: &Sandbox, web: &Web) -> (TestClient, String) {
    TestClient::paired_with(&sandbox.ws_url(), Admin(sandbox.addr()), None, web.clone()).await
}

/// The message that carries an upload.
pub fn carrying(kind: MediaType, uploaded: &UploadResponse) -> wa::Message {
    macro_rules! media {
        ($type:ident, $mime:literal $(, $field:ident: $value:expr)*) => {
            wa::message::$type {
                url: Some(uploaded.url.clone()),
                direct_path: Some(uploaded.direct_path.clone()),
                media_key: Some(uploaded.media_key.to_vec()),
                file_enc_sha256: Some(uploaded.file_enc_sha256.to_vec()),
                file_sha256: Some(uploaded.file_sha256.to_vec()),
                file_length: Some(uploaded.file_length),
                mimetype: Some($mime.into()),
                $($field: $value,)*
                ..Default::default()
            }
            .into()
        };
    }
    let mut message = wa::Message::default();
    match kind {
        MediaType::Image => {
            message.image_message = media!(ImageMessage, "image/jpeg", caption: Some("look".into()));
        }
        MediaType::Video => message.video_message = media!(VideoMessage, "video/mp4"),
        MediaType::Audio => message.audio_message = media!(AudioMessage, "audio/ogg"),
        MediaType::Document => {
            message.document_message =
                media!(DocumentMessage, "application/pdf", file_name: Some("a.pdf".into()));
        }
        MediaType::Sticker => message.sticker_message = media!(StickerMessage, "image/webp"),
        other => panic!("no message carries {other:?}"),
    }
    message
}

/// Downloads what a message carries.
pub async fn download(client: &TestClient, message: &wa::Message) -> anyhow::Result<Vec<u8>> {
    let client = client.client();
    macro_rules! first {
        ($($field:ident),+) => {
            $(if let Some(media) = message.$field.as_option() {
                return client.download(media).await;
            })+
        };
    }
    first!(
        image_message,
        video_message,
        audio_message,
        document_message,
        sticker_message
    );
    panic!("no media in {message:?}")
}

/// Waits until the phone has fetched the media of its only message with this id; answers the entry.
pub async fn fetched(admin: Admin, phone: &str, id: &str) -> Value {
    let path = format!("/admin/phones/{phone}/inbox");
    let entry = |inbox: &Value| {
        let mut entries = inbox.as_array().expect("a list").iter();
        entries
            .find(|entry| entry["id"] == id && entry["mediaSha256"].is_string())
            .cloned()
    };
    let inbox = admin.until(&path, |inbox| entry(inbox).is_some()).await;
    entry(&inbox).expect("it was there")
}

/// An encrypted file and the token it is uploaded under.
fn encrypted(plain: &[u8]) -> (EncryptedMedia, String) {
    use base64::Engine as _;
    let media = encrypt_media(plain, MediaType::Document).expect("encrypted");
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(media.file_enc_sha256);
    (media, token)
}
