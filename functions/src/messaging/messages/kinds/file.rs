//! What all kinds with a file have in common: where the file comes from, and what its sender says of it.

use axum::body::Bytes as AnyBytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use shared::domain::content::{Bytes, File, MAX_CAPTION, MAX_INLINE, Media, Source};
use shared::domain::media::{Rule, is_mime_type};
use shared::domain::message::Kind;
use shared::ids::MediaId;
use shared::reach;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{KnownFormat, Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::http::{ApiError, Code, Fields, knows};
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::legible;
use crate::messaging::messages::members::object;
use crate::messaging::messages::sending::Sending;

/// What the document says of forms.
pub const FORM: &str = "The body may also be a form (`multipart/form-data`): its part `file` is the file, 4 MiB at most, and each other part a \
                        member. A file that was uploaded is sent with one message: the next one that names it is refused \
                        with `CONFLICT`, and `MEDIA_GONE` is the answer a day after it was announced.";

/// The longest text in base64 that is read.
const MAX_BASE64: usize = MAX_INLINE.div_ceil(3) * 4;

/// The members of a kind that has a file: those that all such kinds have, beside its own.
pub struct WithFile<Own> {
    given: Given,
    /// The part of a form that is the file.
    part: Option<AnyBytes>,
    /// The kind's own.
    pub own: Own,
}

/// Where the file comes from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Given {
    #[schema(schema_with = url_schema)]
    url: Option<String>,
    #[schema(schema_with = media_id_schema)]
    media_id: Option<String>,
    #[schema(schema_with = base64_schema)]
    base64: Option<String>,
    #[schema(schema_with = mime_type_schema)]
    mime_type: Option<String>,
}

fn url_schema() -> Object {
    nullable()
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .max_length(Some(reach::MAX_URL))
        .pattern(Some("^[Hh][Tt][Tt][Pp][Ss]?://"))
        .description(Some(
            "Where the file is on the internet. It is fetched when the message is sent. Exactly one of `url`, `mediaId` and `base64` is there",
        ))
        .examples(["https://example.com/cat.jpg"])
        .build()
}

fn media_id_schema() -> Object {
    nullable()
        .pattern(Some("^med_[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
        .description(Some("The id of a file that was uploaded (`POST /api/media`)"))
        .examples(["med_01JD0000000000000000000000"])
        .build()
}

fn base64_schema() -> Object {
    nullable()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Byte)))
        .min_length(Some(1))
        .max_length(Some(MAX_BASE64))
        .description(Some("The file itself, 256 KiB at most"))
        .examples(["SGVsbG8="])
        .build()
}

fn mime_type_schema() -> Object {
    nullable()
        .max_length(Some(255))
        .description(Some(
            "What the file is. Its bytes say it better, and go before it where they say anything",
        ))
        .examples(["image/jpeg"])
        .build()
}

/// A text that may be left out or null.
pub fn nullable() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

/// The text below a file.
pub fn caption_schema() -> Object {
    legible::nullable(MAX_CAPTION)
        .description(Some("The text below it"))
        .examples(["Look at this"])
        .build()
}

/// Notes what is wrong with a text below a file.
pub fn check_caption(fields: &mut Fields, caption: Option<&String>) {
    if let Some(caption) = caption {
        legible::require(fields, "caption", caption, MAX_CAPTION);
    }
}

/// Accepts a message of this kind with a file. A type that the kind does not take is told before all else.
pub async fn accept<Own>(
    mut sending: Sending<WithFile<Own>>,
    kind: Kind,
    content: fn(WithFile<Own>, &mut Fields) -> shared::domain::content::Content,
) -> Result<Accepted, ApiError> {
    sending.own().require_type(kind)?;
    let part = sending.take_file();
    sending.own_mut().part = part;
    sending.accept(content).await
}

/// The refusal of a file by its type.
pub fn not_taken(rule: &Rule) -> ApiError {
    let known: Vec<_> = rule.types.iter().chain(rule.converted).copied().collect();
    let (kind, known) = (rule.kind, known.join(", "));
    let message = format!("A message of the kind `{kind}` takes files of {known}");
    ApiError::new(Code::UnsupportedMediaType, message)
}

impl<Own> WithFile<Own> {
    /// The same with the file of a form.
    #[must_use]
    pub fn with_part(self, part: Option<AnyBytes>) -> Self {
        Self { part, ..self }
    }

