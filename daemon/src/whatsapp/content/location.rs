//! Places, and where people are.

use shared::domain::content::{Content, Location, Place};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

/// The number of a live place. Each later one of the same message has a higher number.
const FIRST: i64 = 1;

/// A live place does not say in itself for how long it is shared: apps write that beside the encrypted message (`duration` of
/// `<enc>`), where the library writes nothing of its own.
pub fn write(location: &Location) -> wa::Message {
    let place = &location.location;
    if place.live {
        return wa::Message {
            live_location_message: buffa::MessageField::some(wa::message::LiveLocationMessage {
                degrees_latitude: Some(place.latitude),
                degrees_longitude: Some(place.longitude),
                caption: location.text.clone(),
                sequence_number: Some(FIRST),
                ..wa::message::LiveLocationMessage::default()
            }),
            ..wa::Message::default()
        };
    }
    wa::Message {
        location_message: buffa::MessageField::some(wa::message::LocationMessage {
            degrees_latitude: Some(place.latitude),
            degrees_longitude: Some(place.longitude),
            name: place.name.clone(),
            address: place.address.clone(),
            ..wa::message::LocationMessage::default()
        }),
        ..wa::Message::default()
    }
}

/// A sender may name any degrees: those that are no place are of no kind.
pub fn read(message: &wa::Message) -> Option<Content> {
    let base = message.get_base_message();
    let location = if let Some(place) = base.location_message.as_option() {
        Location {
            location: Place {
                latitude: place.degrees_latitude?,
                longitude: place.degrees_longitude?,
                name: said(place.name.as_ref()),
                address: said(place.address.as_ref()),
                live: place.is_live.unwrap_or_default(),
            },
            text: said(place.comment.as_ref()),
            live_seconds: None,
        }
    } else {
        let place = base.live_location_message.as_option()?;
        Location {
            location: Place {
                latitude: place.degrees_latitude?,
                longitude: place.degrees_longitude?,
                name: None,
                address: None,
                live: true,
            },
            text: said(place.caption.as_ref()),
            live_seconds: None,
        }
    };
    location
        .location
        .is_on_the_globe()
        .then_some(Content::Location(location))
}

/// Apps fill in an empty text for none.
fn said(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(latitude: f64) -> wa::Message {
        wa::Message {
            live_location_message: buffa::MessageField::some(wa::message::LiveLocationMessage {
                degrees_latitude: Some(latitude),
                degrees_longitude: Some(13.0),
                caption: Some("on my way".to_owned()),
                ..wa::message::LiveLocationMessage::default()
            }),
            ..wa::Message::default()
        }
    }

    #[test]
    fn where_somebody_is_now_is_a_live_place() {
        let Some(Content::Location(Location { location, text, .. })) = read(&live(52.5)) else {
            panic!("a location");
        };
        assert!(location.live && location.name.is_none());
        assert_eq!(text.as_deref(), Some("on my way"));
    }

    #[test]
    fn a_live_place_is_written_as_one() {
        let place = Location {
            location: Place {
                latitude: 52.5,
                longitude: 13.0,
                name: None,
                address: None,
                live: true,
            },
            text: None,
            live_seconds: Some(900),
        };
        let written = write(&place);
        assert!(!written.location_message.is_set());
        let live = written.live_location_message.as_option().expect("a live place");
        assert_eq!(live.sequence_number, Some(FIRST));
        let read = read(&written).expect("a place");
        let told = Location {
            live_seconds: None,
            ..place
        };
        assert!(read == Content::Location(told));
    }

    #[test]
    fn degrees_that_are_no_place_are_no_location() {
        assert!(read(&live(90.5)).is_none() && read(&live(f64::NAN)).is_none());
        let nowhere = wa::Message {
            location_message: buffa::MessageField::some(wa::message::LocationMessage::default()),
            ..wa::Message::default()
        };
        assert!(read(&nowhere).is_none());
    }
}
