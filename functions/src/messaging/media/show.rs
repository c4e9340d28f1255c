//! `GET /api/media/{media}`: a file that came with a message, or that a caller has uploaded, at a URL that is good for a while.
//!
//! | where the file is | is answered |
//! | --- | --- |
//! | in the bucket, since somebody has asked for it within the last days | 303, whether the instance is connected or not |
//! | at WhatsApp | 303, once its daemon has brought it into the bucket |
//! | too large to be there in time | `UPSTREAM_TIMEOUT`; the daemon goes on, and the same request finds it later |
//! | at WhatsApp, and larger than 256 MiB | `PAYLOAD_TOO_LARGE`, for good |
//! | nowhere: WhatsApp has lost it, and the phone too | `MEDIA_GONE` |
//! | an upload that was put into the bucket and waits to be sent | 303 |
//! | an upload that is not there, not yet or not any more | `NOT_FOUND` |

use axum::http::{Method, StatusCode};
use serde::Serialize;
use serde_json::json;
use shared::bucket::{Area, ObjectName};
use shared::domain::content::Came;
use shared::domain::question::{FetchMedia, MediaPlace};
use shared::domain::upload::{About, FileName, MAX_UPLOAD, MimeType, URL_TERM};
use shared::ids::MediaId;
use shared::storage::media::{self, Media, Origin};
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Path, Reply, Timestamp};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

/// The type of a file whose sender names none, or none that is one.
const UNTYPED: &str = "application/octet-stream";

/// After how many seconds a file that is under way may be there.
const COMES_IN_SECONDS: u32 = 5;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MediaLink)]
pub struct Response {
    id: MediaId,
    /// Where the file is to be had, by a `GET` without a key: the same URL as in the header `Location`.
    #[schema(
        example = "https://bucket.example/incoming/inst_01JD0000000000000000000000/med_01JD0000000000000000000000?signature=1"
    )]
    url: String,
    /// Until when.
    expires_at: Timestamp,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/media/{media}", "getMedia", handler)
        .about(Tag::Media, "Hands out the file of a message that came in, or an upload")
        .details(
            "The id is the `media.id` of the event, and good for 30 days. The answer leads to a URL that is good for a quarter of an \
             hour and needs no key. The file is fetched from WhatsApp when it is asked for, and then stays for 7 days. Where that \
             takes longer than a request may, it goes on, and the same request finds the file later. A file that WhatsApp has lost is \
             asked for again from the phone. One of more than 256 MiB is not fetched. The id of an upload leads to the file that was \
             put there, for as long as it waits to be sent.",
        )
        .status(StatusCode::SEE_OTHER)
        .errors(&[Code::MediaGone, Code::PayloadTooLarge])
}

pub async fn handler(
    socket: Socket<permission::MediaRead>,
    Path(id): Path<MediaId>,
) -> Result<Reply<Response>, ApiError> {
    let (state, instance) = (&socket.state, socket.caller.grant.instance);
    let now = state.clock.now();
    let unknown = || ApiError::not_found("media");
    let found = state.media.get_recent(instance, id, now).await?;
    let Media { origin, sealed } = found.ok_or_else(unknown)?;
    let fetched_until = match origin {
        Origin::Given { object, .. } => {
            // What we store ourselves rests sealed, and no URL opens it.
            if object.area().is_ours() || state.bucket.size(&object).await?.is_none() {
                return Err(unknown());
            }
            let about: About = media::open(&state.sealer, instance, id, &sealed).await?;
            return link(state, id, &object, &about.mime_type, about.file_name.as_ref()).await;
        }
        Origin::Came { fetched_until } => fetched_until,
    };
    let came: Came = media::open(&state.sealer, instance, id, &sealed).await?;
    let object = ObjectName::new(Area::Incoming, instance, id);
    let is_here = fetched_until.is_some() && state.bucket.size(&object).await?.is_some();
    if !is_here {
        match socket.ask(FetchMedia { media: id }).await?.place {
            MediaPlace::Here => {}
            MediaPlace::UnderWay => return Err(under_way()),
            MediaPlace::Gone => return Err(gone()),
            MediaPlace::TooLarge => return Err(too_large()),
            MediaPlace::Unknown => return Err(ApiError::unavailable(COMES_IN_SECONDS)),
        }
    }
    let (mime_type, file_name) = (mime_type(&came), file_name(&came));
    link(state, id, &object, &mime_type, file_name.as_ref()).await
}