    /// Refuses a type that messages of this kind do not take.
    pub fn require_type(&self, kind: Kind) -> Result<(), ApiError> {
        let Some(mime_type) = self.given.mime_type.as_ref().filter(|given| is_mime_type(given)) else {
            return Ok(());
        };
        match Rule::of(kind).filter(|rule| !rule.takes(mime_type)) {
            Some(rule) => Err(not_taken(rule)),
            None => Ok(()),
        }
    }

    /// The kind's own members, where there is to be no file: each member of one is noted as a fault, with this reason.
    pub fn without_file(self, fields: &mut Fields, reason: &str) -> Own {
        let given = &self.given;
        for (name, is_given) in [
            ("url", given.url.is_some()),
            ("mediaId", given.media_id.is_some()),
            ("base64", given.base64.is_some()),
            ("mimeType", given.mime_type.is_some()),
            ("file", self.part.is_some()),
        ] {
            if is_given {
                fields.fault(name, reason);
            }
        }
        self.own
    }

    /// The file, with faults noted, beside the kind's own members.
    pub fn file(self, fields: &mut Fields) -> (Media, Own) {
        let Given {
            url,
            media_id,
            base64,
            mime_type,
        } = self.given;
        let sources = [
            url.is_some(),
            media_id.is_some(),
            base64.is_some(),
            self.part.is_some(),
        ];
        if sources.into_iter().filter(|is_given| *is_given).count() != 1 {
            fields.fault(
                "url",
                "must be there, or `mediaId` or `base64` in its place, and one of them alone",
            );
        }
        if let Some(mime_type) = &mime_type
            && !is_mime_type(mime_type)
        {
            fields.fault("mimeType", "must be a media type, such as image/jpeg");
        }
        let url = url.and_then(|url| {
            let parsed = fields.check("url", reach::parse(&url));
            parsed.map(|url| Source::Url(url.into()))
        });
        let upload = media_id.and_then(|id| fields.parse::<MediaId>("mediaId", &id).map(Source::Upload));
        let inline = base64.and_then(|text| {
            let bytes = fields.check("base64", decode(&text));
            bytes.map(|bytes| Source::Inline(Bytes(bytes)))
        });
        let part = self.part.and_then(|bytes| {
            if bytes.is_empty() {
                fields.fault("file", "must not be empty");
                return None;
            }
            Some(Source::Inline(Bytes(bytes.into())))
        });
        let media = Media {
            media: File {
                mime_type,
                ..File::default()
            },
            source: url.or(upload).or(inline).or(part),
            ..Media::default()
        };
        (media, self.own)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let too_large = || {
        format!(
            "must be at most {} KiB; upload larger files, or use `url`",
            MAX_INLINE / 1_024
        )
    };
    if text.len() > MAX_BASE64 {
        return Err(too_large());
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| "must be base64 (RFC 4648, 4), with its padding, and nothing else".to_owned())?;
    if bytes.len() > MAX_INLINE {
        return Err(too_large());
    }
    Ok(bytes)
}

/// By hand, since serde refuses no unknown member of a type that is in pieces.
impl<'de, Own: DeserializeOwned> Deserialize<'de> for WithFile<Own> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(deserializer)?;
        let (given, own): (Map<_, _>, Map<_, _>) =
            members.into_iter().partition(|(name, _)| knows::<Given>(name));
        Ok(Self {
            own: serde_json::from_value(Value::Object(own)).map_err(D::Error::custom)?,
            given: serde_json::from_value(Value::Object(given)).map_err(D::Error::custom)?,
            part: None,
        })
    }
}

impl<Own: ToSchema> PartialSchema for WithFile<Own> {
    fn schema() -> RefOr<Schema> {
        let own = object::<Own>();
        let mut body = ObjectBuilder::new()
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
            .build();
        body.properties.extend(object::<Given>().properties);
        body.properties.extend(own.properties);
        body.required.extend(own.required);
        body.example = own.example;
        body.into()
    }
}

impl<Own: ToSchema> ToSchema for WithFile<Own> {
    fn name() -> std::borrow::Cow<'static, str> {
        Own::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Own::schemas(schemas);
        Given::schemas(schemas);
    }
}
