//! The schemas of values in JSON, for the OpenAPI document. They are here and not with the document, so that they can
//! be built from the constants of the values' parsers; and not beside the parsers, since the domain knows no HTTP.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::auth::api_key::Scope;
use crate::auth::cidr::Cidr;
use crate::auth::mail_code::{self, MailCode};
use crate::auth::pairing_link::{self, PairingToken};
use crate::auth::password::{self, NewPassword, OfferedPassword};
use crate::auth::session::RefreshToken;
use crate::domain::account::{EmailAddress, PersonName, Role, Tier};
use crate::domain::audit::{Action, Outcome};
use crate::domain::chats::{Activity, Presence};
use crate::domain::delivery::{AttemptFault, DeliveryState};
use crate::domain::event::EventType;
use crate::domain::instance::{InstanceName, Status};
use crate::domain::message::{Direction, Failure, Kind, State};
use crate::domain::network::Network;
use crate::domain::passkey::{Credential, PasskeyStage};
use crate::domain::phone::PhoneNumber;
use crate::domain::recipient::Recipient;
use crate::domain::upload::{FileName, MimeType};
use crate::domain::webhook::DisabledReason;
use crate::ids::{
    AuditId, DeliveryId, EventId, InstanceId, KeyId, MediaId, MessageId, SubscriptionId, UserId,
};

/// Gives types their schemas, under the names that they have in the document.
macro_rules! schemas {
    ($($name:literal, $type:ty = $schema:expr;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.build().into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )+};
}

schemas! {
    "SubscriptionId", SubscriptionId = id(SubscriptionId::PREFIX);
    "UserId", UserId = id(UserId::PREFIX);
    "InstanceId", InstanceId = id(InstanceId::PREFIX);
    "KeyId", KeyId = id(KeyId::PREFIX);
    "MessageId", MessageId = id(MessageId::PREFIX);
    "MediaId", MediaId = id(MediaId::PREFIX);
    "AuditId", AuditId = id(AuditId::PREFIX);
    "EventId", EventId = id(EventId::PREFIX);
    "DeliveryId", DeliveryId = id(DeliveryId::PREFIX);

    "Role", Role = one_of(Role::ALL, Role::as_str);
    "Tier", Tier = one_of(Tier::ALL, Tier::as_str);
    "Network", Network = one_of(Network::ALL, Network::as_str).examples([Network::Sandbox.as_str()]);
    "InstanceStatus", Status = one_of(Status::ALL, Status::as_str).examples([Status::Connected.as_str()]);
    "PasskeyStage", PasskeyStage = one_of(PasskeyStage::ALL, PasskeyStage::as_str);
    "KeyScope", Scope = one_of(Scope::ALL, Scope::as_str);
    "AuditAction", Action = one_of(Action::ALL, Action::as_str);
    "AuditOutcome", Outcome = one_of(Outcome::ALL, Outcome::as_str);
    "MessageKind", Kind = one_of(Kind::ALL, Kind::as_str);
    "MessageDirection", Direction = one_of(Direction::ALL, Direction::as_str);
    "ChatActivity", Activity = one_of(Activity::ALL, Activity::as_str);
    "PresenceState", Presence = one_of(Presence::ALL, Presence::as_str);
    "MessageStatus", State = one_of(State::ALL, State::as_str).examples([State::Delivered.as_str()]);

    "EventType", EventType = one_of(EventType::ALL, EventType::as_str);
    "WebhookDeliveryState", DeliveryState = one_of(DeliveryState::ALL, DeliveryState::as_str)
        .examples([DeliveryState::Succeeded.as_str()]);
    "WebhookAttemptError", AttemptFault = one_of(AttemptFault::ALL, AttemptFault::as_str);
    "WebhookDisabledReason", DisabledReason = one_of(DisabledReason::ALL, DisabledReason::as_str);

    "EmailAddress", EmailAddress = text("ada@example.com")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(254))
        .pattern(Some(EMAIL_ADDRESS))
        .description(Some("Two addresses that differ in case alone are one"));
    "PersonName", PersonName = text("Ada Lovelace")
        .min_length(Some(1))
        .max_length(Some(100))
        .pattern(Some(PERSON_NAME))
        .description(Some("Space around it is taken off"));
    "InstanceName", InstanceName = text("customer-service")
        .pattern(Some("^(?![Ii][Nn][Ss][Tt]_)[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"))
        .description(Some("Unique in its subscription; kept in lower case; does not look like an id"));
    "NewPassword", NewPassword = text("correct horse battery")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .min_length(Some(password::FEWEST_CHARACTERS))
        .max_length(Some(password::MOST_BYTES))
        .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]*$"))
        .description(Some(
            "Measured after Unicode normalization (RFC 8265): 8 characters at least, 72 bytes of UTF-8 at most",
        ));
    "Password", OfferedPassword = text("correct horse battery")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)));
    "MailCode", MailCode = letters(mail_code::LENGTH).description(Some("The code of a mail"));
    "PairingToken", PairingToken = text("AY86jnbbAAAAAAAAAAAAAHBhaXJpbmdzIGFyZSBtYWRlIG9mIHVzIQ")
        // Of the last character's six bits four belong to no byte.
        .pattern(Some(format!("^[A-Za-z0-9_-]{{{}}}[AQgw]$", pairing_link::LENGTH - 1)))
        .description(Some("The token of a pairing link"));
    "RefreshToken", RefreshToken = letters(RefreshToken::LENGTH);
    "Recipient", Recipient = text("15550100001")
        .pattern(Some(RECIPIENT))
        .description(Some("A phone number in E.164 with or without `+`, `lid:` and digits, or a WhatsApp JID (`…@s.whatsapp.net`, `…@lid`, or a group's id `…@g.us`)"));
    "PhoneNumber", PhoneNumber = text("15550100001")
        .pattern(Some(PHONE_NUMBER))
        .description(Some("In E.164, with the country code, with or without `+`"));
    "MimeType", MimeType = text("image/jpeg")
        .max_length(Some(MimeType::LONGEST))
        .pattern(Some(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+/[A-Za-z0-9!#$%&'*+.^_`|~-]+ *(;[ -~]*)?$"))
        .description(Some("A media type, perhaps with parameters"));
    "FileName", FileName = text("photo.jpg")
        .min_length(Some(1))
        .max_length(Some(FileName::LONGEST))
        .pattern(Some(r"^[^\u0000-\u001F\u007F-\u009F/\\]*$"))
        .description(Some("Without a path"));
    "Cidr", Cidr = text("203.0.113.0/24")
        .format(Some(SchemaFormat::Custom("cidr".to_owned())))
        .description(Some("An IP address, or a range of them in CIDR notation"));

    "PasskeyCredential", Credential = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("id", text("cGFzc2tleQ"))
        .required("id")
        .property("rawId", text("cGFzc2tleQ"))
        .required("rawId")
        .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["public-key"])))
        .required("type")
        .property("response", ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("clientDataJSON", text("eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"))
            .required("clientDataJSON")
            .property("authenticatorData", text("SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAA"))
            .required("authenticatorData")
            .property("signature", text("MAYCAQECAQE"))
            .required("signature")
            .property("userHandle", ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .examples(["dXNlcg"])))
        .required("response")
        .description(Some("An assertion as `PublicKeyCredential.toJSON` of browsers shows it; other members are not read"));
    "MessageFailure", Failure = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("code", text("REACHOUT_RESTRICTED").description(Some("Stable")))
        .property("message", text("WhatsApp does not let this account begin new chats now"))
        .property("retryable", ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .description(Some("Whether sending the same again may succeed by itself, and cannot show it twice")))
        .property("retryAfter", ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .examples([serde_json::Value::Null])
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("When it may succeed; `null` where WhatsApp does not say")))
        .description(Some("Why a message failed; `docs/message-failures.md` lists the codes"));
}