/// Leads to a file, which whoever gets it stores and does not show.
async fn link(
    state: &MessagingState,
    id: MediaId,
    object: &ObjectName,
    mime_type: &MimeType,
    file_name: Option<&FileName>,
) -> Result<Reply<Response>, ApiError> {
    let expires_at = (state.clock.now() + URL_TERM).into();
    let name = file_name.map(FileName::as_str);
    let url = state
        .bucket
        .download(object, mime_type.as_str(), name, URL_TERM)
        .await?;
    Reply::see_other(&url.clone(), Response { id, url, expires_at })
}

/// The file's type, as its sender says, where that is one.
fn mime_type(came: &Came) -> MimeType {
    let said = came.mime_type.as_deref().and_then(|text| text.parse().ok());
    said.unwrap_or_else(|| UNTYPED.parse().expect("it is one"))
}

/// The file's name, as its sender says, without what no file's name has.
fn file_name(came: &Came) -> Option<FileName> {
    let plain = came.file_name.as_ref()?.chars();
    let plain: String = plain
        .map(|letter| if matches!(letter, '/' | '\\') { '_' } else { letter })
        .filter(|letter| !letter.is_control())
        .take(FileName::LONGEST)
        .collect();
    plain.parse().ok()
}

fn under_way() -> ApiError {
    ApiError::new(
        Code::UpstreamTimeout,
        "The file is still on its way from WhatsApp, and goes on: ask again in a moment",
    )
    .with_details(json!({"outcome": "unknown"}))
    .retry_after(COMES_IN_SECONDS)
}

fn gone() -> ApiError {
    ApiError::new(
        Code::MediaGone,
        "WhatsApp does not have the file any more, and the phone does not give it again",
    )
}

fn too_large() -> ApiError {
    let most = MAX_UPLOAD / (1_024 * 1_024);
    ApiError::new(
        Code::PayloadTooLarge,
        format!("The file has more than {most} MiB, and larger ones are not fetched from WhatsApp"),
    )
}

#[cfg(test)]
mod tests {
    use shared::domain::content::{Bytes, Kind, Remote, Whence};

    use super::*;

    fn came(mime_type: &str, file_name: &str) -> Came {
        Came {
            kind: Kind::Document,
            mime_type: Some(mime_type.to_owned()),
            file_name: Some(file_name.to_owned()),
            remote: Remote {
                direct_path: "/v".to_owned(),
                url: None,
                key: Bytes(vec![1; 32]),
                key_at: None,
                encrypted_sha256: Bytes(vec![2; 32]),
                sha256: Bytes(vec![3; 32]),
                size: 7,
                sidecar: None,
                thumbnail: None,
                waveform: None,
                whence: None,
            },
            whence: Whence {
                whatsapp_id: "3A".to_owned(),
                chat: "15550100001@s.whatsapp.net".to_owned(),
                from_me: false,
                participant: None,
            },
        }
    }

    #[test]
    fn what_a_sender_says_of_a_file_is_told_as_far_as_it_can_be() {
        let odd = came("text/html\r\nx: y", "../a\r\nb\\c.html");
        assert_eq!(mime_type(&odd).as_str(), UNTYPED);
        assert_eq!(file_name(&odd).expect("a name").as_str(), ".._ab_c.html");
        let plain = came("image/jpeg", "Übersicht (2).jpg");
        assert_eq!(mime_type(&plain).as_str(), "image/jpeg");
        assert_eq!(file_name(&plain).expect("a name").as_str(), "Übersicht (2).jpg");
        assert_eq!(file_name(&came("image/jpeg", "\n")), None);
    }
}
