//! A message's file when the message is accepted: it is put where it rests until the message's time is over.
//!
//! A file that comes with the request goes into the bucket, sealed, unless it is as small as a text: jobs stay small,
//! wherever they wait. A file that its caller has uploaded becomes the message's, and no other message has it: it is copied
//! to a name of the message's own, where it outlasts the day after which uploads are forgotten. Both are called by the
//! message's id, so a retry under the same idempotency key writes the same object again.
//!
//! All this comes before the message is counted. Where it is not accepted, nothing of it stays, except under an idempotency
//! key: a retry goes on with the same file, perhaps while the first request still waits for the bucket.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::bucket::{BucketError, Length, ObjectName, PutError};
use shared::domain::content::{Bytes as Inline, Content, Kind, MAX_CARRIED, Media, Source};
use shared::domain::media::Rule;
use shared::domain::upload::UPLOAD_TERM;
use shared::ids::{InstanceId, MediaId, MessageId};
use shared::storage::idempotency;
use shared::storage::media::{Taken, Taking};
use tokio::time::timeout;

use super::kinds::not_taken;
use crate::http::{ApiError, Code, log};
use crate::messaging::MessagingState;
use crate::messaging::media::uploads::{self, Upload, taken_by};

/// How long a file may take on its way to its place. A request has 25 s for all it does.
const PUT_DEADLINE: Duration = Duration::from_secs(15);

/// How long taking one away may. Where that fails the bucket's own rules do it.
const DELETE_DEADLINE: Duration = Duration::from_secs(3);

/// How long a request may be at work with an upload, by far: its message has a record then, or is not accepted by it.
const AT_WORK: TimeDelta = TimeDelta::minutes(1);

/// What an upload's name and type are known for after a message took it: as long as a request may be repeated.
const KNOWN_FOR: TimeDelta = TimeDelta::hours(1 + idempotency::TERM.num_hours());

/// What a send with a file may answer beside what every send may: an upload is another message's, or is kept no more.
pub const ERRORS: [Code; 2] = [Code::Conflict, Code::MediaGone];

/// The message that a file is for.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// Whose message it is.
    pub instance: InstanceId,
    /// The message.
    pub message: MessageId,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// Until when it is worth sending.
    pub expires_at: DateTime<Utc>,
    /// Whether no other request can make a job of it: it has no idempotency key, under which a retry may be at work beside this
    /// one, or was before.
    pub is_alone: bool,
}

/// A message's file in the bucket.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Where it rests.
    pub object: ObjectName,
    owner: Owner,
    upload: Option<(MediaId, Upload)>,
}

impl Owner {
    fn object(&self, is_upload: bool) -> ObjectName {
        let of = (self.instance, self.message);
        ObjectName::of_message(of, (self.accepted_at, self.expires_at), is_upload)
    }
}

/// Puts a message's file where it rests, and says so in its content. `None` where it has none that needs a place.
pub async fn keep(
    state: &MessagingState,
    owner: Owner,
    content: &mut Content,
) -> Result<Option<Kept>, ApiError> {
    let kind = content.shown().kind();
    let Some(media) = content.media_mut() else {
        return Ok(None);
    };
    let kept = match &mut media.source {
        Some(Source::Inline(Inline(bytes))) if bytes.len() > MAX_CARRIED => {
            let bytes = std::mem::take(bytes);
            put(state, owner, bytes.into()).await?
        }
        Some(Source::Upload(id)) => {
            let id = *id;
            take(state, owner, id, kind, media).await?
        }
        _ => return Ok(None),
    };
    media.source = Some(Source::Stored(kept.object.clone()));
    Ok(Some(kept))
}

async fn put(state: &MessagingState, owner: Owner, bytes: Bytes) -> Result<Kept, ApiError> {
    let kept = Kept {
        object: owner.object(false),
        owner,
        upload: None,
    };
    let length = Length::Exactly(bytes.len() as u64);
    let whole = futures::stream::iter([Ok::<_, Infallible>(bytes)]);
    let putting = state.bucket.put(&kept.object, whole, length);
    let error = match timeout(PUT_DEADLINE, putting).await {
        Ok(Ok(_)) => return Ok(kept),
        Ok(Err(PutError::Bucket(error))) => error.into(),
        Ok(Err(error)) => ApiError::internal().caused_by(error),
        Err(_) => BucketError::Timeout("put").into(),
    };
    kept.drop_if_alone(state).await;
    Err(error)
}

/// Makes a file that was uploaded the message's.
async fn take(
    state: &MessagingState,
    owner: Owner,
    id: MediaId,
    kind: Kind,
    media: &mut Media,
) -> Result<Kept, ApiError> {
    let now = state.clock.now();
    let found = uploads::find(state, owner.instance, id).await?;
    let mut upload = found.ok_or_else(|| unknown(id, now))?;
    let holder = upload.taken.as_ref().map(|taken| taken.message);
    let from = holder.filter(|holder| *holder != owner.message);
    if let Some(holder) = from {
        require_abandoned(state, owner.instance, &upload, holder, now).await?;
        upload.taken = None;
    }
    check(kind, &upload)?;
    if kind == Kind::Document {
        let file = &mut media.media;
        let announced = upload.about.file_name.as_ref();
        file.file_name = file.file_name.take().or(announced.map(ToString::to_string));
        let mime_type = upload.about.mime_type.to_string();
        file.mime_type.get_or_insert(mime_type);
    }
    let taken = Taken {
        message: owner.message,
        object: owner.object(true),
    };
    let known_until = upload.expires.max(now + KNOWN_FOR);
    let taking = state
        .media
        .take(owner.instance, id, &taken, from, known_until)
        .await?;
    if taking == Taking::NotIts {
        // Another request was faster, or the upload was deleted just now.
        let now_its = uploads::find(state, owner.instance, id).await?;
        let other = now_its.and_then(|upload| upload.taken);
        return Err(other.map_or_else(|| unknown(id, now), |taken| taken_by(taken.message)));
    }
    let moved = moving(state, upload.clone(), taken.object.clone());
    let kept = Kept {
        object: taken.object,
        owner,
        upload: Some((id, upload)),
    };
    let error = match timeout(PUT_DEADLINE, moved).await {
        Ok(Ok(true)) => return Ok(kept),
        Ok(Ok(false)) => {
            kept.let_go(state).await;
            return Err(ApiError::field(
                "mediaId",
                "is that of a file which was not put to its `uploadUrl`, or was deleted",
            ));
        }
        Ok(Err(error)) => error.into(),
        Err(_) => BucketError::Timeout("copy").into(),
    };
    kept.drop_if_alone(state).await;
    Err(error)
}

