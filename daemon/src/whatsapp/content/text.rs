//! Texts.

use shared::domain::content::{Content, Preview, Text};
use wacore::proto_helpers::{MessageBuilderExt as _, MessageExt as _};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::extended_text_message::PreviewType;

pub fn write(text: &Text) -> wa::Message {
    text.preview.as_deref().map_or_else(
        || wa::Message::text(&text.text),
        |preview| with_preview(&text.text, preview),
    )
}

/// A text with what it shows of a page. Apps show nothing of it where `matchedText` does not stand in the text.
fn with_preview(text: &str, preview: &Preview) -> wa::Message {
    wa::Message {
        extended_text_message: buffa::MessageField::some(wa::message::ExtendedTextMessage {
            text: Some(text.to_owned()),
            matched_text: Some(preview.link.clone()),
            title: Some(preview.title.clone()),
            description: preview.description.clone(),
            preview_type: Some(PreviewType::NONE),
            jpeg_thumbnail: preview.thumbnail.as_ref().map(|thumbnail| thumbnail.0.clone()),
            ..wa::message::ExtendedTextMessage::default()
        }),
        ..wa::Message::default()
    }
}

/// Plain, or with a preview or a quote.
pub fn read(message: &wa::Message) -> Option<Content> {
    message.text_content().map(Content::text)
}

#[cfg(test)]
mod tests {
    use shared::domain::content::Bytes;

    use super::*;

    #[test]
    fn a_text_shows_a_page_and_reads_as_a_text() {
        let said = "look: www.example.com!";
        let text = Text {
            preview: Some(Box::new(Preview {
                link: "www.example.com".to_owned(),
                title: "Example".to_owned(),
                description: None,
                thumbnail: Some(Bytes(vec![1, 2, 3])),
            })),
            ..Text::with_preview(said.to_owned(), true)
        };
        let message = write(&text);
        let shown = message.extended_text_message.as_option().expect("a preview");
        assert_eq!(shown.matched_text.as_deref(), Some("www.example.com"));
        assert_eq!(shown.title.as_deref(), Some("Example"));
        assert_eq!(shown.jpeg_thumbnail.as_deref(), Some(&[1, 2, 3][..]));
        assert!(read(&message) == Some(Content::text(said)));
    }

    #[test]
    fn a_text_without_a_preview_is_a_plain_one() {
        let text = Text::with_preview("https://example.com".to_owned(), true);
        assert_eq!(write(&text).conversation.as_deref(), Some("https://example.com"));
    }
}
