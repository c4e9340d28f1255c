//! Making the messages that people send.
//!
//! A request becomes the protobuf that a phone's app would encrypt. Files are uploaded before the unit of work that
//! sends the message. Everything else is made within that unit, since it may name messages of the phone's own inbox.

mod about;
mod context;
mod file;
mod plain;
mod request;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::Message as _;
use waproto::whatsapp as wa;

pub(crate) use context::{Addressee, Letter, addressee, jid};
pub(crate) use file::upload;
pub use request::{
    Body, Contact, Contacts, Disappearing, Edit, Event, EventResponse, File, LiveLocation, Location, Pin,
    Poll, PollVote, Preview, Raw, Reaction, Revoke, SendRequest, Text,
};

use super::secrets;
use crate::error::{Error, Result};
use crate::store::Unit;

/// The longest text of a message in bytes, as in the apps.
const MAX_TEXT: usize = 65_536;

/// The longest id that a caller may give, as the relay takes them.
pub(crate) const MAX_ID: usize = 128;

/// Makes the message of `request`. `file` is the message that an upload has made, for the kinds that have one.
///
/// # Errors
/// [`Error::Invalid`] names the member and the rule; [`Error::NotFound`] for messages and people that it names and
/// that are not there; [`Error::Conflict`] where the one named does not allow it.
pub(crate) fn message(
    unit: &Unit<'_>,
    letter: &Letter<'_>,
    request: &SendRequest,
    file: Option<wa::Message>,
) -> Result<wa::Message> {
    if letter.is_status() && !request.body.is_for_statuses() {
        return Err(Error::Invalid(format!(
            "a status is not of the kind `{}`",
            request.body.kind()
        )));
    }
    let (mut message, own_secret) = match &request.body {
        Body::Text(body) => (plain::text(body)?, true),
        Body::Image(body)
        | Body::Video(body)
        | Body::VideoNote(body)
        | Body::Audio(body)
        | Body::Voice(body)
        | Body::Document(body)
        | Body::Sticker(body) => {
            let uploaded = file.ok_or_else(|| Error::codec("a file to send", "it was not uploaded"))?;
            (file::finish(body, &request.body, uploaded), true)
        }
        Body::Location(body) => (plain::location(body)?, true),
        Body::LiveLocation(body) => (plain::live_location(body)?, true),
        Body::Contact(body) => (plain::contact(body)?, true),
        Body::Contacts(body) => (plain::contacts(body)?, true),
        Body::Poll(body) => (plain::poll(body)?, true),
        Body::Event(body) => (plain::event(body)?, true),
        Body::Disappearing(body) => (plain::disappearing(body, unit.now_secs())?, false),
        Body::PollVote(body) => (about::vote(unit, letter, body)?, false),
        Body::EventResponse(body) => (about::event_response(unit, letter, body)?, false),
        Body::Reaction(body) => (about::reaction(unit, letter, body)?, false),
        Body::Edit(body) => (about::edit(unit, letter, body)?, false),
        Body::Revoke(body) => (about::revoke(unit, letter, body)?, false),
        Body::Pin(body) => (about::pin(unit, letter, body)?, false),
        Body::Raw(body) => (raw(body)?, false),
    };
    if letter.is_status() && matches!(request.body, Body::Text(_)) {
        plain::on_a_colour(&mut message);
    }
    context::add(unit, letter, request, &mut message)?;
    if let Body::Image(body) | Body::Video(body) | Body::Voice(body) = &request.body
        && body.view_once
    {
        message = file::once(message);
    }
    if own_secret {
        secrets::give(&mut message);
    }
    Ok(message)
}

/// Checks an id that a caller gives.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let printable = id.bytes().all(|byte| byte.is_ascii_graphic());
    if printable && (1..=MAX_ID).contains(&id.len()) {
        Ok(())
    } else {
        Err(Error::Invalid(format!(
            "`id` has 1 to {MAX_ID} printable ASCII characters without spaces"
        )))
    }
}

fn raw(body: &Raw) -> Result<wa::Message> {
    let bytes = STANDARD
        .decode(&body.protobuf)
        .map_err(|_| Error::Invalid("`protobuf` is no base64 with padding (RFC 4648, 4)".into()))?;
    wa::Message::decode_from_slice(&bytes)
        .map_err(|error| Error::Invalid(format!("`protobuf` is no Message: {error}")))
}

/// Checks that `value` has `least` to `most` characters.
fn length(member: &str, value: &str, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value.chars().count()) {
        Ok(())
    } else {
        Err(Error::Invalid(format!(
            "`{member}` has {least} to {most} characters"
        )))
    }
}
