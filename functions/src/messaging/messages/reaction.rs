//! `POST /api/messages/{message}/reaction`.

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use shared::domain::content::{Content, Kind, MAX_EMOJI, Reaction};
use shared::ids::MessageId;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::about;
use super::accept::Accepted;
use super::unaddressed::{AtOnce, Unaddressed};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields, Path};
use crate::messaging::MessagingState;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ReactionRequest, example = json!({"emoji": "👍"}))]
pub struct Request {
    #[schema(schema_with = emoji_schema)]
    emoji: String,
}

fn emoji_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_EMOJI))
        .pattern(Some(PATTERN))
        .description(Some("One emoji; an empty one takes the reaction back"))
        .examples(["👍"])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    about::endpoint(
        Method::POST,
        "/api/messages/{message}/reaction",
        "reactToMessage",
        "Reacts to a message, or takes the reaction back",
        handler,
    )
    .details(
        "The reaction is a message of its own, with an id and states, and goes out after the one that it is about. The \
         last one counts. `CONFLICT` while the message is put off, since the reaction would go out before it.",
    )
    .status(StatusCode::ACCEPTED)
}

pub async fn handler(asked: Unaddressed<Request, AtOnce, Path<MessageId>>) -> Result<Accepted, ApiError> {
    let asked = asked.check(|own, _, fields| emoji(own, fields)).await?;
    let record = asked.record().await?;
    let saying = asked.saying(&record);
    let refusal = if record.kind.is_about_another() || record.kind == Kind::Status {
        let message = format!("{} cannot be reacted to", about::a(record.kind));
        Some(about::conflict(&record, message))
    } else {
        about::refuse_unsayable(&asked.state, &record, asked.now).await?
    };
    saying.unless(refusal).await?;
    let content = Content::Reaction(Reaction {
        target: saying.target()?,
        emoji: asked.own.clone(),
    });
    saying.accept(content, asked.options.clone(), &asked.bytes).await
}

fn emoji(own: Request, fields: &mut Fields) -> String {
    if !is_emoji(&own.emoji) {
        let message = format!("must be one emoji of at most {MAX_EMOJI} characters, or empty");
        fields.fault("emoji", message);
    }
    own.emoji
}

/// The same rule for the OpenAPI document.
const PATTERN: &str = concat!(
    "^([0-9#*]\u{fe0f}?\u{20e3}|",
    "([©®\u{203c}\u{2049}\u{2122}\u{2139}\u{2190}-\u{21ff}\u{2300}-\u{23ff}\u{24c2}\u{25a0}-\u{27bf}\u{2934}\u{2935}",
    "\u{2b00}-\u{2bff}\u{3030}\u{303d}\u{3297}\u{3299}\u{1f000}-\u{1faff}]",
    "[\u{fe0f}\u{200d}\u{e0020}-\u{e007f}]*)*)$",
);

/// Whether an app shows this as a reaction. Which characters are emoji changes with each version of Unicode, so whole blocks
/// of them count.
fn is_emoji(text: &str) -> bool {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return true;
    };
    if matches!(first, '0'..='9' | '#' | '*') {
        // A keycap.
        return matches!(characters.as_str(), "\u{20e3}" | "\u{fe0f}\u{20e3}");
    }
    text.chars().count() <= MAX_EMOJI
        && is_picture(first)
        && characters
            .all(|c| is_picture(c) || matches!(c, '\u{fe0f}' | '\u{200d}' | '\u{e0020}'..='\u{e007f}'))
}

const fn is_picture(c: char) -> bool {
    matches!(c,
        '©' | '®' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2934}' | '\u{2935}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_surely_no_emoji_is_none() {
        for emoji in [
            "",
            "👍",
            "❤",
            "❤\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "#\u{20e3}",
            "🇩🇪",
            "©",
            "®\u{fe0f}",
            "‼",
            "ℹ",
            "Ⓜ\u{fe0f}",
            "🅰",
            "㊗",
            "👩🏽\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨🏿",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        ] {
            assert!(is_emoji(emoji), "{emoji}");
        }
        let many = "👍".repeat(MAX_EMOJI + 1);
        for text in [
            "ok",
            "1",
            "#",
            "12",
            ":)",
            "é",
            " ",
            "👍 ",
            "\n",
            "\0",
            "日本",
            "привет",
            "\u{fe0f}",
            "\u{200d}",
            "👍a",
            &many,
        ] {
            assert!(!is_emoji(text), "{text:?}");
        }
    }
}
