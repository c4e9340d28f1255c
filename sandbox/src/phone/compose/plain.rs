//! The kinds that need neither a file nor another message: texts, places, contacts, polls, events.

use waproto::whatsapp as wa;
use waproto::whatsapp::message::extended_text_message::FontType;
use waproto::whatsapp::message::protocol_message::Type;

use super::request::{Contact, Contacts, Disappearing, Event, LiveLocation, Location, Poll, Text};
use super::{MAX_TEXT, length};
use crate::directory;
use crate::error::{Error, Result};

/// What a text status is written on, as ARGB.
const STATUS_COLOUR: u32 = 0xFF1E_6E4F;

/// The timers that the apps offer, in seconds.
const TIMERS: [u32; 4] = [0, 86_400, 604_800, 7_776_000];

pub(super) fn text(body: &Text) -> Result<wa::Message> {
    if body.text.is_empty() || body.text.len() > MAX_TEXT {
        return Err(Error::Invalid(format!("`text` has 1 to {MAX_TEXT} bytes")));
    }
    let Some(preview) = &body.preview else {
        return Ok(wa::Message {
            conversation: Some(body.text.clone()),
            ..Default::default()
        });
    };
    if preview.url.is_empty() || !body.text.contains(&preview.url) {
        return Err(Error::Invalid("`preview.url` stands in the text".into()));
    }
    Ok(wa::Message {
        extended_text_message: wa::message::ExtendedTextMessage {
            text: Some(body.text.clone()),
            matched_text: Some(preview.url.clone()),
            title: preview.title.clone(),
            description: preview.description.clone(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

/// Gives a text the looks of a status: written on a colour.
pub(super) fn on_a_colour(message: &mut wa::Message) {
    if let Some(text) = message.conversation.take() {
        message.extended_text_message.get_or_insert_default().text = Some(text);
    }
    let text = message.extended_text_message.get_or_insert_default();
    text.background_argb = Some(STATUS_COLOUR);
    text.font = Some(FontType::SYSTEM);
}

fn coordinates(latitude: f64, longitude: f64) -> Result<()> {
    for (member, value, most) in [("latitude", latitude, 90.0), ("longitude", longitude, 180.0)] {
        if !(-most..=most).contains(&value) {
            return Err(Error::Invalid(format!("`{member}` is -{most} to {most} degrees")));
        }
    }
    Ok(())
}

pub(super) fn location(body: &Location) -> Result<wa::Message> {
    coordinates(body.latitude, body.longitude)?;
    Ok(wa::Message {
        location_message: wa::message::LocationMessage {
            degrees_latitude: Some(body.latitude),
            degrees_longitude: Some(body.longitude),
            name: body.name.clone(),
            address: body.address.clone(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

pub(super) fn live_location(body: &LiveLocation) -> Result<wa::Message> {
    coordinates(body.latitude, body.longitude)?;
    Ok(wa::Message {
        live_location_message: wa::message::LiveLocationMessage {
            degrees_latitude: Some(body.latitude),
            degrees_longitude: Some(body.longitude),
            caption: body.caption.clone(),
            sequence_number: Some(body.sequence.unwrap_or(1)),
            time_offset: body.seconds,
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

pub(super) fn contact(body: &Contact) -> Result<wa::Message> {
    Ok(wa::Message {
        contact_message: card(body)?.into(),
        ..Default::default()
    })
}

pub(super) fn contacts(body: &Contacts) -> Result<wa::Message> {
    if !(2..=257).contains(&body.contacts.len()) {
        return Err(Error::Invalid("`contacts` has 2 to 257 entries".into()));
    }
    let contacts = body.contacts.iter().map(card).collect::<Result<Vec<_>>>()?;
    Ok(wa::Message {
        contacts_array_message: wa::message::ContactsArrayMessage {
            display_name: Some(format!("{} contacts", contacts.len())),
            contacts,
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

/// A contact with its card. The card names the number twice, as the apps write it: to show, and as WhatsApp's id.
fn card(contact: &Contact) -> Result<wa::message::ContactMessage> {
    let (name, vcard) = match (&contact.phone, &contact.vcard) {
        (None, Some(vcard)) => {
            let full_name = vcard.lines().find_map(|line| line.trim_end().strip_prefix("FN:"));
            let name = contact.name.as_deref().or(full_name);
            let missing = || Error::Invalid("`name` is missing, and the `vcard` has no FN".into());
            (name.ok_or_else(missing)?.to_owned(), vcard.clone())
        }
        (Some(phone), None) => {
            directory::check_number(phone)?;
            let name = contact.name.clone();
            let name = name.ok_or_else(|| Error::Invalid("`name` is missing beside `phone`".into()))?;
            let vcard = format!(
                "BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\nitem1.TEL;waid={phone}:+{phone}\nEND:VCARD"
            );
            (name, vcard)
        }
        _ => {
            return Err(Error::Invalid(
                "a contact has exactly one of `phone` and `vcard`".into(),
            ));
        }
    };
    length("name", &name, 1, 255)?;
    Ok(wa::message::ContactMessage {
        display_name: Some(name),
        vcard: Some(vcard),
        ..Default::default()
    })
}

pub(super) fn poll(body: &Poll) -> Result<wa::Message> {
    length("question", &body.question, 1, 255)?;
    if !(2..=12).contains(&body.options.len()) {
        return Err(Error::Invalid("`options` has 2 to 12 entries".into()));
    }
    for (at, option) in body.options.iter().enumerate() {
        length("options", option, 1, 100)?;
        if body.options[..at].contains(option) {
            return Err(Error::Invalid("`options` has no entry twice".into()));
        }
    }
    let selectable = body.selectable.unwrap_or(1);
    if usize::try_from(selectable).is_ok_and(|most| most > body.options.len()) {
        return Err(Error::Invalid(
            "`selectable` is at most the number of options".into(),
        ));
    }
    let options = body
        .options
        .iter()
        .map(|name| wa::message::poll_creation_message::Option {
            option_name: Some(name.clone()),
            ..Default::default()
        });
    let poll = wa::message::PollCreationMessage {
        name: Some(body.question.clone()),
        options: options.collect(),
        selectable_options_count: Some(selectable),
        ..Default::default()
    };
    // Clients write polls with a single choice in a field of their own.
    Ok(if selectable == 1 {
        wa::Message {
            poll_creation_message_v3: poll.into(),
            ..Default::default()
        }
    } else {
        wa::Message {
            poll_creation_message: poll.into(),
            ..Default::default()
        }
    })
}

pub(super) fn event(body: &Event) -> Result<wa::Message> {
    length("name", &body.name, 1, 255)?;
    if body.end_time.is_some_and(|end| end < body.start_time) {
        return Err(Error::Invalid("`endTime` is not before `startTime`".into()));
    }
    let location = body.location.as_ref().map(|name| wa::message::LocationMessage {
        name: Some(name.clone()),
        ..Default::default()
    });
    Ok(wa::Message {
        event_message: wa::message::EventMessage {
            name: Some(body.name.clone()),
            description: body.description.clone(),
            start_time: Some(body.start_time),
            end_time: body.end_time,
            location: location.map(buffa::MessageField::some).unwrap_or_default(),
            is_canceled: Some(body.cancelled),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

pub(super) fn disappearing(body: &Disappearing, now_secs: i64) -> Result<wa::Message> {
    if !TIMERS.contains(&body.seconds) {
        return Err(Error::Invalid(format!("`seconds` is one of {TIMERS:?}")));
    }
    Ok(wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(Type::EPHEMERAL_SETTING),
            ephemeral_expiration: Some(body.seconds),
            ephemeral_setting_timestamp: Some(now_secs),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}
