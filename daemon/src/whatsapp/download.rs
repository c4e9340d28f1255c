//! Gets files from WhatsApp's media hosts, and has the phone upload again what the hosts have lost.
//!
//! A file goes to the disk as it comes, encrypted under a key of its own ([`Spool`]): neither memory nor the disk has it in the
//! clear. What its hashes do not vouch for is not handed on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shared::domain::content::{Came, Kind, Remote, Whence};
use shared::domain::upload::MAX_UPLOAD;
use tracing::debug;
use wacore::net::HttpRequest;
use wacore_binary::Jid;
use whatsapp_rust::download::{DownloadParams, DownloadUtils, MediaRoute};
use whatsapp_rust::features::{MediaRetryResult, MediaReuploadError, MediaReuploadRequest};
use whatsapp_rust::{Client, ErrorChainExt as _, IqError};

use super::spool::{Sink, Spool, media_type};
use crate::connection::{FetchedMedia, MediaError};

/// What a host answers where it does not have a file, or not under this path any more.
const LOST: [u16; 4] = [401, 403, 404, 410];

/// Gets the file of a message. It takes as long as the file is large, and its HTTP client ends it.
pub async fn fetch(client: &Client, came: &Came, folder: Option<&Path>) -> Result<FetchedMedia, MediaError> {
    let sink = Sink::new(came.kind, folder);
    match download(client, &came.remote, came.kind, sink).await {
        Err(MediaError::Gone) => {}
        spooled => {
            return spooled.map(|spool| FetchedMedia {
                spool,
                moved_to: None,
            });
        }
    }
    let path = ask_phone(client, &came.remote, &came.whence).await?;
    let moved = Remote {
        direct_path: path.clone(),
        ..came.remote.clone()
    };
    let sink = Sink::new(came.kind, folder);
    let spool = match download(client, &moved, came.kind, sink).await {
        // The phone has just uploaded it, so it is there in a moment.
        Err(MediaError::Gone) => return Err(unavailable("the phone's new upload is not there yet")),
        spooled => spooled?,
    };
    Ok(FetchedMedia {
        spool,
        moved_to: Some(path),
    })
}

/// Where a file lies that is to be sent again: where it did, if a host has it there; else where the phone uploads it again.
pub async fn find(
    client: &Client,
    remote: &Remote,
    kind: Kind,
    whence: &Whence,
) -> Result<String, MediaError> {
    for is_anew in [false, true] {
        match is_there(client, remote, kind, is_anew).await? {
            Some(true) => return Ok(remote.direct_path.clone()),
            Some(false) => return ask_phone(client, remote, whence).await,
            // What lets the account download may have run out.
            None => {}
        }
    }
    ask_phone(client, remote, whence).await
}

async fn download(client: &Client, remote: &Remote, kind: Kind, sink: Sink) -> Result<Spool, MediaError> {
    let params = params(remote, kind)?;
    fits(remote)?;
    let overflow = sink.overflow();
    let downloaded = client.download_to_writer(&params, sink).await;
    let sink = downloaded.map_err(|error| {
        // It is longer than its message says.
        if overflow.load(Ordering::Relaxed) {
            return MediaError::TooLarge;
        }
        of_download(&error)
    })?;
    let finishing = tokio::task::spawn_blocking(move || sink.finish());
    let spool = finishing
        .await
        .map_err(|error| MediaError::Unavailable(error.into()))?;
    let spool = spool.map_err(|error| MediaError::Unavailable(error.into()))?;
    if !remote.sha256.0.is_empty() && spool.sha256()[..] != remote.sha256.0[..] {
        return Err(unavailable("the file is another one than its message says"));
    }
    Ok(spool)
}

/// Whether a host has the file; `None` where the account may not know.
async fn is_there(
    client: &Client,
    remote: &Remote,
    kind: Kind,
    is_anew: bool,
) -> Result<Option<bool>, MediaError> {
    let hosts = client.refresh_media_conn(is_anew).await.map_err(of_query)?;
    let requests =
        DownloadUtils::prepare_download_requests(&params(remote, kind)?, &MediaRoute::from(&hosts));
    let requests = requests.map_err(|error| MediaError::Unavailable(error.into()))?;
    let mut trouble = unavailable("WhatsApp names no media hosts");
    for request in requests {
        // The first byte says it all.
        let first = HttpRequest::get(request.url).with_header("Range", "bytes=0-0");
        let http = Arc::clone(&client.http_client);
        let asking = tokio::task::spawn_blocking(move || http.execute_streaming(first));
        match asking
            .await
            .map_err(|error| MediaError::Unavailable(error.into()))?
        {
            Ok(answer) if answer.status_code < 300 => return Ok(Some(true)),
            Ok(answer) if matches!(answer.status_code, 401 | 403) => return Ok(None),
            Ok(answer) if LOST.contains(&answer.status_code) => return Ok(Some(false)),
            Ok(answer) => trouble = unavailable(format!("a media host answered {}", answer.status_code)),
            // Its words may quote the token that lets this account download.
            Err(_) => trouble = unavailable("a media host did not answer"),
        }
    }
    Err(trouble)
}

