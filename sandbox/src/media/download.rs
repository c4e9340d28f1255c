//! `GET` of a direct path: an encrypted file, or a picture. Whoever knows a path may download.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Refusal;
use super::catalogue::{self, Entry};
use crate::network::Network;

/// `GET /v/t62/{name}.enc`
pub(super) async fn media(
    State(network): State<Arc<Network>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    // Clients that know no query append their parameters to the path.
    let name = file.split_once(".enc").map(|(name, _)| name.to_owned());
    serve(&network, name, false, &headers).await
}

/// `GET /v/t61/{name}.jpg`
pub(super) async fn picture(
    State(network): State<Arc<Network>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = file.strip_suffix(".jpg").map(str::to_owned);
    serve(&network, name, true, &headers).await
}

async fn serve(
    network: &Network,
    name: Option<String>,
    picture: bool,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "nothing is at this path");
    let name = name.ok_or_else(unknown)?;
    let found = network
        .store
        .run(move |unit| catalogue::find(unit, &name, picture))
        .await?;
    let (hash, length) = match found {
        None => return Err(unknown()),
        Some(Entry::Expired) => return Err(Refusal::new(StatusCode::GONE, "this file has expired")),
        Some(Entry::Live(kept)) => (kept.hash, kept.length),
    };
    let wanted = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (start, end, status) = match wanted.and_then(|range| parse(range, length)) {
        None => (0, length, StatusCode::OK),
        Some(Range::Bytes { start, end }) => (start, end, StatusCode::PARTIAL_CONTENT),
        Some(Range::Beyond) => {
            let mut refusal = Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "the file ends before this range",
            )
            .into_response();
            if let Ok(value) = format!("bytes */{length}").parse() {
                refusal.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Ok(refusal);
        }
    };
    let stream = network.media.blobs.stream(&hash, start, end - start).await;
    let stream = stream.map_err(|error| {
        // The catalogue promises it; somebody took the file away.
        tracing::error!(%error, "a media file cannot be read");
        unknown()
    })?;
    let kind = if picture {
        "image/jpeg"
    } else {
        "application/octet-stream"
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, end - start)
        .header(header::ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let last = end - 1;
        response = response.header(header::CONTENT_RANGE, format!("bytes {start}-{last}/{length}"));
    }
    response
        .body(Body::from_stream(stream))
        .map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be made"))
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From `start` to before `end`; not empty.
    Bytes { start: u64, end: u64 },
    /// Nothing that is there.
    Beyond,
}

/// Reads a single range of bytes (RFC 9110, 14.1.2). `None` for anything else: the whole file answers that.
fn parse(range: &str, length: u64) -> Option<Range> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = if first.is_empty() {
        let suffix: u64 = last.parse().ok()?;
        (length.saturating_sub(suffix), length)
    } else {
        let start: u64 = first.parse().ok()?;
        let end = match last {
            "" => length,
            last => last.parse::<u64>().ok()?.checked_add(1)?,
        };
        if end <= start {
            return if last.is_empty() {
                Some(Range::Beyond)
            } else {
                None
            };
        }
        (start, end.min(length))
    };
    Some(if start < end {
        Range::Bytes { start, end }
    } else {
        Range::Beyond
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let bytes = |start, end| Some(Range::Bytes { start, end });
        assert_eq!(parse("bytes=0-0", 10), bytes(0, 1));
        assert_eq!(parse("bytes=4-", 10), bytes(4, 10));
        assert_eq!(parse("bytes=4-99", 10), bytes(4, 10));
        assert_eq!(parse("bytes=-3", 10), bytes(7, 10));
        assert_eq!(parse("bytes=-99", 10), bytes(0, 10));
        assert_eq!(parse("bytes=10-", 10), Some(Range::Beyond));
        assert_eq!(parse("bytes=10-12", 10), Some(Range::Beyond));
        assert_eq!(parse("bytes=-0", 10), Some(Range::Beyond));
        for whole in [
            "bytes=5-4",
            "bytes=a-b",
            "items=0-1",
            "bytes=0-1,3-4",
            "bytes=--1",
        ] {
            assert_eq!(parse(whole, 10), None, "{whole}");
        }
    }
}
