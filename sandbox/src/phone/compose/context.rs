//! What a message says about itself: what it answers, whom it mentions, when it disappears.

use wacore::proto_helpers::{MessageExt as _, build_quote_context};
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp as wa;

use super::request::{Body, SendRequest};
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::groups;
use crate::phone::inbox;
use crate::phone::room::Room;
use crate::store::Unit;

/// How statuses are named as an addressee, besides their JID.
const STATUS: &str = "status";

/// Who writes, and where.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) account: &'a Account,
    pub(crate) to: Addressee,
    /// The JIDs that people go by there.
    pub(crate) family: Family,
}

/// Whom a message is for.
#[derive(Debug)]
pub(crate) enum Addressee {
    Person(Account),
    Room(Room),
}

impl Letter<'_> {
    /// Whether it is a status.
    pub(super) fn is_status(&self) -> bool {
        matches!(self.to, Addressee::Room(Room::Status))
    }

    /// The chat as inboxes name it.
    pub(crate) fn chat(&self) -> String {
        match &self.to {
            Addressee::Person(person) => person.phone.clone(),
            Addressee::Room(room) => room.jid().to_string(),
        }
    }

    /// The chat as messages name it.
    pub(crate) fn jid(&self) -> Jid {
        match &self.to {
            Addressee::Person(person) => person.jid(self.family, 0),
            Addressee::Room(room) => room.jid(),
        }
    }
}

/// Whom `to` names, and the JIDs that people go by there.
///
/// # Errors
/// [`Error::NotFound`] for those who are not on the network.
pub(crate) fn addressee(unit: &Unit<'_>, to: &str) -> Result<(Addressee, Family)> {
    let room = match to.parse::<Jid>() {
        _ if to == STATUS => Some(Room::Status),
        Ok(jid) if jid.is_status_broadcast() => Some(Room::Status),
        Ok(jid) if jid.is_group() => Some(Room::Group(Box::new(groups::require(unit, &jid)?))),
        _ => None,
    };
    if let Some(room) = room {
        let family = room.family();
        return Ok((Addressee::Room(room), family));
    }
    let missing = || Error::NotFound("`to` is not on this network".into());
    let person = person(unit, "to", to)?.ok_or_else(missing)?;
    Ok((Addressee::Person(person), family(to)))
}

/// Puts the context that `request` asks for into `message`.
pub(super) fn add(
    unit: &Unit<'_>,
    letter: &Letter<'_>,
    request: &SendRequest,
    message: &mut wa::Message,
) -> Result<()> {
    let Some(context) = context(unit, letter, request)? else {
        return Ok(());
    };
    // What is sent as it is stays as it is.
    if matches!(request.body, Body::Raw(_)) || !message.set_context_info(context) {
        return Err(Error::Invalid(format!(
            "`replyTo`, `mentions`, `forwarded` and `expiresIn` do not go with the kind `{}`",
            request.body.kind()
        )));
    }
    Ok(())
}

fn context(unit: &Unit<'_>, letter: &Letter<'_>, request: &SendRequest) -> Result<Option<wa::ContextInfo>> {
    let mut context = match &request.reply_to {
        None => wa::ContextInfo::default(),
        Some(id) => {
            let quoted = inbox::find(unit, &letter.account.phone, id)?;
            let quoted =
                quoted.ok_or_else(|| Error::NotFound("`replyTo` names no message of this phone".into()))?;
            let author = directory::require(unit, &quoted.sender)?.jid(letter.family, 0);
            build_quote_context(id.as_str(), author.to_string(), &quoted.decoded()?)
        }
    };
    for mention in &request.mentions {
        let missing = || Error::NotFound("`mentions` names somebody who is not on this network".into());
        let person = person(unit, "mentions", mention)?.ok_or_else(missing)?;
        context
            .mentioned_jid
            .push(person.jid(letter.family, 0).to_string());
    }
    if request.forwarded {
        context.is_forwarded = Some(true);
        context.forwarding_score = Some(1);
    }
    context.expiration = request.expires_in;
    Ok((context != wa::ContextInfo::default()).then_some(context))
}

/// Who is meant by a number, `lid:<digits>` or a JID in `member`; `None` for strangers.
fn person(unit: &Unit<'_>, member: &str, name: &str) -> Result<Option<Account>> {
    directory::resolve(unit, &jid(member, name)?)
}

/// The JID that is meant by a number, `lid:<digits>` or a JID in `member`.
pub(crate) fn jid(member: &str, name: &str) -> Result<Jid> {
    let name = name.strip_prefix('+').unwrap_or(name);
    match name.strip_prefix("lid:") {
        Some(lid) => Ok(Jid::lid(lid)),
        None if name.contains('@') => name
            .parse()
            .map_err(|_| Error::Invalid(format!("`{member}` is no number and no JID"))),
        None => Ok(Jid::pn(name)),
    }
}

/// Whether `name` goes by LID.
fn family(name: &str) -> Family {
    if name.starts_with("lid:") || name.ends_with("@lid") {
        Family::Lid
    } else {
        Family::Pn
    }
}