/// Has the phone upload the file of a message again. Answers its new path.
async fn ask_phone(client: &Client, remote: &Remote, whence: &Whence) -> Result<String, MediaError> {
    let (Ok(chat), Ok(participant)) = (
        whence.chat.parse::<Jid>(),
        whence.participant.as_deref().map(str::parse::<Jid>).transpose(),
    ) else {
        // Nobody can be asked for it.
        return Err(MediaError::Gone);
    };
    let request = MediaReuploadRequest {
        msg_id: &whence.whatsapp_id,
        chat_jid: &chat,
        media_key: &remote.key.0,
        is_from_me: whence.from_me,
        participant: participant.as_ref(),
    };
    match client.media_reupload().request(&request).await {
        Ok(MediaRetryResult::Success { direct_path }) => {
            let moved = Remote {
                direct_path,
                ..remote.clone()
            };
            if !moved.is_plain() {
                return Err(unavailable("the phone names a path that is none"));
            }
            Ok(moved.direct_path)
        }
        Ok(answer @ (MediaRetryResult::NotFound | MediaRetryResult::DecryptionError)) => {
            debug!(?answer, "the phone does not have a file any more");
            Err(MediaError::Gone)
        }
        Ok(MediaRetryResult::GeneralError) => Err(unavailable("the phone could not upload the file again")),
        Err(MediaReuploadError::NotLoggedIn | MediaReuploadError::Client(_)) => Err(MediaError::NotConnected),
        Err(MediaReuploadError::InvalidRequest(_)) => Err(MediaError::Gone),
        Err(error) => Err(MediaError::Unavailable(error.into())),
    }
}

/// What the library downloads a file by. It puts the path right behind a host, and the account's token behind that: a path that
/// would lead to another host is nowhere. What was stored before paths were checked comes here as well.
fn params(remote: &Remote, kind: Kind) -> Result<DownloadParams, MediaError> {
    if !remote.is_plain() {
        return Err(MediaError::Gone);
    }
    Ok(DownloadParams::encrypted(
        remote.direct_path.as_str(),
        &remote.key.0,
        &remote.sha256.0,
        &remote.encrypted_sha256.0,
        remote.size,
        media_type(kind),
    ))
}

/// Whether a file is to be fetched at all, as far as its message says: else nobody is asked for it.
const fn fits(remote: &Remote) -> Result<(), MediaError> {
    if remote.size > MAX_UPLOAD {
        return Err(MediaError::TooLarge);
    }
    Ok(())
}

fn unavailable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> MediaError {
    MediaError::Unavailable(why.into())
}

fn of_query(error: IqError) -> MediaError {
    match error {
        IqError::NotConnected | IqError::ClientState(_) => MediaError::NotConnected,
        error => MediaError::Unavailable(error.into()),
    }
}

/// Why a file did not come. The host's own words may quote the token that lets this account download.
fn of_download(error: &anyhow::Error) -> MediaError {
    match error.http_status() {
        Some(status) if LOST.contains(&status) => MediaError::Gone,
        Some(status) => unavailable(format!("a media host answered {status}")),
        None => match error.downcast_ref::<IqError>() {
            Some(IqError::NotConnected | IqError::ClientState(_)) => MediaError::NotConnected,
            Some(_) => unavailable("WhatsApp does not name its media hosts"),
            None => unavailable("the file did not come whole"),
        },
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::content::Bytes;
    use whatsapp_rust::http::HttpStatusError;

    use super::*;

    fn at(path: &str) -> Remote {
        Remote {
            direct_path: path.to_owned(),
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
        }
    }

    #[test]
    fn a_file_that_says_that_it_is_too_large_is_not_asked_for() {
        let of = |size| Remote { size, ..at("/v/t62") };
        assert!(fits(&of(MAX_UPLOAD)).is_ok());
        assert!(matches!(fits(&of(MAX_UPLOAD + 1)), Err(MediaError::TooLarge)));
    }

    #[test]
    fn a_stored_path_that_names_a_host_is_not_followed() {
        assert!(params(&at("/v/t62"), Kind::Image).is_ok());
        for odd in ["@evil.example/x", ".evil.example/x", "//evil.example/x"] {
            assert!(
                matches!(params(&at(odd), Kind::Image), Err(MediaError::Gone)),
                "{odd}"
            );
        }
    }

    #[test]
    fn only_what_a_host_says_of_the_file_itself_is_a_loss() {
        let answered =
            |status| of_download(&anyhow::Error::new(HttpStatusError { status }).context("Download failed"));
        for status in LOST {
            assert!(matches!(answered(status), MediaError::Gone), "{status}");
        }
        for status in [400, 408, 416, 429, 500, 502, 503, 507] {
            assert!(matches!(answered(status), MediaError::Unavailable(_)), "{status}");
        }
        let cut = anyhow::anyhow!("MAC mismatch");
        assert!(matches!(of_download(&cut), MediaError::Unavailable(_)));
        let away = IqError::NotConnected.into();
        assert!(matches!(of_download(&away), MediaError::NotConnected));
    }
}
