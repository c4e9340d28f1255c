//! A group as paths name one: its JID, or the digits of it.

use std::borrow::Cow;
use std::str::FromStr;

use shared::domain::recipient::{InvalidRecipient, Recipient};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRef(pub Recipient);

/// Why a text names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a group's JID, as `120363021033254949@g.us`, or its digits")]
pub struct InvalidGroup;

impl From<InvalidRecipient> for InvalidGroup {
    fn from(_: InvalidRecipient) -> Self {
        Self
    }
}

impl FromStr for GroupRef {
    type Err = InvalidGroup;

    fn from_str(text: &str) -> Result<Self, InvalidGroup> {
        let jid = if text.contains('@') {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(format!("{text}@g.us"))
        };
        match jid.parse()? {
            group @ Recipient::Group(_) => Ok(Self(group)),
            Recipient::Phone(_) | Recipient::Lid(_) | Recipient::Status | Recipient::Unknown(_) => {
                Err(InvalidGroup)
            }
        }
    }
}

impl PartialSchema for GroupRef {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^([0-9]{10,25}|[0-9]{5,15}-[0-9]{5,15})(@g\.us)?$"))
            .examples(["120363021033254949@g.us"])
            .description(Some("A group's JID, or its digits"))
            .into()
    }
}

impl ToSchema for GroupRef {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("GroupRef")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jid_or_its_digits_name_a_group_and_nothing_else_does() {
        for text in [
            "120363021033254949@g.us",
            "120363021033254949",
            "15550100001-1400000000",
        ] {
            assert!(text.parse::<GroupRef>().is_ok(), "{text}");
        }
        for text in [
            "",
            "@g.us",
            "group",
            "15550100001@s.whatsapp.net",
            "120363021033254949@lid",
            "120363021033254949@g.us@g.us",
            "lid:120363021033254949",
        ] {
            assert!(text.parse::<GroupRef>().is_err(), "{text}");
        }
    }
}
