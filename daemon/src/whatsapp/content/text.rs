//! Texts.

use shared::domain::content::{Content, Text};
use wacore::proto_helpers::{MessageBuilderExt as _, MessageExt as _};
use waproto::whatsapp as wa;

pub fn write(text: &Text) -> wa::Message {
    wa::Message::text(&text.text)
}

/// Plain, or with a preview or a quote.
pub fn read(message: &wa::Message) -> Option<Content> {
    message.text_content().map(Content::text)
}
