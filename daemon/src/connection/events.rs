//! What a session tells by itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;

use crate::stop::Stop;

/// What a session tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A QR code to scan, valid for a while.
    Qr {
        /// The code's text: a secret.
        code: String,
        /// For how long it can be scanned.
        valid_for: Duration,
    },
    /// The server gives no more QR codes.
    QrExhausted,
    /// The pairing code does not work any more.
    PairingCodeVoid,
    /// WhatsApp wants an assertion by a passkey of the account's owner.
    PasskeyRequested {
        /// Its request options, in JSON.
        options: String,
    },
    /// The phone has answered to the assertion.
    PasskeyConfirmation {
        /// The code that the phone shows too.
        code: String,
        /// Whether nobody has to compare it: the phone knows this session from before.
        is_known: bool,
    },
    /// Linking with a passkey has failed.
    PasskeyFailed {
        /// Why, for people.
        why: String,
    },
    /// The phone has linked this session; it comes back and logs in by itself.
    Paired,
    /// Logged in.
    Connected {
        /// The account's number and LID.
        account: Person,
        /// The name that it shows others.
        display_name: Option<String>,
    },
    /// The connection was lost, as connections are; this session is over.
    Disconnected {
        /// Why, for people.
        reason: String,
        /// Whether what was on the wire may be the cause: nothing else is known to be.
        blames_wire: bool,
    },
    /// WhatsApp has ended this session or refused it, and said why; it is over.
    Stopped(Stop),
    /// The server has taken a message, or refused it.
    ServerAck {
        /// The message's WhatsApp id.
        whatsapp_id: String,
        /// The server's error, where it refused.
        error: Option<u32>,
        /// The chat, where the server names one.
        chat: Option<Recipient>,
    },
    /// A recipient's device tells what it did with messages.
    Receipt {
        /// The messages' WhatsApp ids. This session sent them, or another device of the account did.
        whatsapp_ids: Vec<String>,
        /// What it tells.
        kind: ReceiptKind,
        /// When, as WhatsApp says, in whole seconds.
        at: DateTime<Utc>,
        /// The group, where the chat is one, or that of status updates: there a receipt stands for one of many.
        group: Option<Recipient>,
        /// Whose device it is, by the names that the receipt gives.
        reader: Person,
    },
}

/// What a receipt tells of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptKind {
    /// It has reached the device.
    Delivered,
    /// Its person has seen it.
    Read,
    /// Its person has played it.
    Played,
}