/// Whether nothing came of the message that has an upload: its request was cut short before the message was accepted. A read unit,
/// and a look into the bucket.
async fn require_abandoned(
    state: &MessagingState,
    instance: InstanceId,
    upload: &Upload,
    holder: MessageId,
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    match state.messages.get(instance, holder).await? {
        Some(record) if !record.was_not_accepted() => return Err(taken_by(holder)),
        None if now - holder.created_at() < AT_WORK => return Err(held_for(holder)),
        Some(_) | None => {}
    }
    // An accepted message has its file under its own name alone. Its record may be missing while its job waits.
    if state.bucket.size(&upload.object).await?.is_none() {
        return Err(taken_by(holder));
    }
    Ok(())
}

/// Copies an upload to its message's own name. `false` where it is nowhere.
async fn moving(state: &MessagingState, upload: Upload, to: ObjectName) -> Result<bool, BucketError> {
    let bucket = &state.bucket;
    if bucket.copy(&upload.object, &to).await? {
        return Ok(true);
    }
    // A request before this one may have moved it, perhaps to where the times were others.
    let Some(Taken { object: from, .. }) = upload.taken else {
        return Ok(false);
    };
    if from == to {
        return Ok(bucket.size(&to).await?.is_some());
    }
    // That one stays until its term is over: a job of the request before may name it.
    bucket.copy(&from, &to).await
}

/// Whether a message of this kind may have such a file, as far as its caller says what it is.
fn check(kind: Kind, upload: &Upload) -> Result<(), ApiError> {
    let Some(rule) = Rule::of(kind) else {
        return Ok(());
    };
    let mime_type = upload.about.mime_type.essence();
    if mime_type != "application/octet-stream" && !rule.takes(mime_type) {
        return Err(not_taken(rule));
    }
    if upload.size > rule.max_bytes {
        let message = format!(
            "is that of a file of {} bytes: a message of the kind `{kind}` takes {} at most",
            upload.size, rule.max_bytes
        );
        return Err(ApiError::field("mediaId", message));
    }
    Ok(())
}

/// Nobody knows an upload with this id, at least not any more.
fn unknown(id: MediaId, now: DateTime<Utc>) -> ApiError {
    if id.created_at() + UPLOAD_TERM <= now {
        let message = "The file is not kept any more: an upload can be sent for 24 hours";
        return ApiError::new(Code::MediaGone, message);
    }
    ApiError::field(
        "mediaId",
        "must be the id of a file that was announced for this instance (`POST /api/media`)",
    )
}

/// A request with this upload may be at work, or was refused and may be repeated under its key.
fn held_for(message: MessageId) -> ApiError {
    let text = format!(
        "The file is held for the message {message}, which is not accepted yet: repeat that request, or send the file with \
         another message a minute later"
    );
    ApiError::new(Code::Conflict, text).with_details(json!({"messageId": message}))
}

impl Kept {
    /// The message is accepted: its file has no other name from here on.
    pub async fn settle(&self, state: &MessagingState) {
        if let Some((_, upload)) = &self.upload {
            delete(state, &upload.object).await;
        }
    }

    /// The message is certainly not accepted by this request. Where no other may accept it, nothing stays. Else a retry may have
    /// been accepted with this very file meanwhile: it stays for that, or until its term is over.
    pub async fn drop_if_alone(&self, state: &MessagingState) {
        if self.owner.is_alone {
            self.drop(state).await;
        }
    }

    /// The message will never be sent: its file goes, and an upload is its caller's again.
    pub async fn drop(&self, state: &MessagingState) {
        delete(state, &self.object).await;
        self.let_go(state).await;
    }

    async fn let_go(&self, state: &MessagingState) {
        let Some((id, upload)) = &self.upload else {
            return;
        };
        let Owner {
            instance, message, ..
        } = self.owner;
        let giving = state.media.give_back(instance, *id, message, upload.expires);
        if let Err(error) = giving.await {
            log::went_wrong(
                &error.into(),
                "an upload stays with a message that was not accepted",
            );
        }
    }
}

/// Deletes whatever file a message may have in the bucket that was taken back.
pub async fn delete_of(state: &MessagingState, owner: Owner) {
    let (own, uploaded) = (owner.object(false), owner.object(true));
    tokio::join!(delete(state, &own), delete(state, &uploaded));
}

async fn delete(state: &MessagingState, object: &ObjectName) {
    let deleted = timeout(DELETE_DEADLINE, state.bucket.delete(object)).await;
    let deleted = deleted.unwrap_or(Err(BucketError::Timeout("delete")));
    if let Err(error) = deleted {
        log::went_wrong(&error.into(), "a file stays in the bucket until its term is over");
    }
}
