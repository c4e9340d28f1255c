//! The parsers of texts, by the names that their types have in the document. A handler calls its parsers itself. They
//! are called here where the handler is not, because something else of the body is wrong.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;
use shared::auth::cidr::Cidr;
use shared::auth::password::OfferedPassword;
use shared::domain::account::{EmailAddress, PersonName, Role, Tier};
use shared::domain::audit::{Action, Outcome};
use shared::domain::chats::Presence;
use shared::domain::delivery::DeliveryState;
use shared::domain::event::EventType;
use shared::domain::instance::InstanceName;
use shared::domain::network::Network;
use shared::domain::phone::PhoneNumber;
use shared::domain::recipient::Recipient;
use shared::domain::upload::{FileName, MimeType};
use shared::ids::{EventId, MessageId, SubscriptionId};

type Ask = fn(&str) -> Option<String>;

const TEXTS: [(&str, Ask); 18] = [
    ("EmailAddress", fault::<EmailAddress>),
    ("PersonName", fault::<PersonName>),
    ("InstanceName", fault::<InstanceName>),
    ("PhoneNumber", fault::<PhoneNumber>),
    ("Recipient", fault::<Recipient>),
    ("MimeType", fault::<MimeType>),
    ("FileName", fault::<FileName>),
    ("Role", fault::<Role>),
    ("Tier", fault::<Tier>),
    ("Network", fault::<Network>),
    ("AuditAction", fault::<Action>),
    ("AuditOutcome", fault::<Outcome>),
    ("SubscriptionId", fault::<SubscriptionId>),
    ("MessageId", fault::<MessageId>),
    ("PresenceState", fault::<Presence>),
    ("EventId", fault::<EventId>),
    ("EventType", fault::<EventType>),
    ("WebhookDeliveryState", fault::<DeliveryState>),
];

/// What is wrong with a text of the type that has this name.
pub fn ask(name: &str, text: &str) -> Option<String> {
    if name == "NewPassword" {
        let offered: OfferedPassword = serde_json::from_value(Value::from(text)).ok()?;
        return offered.to_new().err().map(|error| error.to_string());
    }
    let (_, ask) = TEXTS.iter().find(|(of, _)| *of == name)?;
    ask(text)
}

/// What is wrong with a text of this format.
pub fn ask_format(format: &str, text: &str) -> Option<String> {
    match format {
        "cidr" => fault::<Cidr>(text),
        "date-time" if text.parse::<chrono::DateTime<chrono::Utc>>().is_err() => {
            Some("must be an RFC 3339 time".to_owned())
        }
        "date" if text.len() != 10 || text.parse::<chrono::NaiveDate>().is_err() => {
            Some("must be a date such as 2026-01-31".to_owned())
        }
        _ => None,
    }
}

fn fault<T: FromStr<Err: Display>>(text: &str) -> Option<String> {
    text.parse::<T>().err().map(|error| error.to_string())
}