/// What [`EmailAddress`] parses: atoms (RFC 5322, 3.2.3) with dots between them, and a domain of two labels or more.
const EMAIL_ADDRESS: &str = concat!(
    r"^(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@",
    r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
);

/// What [`PhoneNumber`] parses.
const PHONE_NUMBER: &str = r"^\+?[1-9][0-9]{6,14}$";

/// What [`PersonName`] parses: no control character, and something that is no space.
const PERSON_NAME: &str = concat!(
    r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F]",
    r"[^\u0000-\u001F\u007F-\u009F]*$",
);

/// What [`Recipient`] parses.
const RECIPIENT: &str = concat!(
    r"^(\+?[1-9][0-9]{6,14}|[1-9][0-9]{6,14}@(s\.whatsapp\.net|c\.us)|lid:[0-9]{5,20}|[0-9]{5,20}@lid",
    r"|([0-9]{10,25}|[0-9]{5,15}-[0-9]{5,15})@g\.us)$",
);

fn text(example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).examples([example])
}

fn letters(length: usize) -> ObjectBuilder {
    text(&"Zx81fKq7Jm3nVb".repeat(length)[..length]).pattern(Some(format!("^[A-Za-z0-9]{{{length}}}$")))
}

/// An id: its prefix and a ULID, whose 26 letters of Crockford's alphabet begin with 7 at most.
fn id(prefix: &str) -> ObjectBuilder {
    text(&format!("{prefix}01JD0000000000000000000000"))
        .pattern(Some(format!("^{prefix}[0-7][0-9A-HJKMNP-TV-Z]{{25}}$")))
}

fn one_of<T: Copy>(all: &[T], as_str: fn(T) -> &'static str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(all.iter().map(|one| as_str(*one))))
}
