//! Status updates.

use shared::domain::content::{Content, Status};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::extended_text_message::FontType;

use super::{media, text};

/// What a text is written on, as ARGB: a green that apps offer.
const COLOUR: u32 = 0xFF1E_6E4F;

/// What it is written in, as ARGB.
const WHITE: u32 = 0xFFFF_FFFF;

/// `None` where the status shows what none can.
pub fn write(status: &Status) -> Option<wa::Message> {
    match status.status.as_ref() {
        Content::Text(said) => Some(on_a_colour(text::write(said))),
        Content::Image(image) => media::write_image(image),
        Content::Video(video) => media::write_video(video),
        _ => None,
    }
}

/// A text with the looks of a status.
fn on_a_colour(mut message: wa::Message) -> wa::Message {
    let plain = message.conversation.take();
    let text = message.extended_text_message.get_or_insert_default();
    text.text = text.text.take().or(plain);
    text.background_argb = Some(COLOUR);
    text.text_argb = Some(WHITE);
    text.font = Some(FontType::SYSTEM);
    message
}

#[cfg(test)]
mod tests {
    use shared::domain::content::{Location, Place};

    use super::*;

    fn status(content: Content) -> Status {
        Status {
            status: Box::new(content),
        }
    }

    #[test]
    fn a_text_is_written_on_a_colour() {
        let written = write(&status(Content::text("the sea"))).expect("a status");
        assert!(written.conversation.is_none());
        let text = written.extended_text_message.as_option().expect("a text");
        assert_eq!(text.text.as_deref(), Some("the sea"));
        assert_eq!(
            (text.background_argb, text.font),
            (Some(COLOUR), Some(FontType::SYSTEM))
        );
    }

    #[test]
    fn a_picture_is_one_and_a_place_is_none() {
        let image = media::tests::sample();
        let written = write(&status(Content::Image(image))).expect("a status");
        assert!(written.image_message.is_set());
        let place = Location {
            location: Place {
                latitude: 1.0,
                longitude: 2.0,
                name: None,
                address: None,
                live: false,
            },
            text: None,
            live_seconds: None,
        };
        assert!(write(&status(Content::Location(place))).is_none());
    }
}
