//! Subject, description and settings.

use wacore_binary::Node;

use super::{Question, text};
use crate::error::{Error, Result};
use crate::groups::info::{self, Redescription, Setting};
use crate::store::Unit;
use crate::wire;

/// `<subject>text</subject>`
pub(super) fn subject(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    info::set_subject(unit, &question.asker, question.group()?, text(question.child)?)?;
    Ok(question.done())
}

/// `<description id prev><body>text</body></description>`, or `<description id prev delete="true"/>`
pub(super) fn description(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let node = question.child;
    let deletes = wire::attr(node, "delete").as_deref() == Some("true");
    let text = match node.get_optional_child("body") {
        Some(body) if !deletes => Some(text(body)?),
        None if !deletes => return Err(Error::Invalid("a description without a body".into())),
        _ => None,
    };
    // Not every client gives a deletion an id.
    let id = wire::attr(node, "id").map_or_else(info::new_id, std::borrow::Cow::into_owned);
    let change = Redescription {
        id,
        previous: wire::attr(node, "prev").map(std::borrow::Cow::into_owned),
        text,
    };
    info::set_description(unit, &question.asker, question.group()?, change)?;
    Ok(question.done())
}

/// Changes a setting.
pub(super) fn set(unit: &mut Unit<'_>, question: &Question<'_>, setting: Setting) -> Result<Node> {
    info::set(unit, &question.asker, question.group()?, setting)?;
    Ok(question.done())
}

/// The setting that `node` changes; `None` for what is none.
///
/// # Errors
/// [`Error::Invalid`] for a value that the setting does not have.
pub(super) fn setting(node: &Node) -> Result<Option<Setting>> {
    Ok(Some(match node.tag.as_ref() {
        "locked" => Setting::Locked(true),
        "unlocked" => Setting::Locked(false),
        "announcement" => Setting::Announcement(true),
        "not_announcement" => Setting::Announcement(false),
        "not_ephemeral" => Setting::Ephemeral(0, None),
        "ephemeral" => {
            let expiration = number(node, "expiration")?
                .ok_or_else(|| Error::Invalid("<ephemeral> without an expiration".into()))?;
            Setting::Ephemeral(expiration, number(node, "trigger")?)
        }
        "member_add_mode" => match text(node)?.as_str() {
            "admin_add" => Setting::MembersAdd(false),
            "all_member_add" => Setting::MembersAdd(true),
            _ => {
                return Err(Error::Invalid(
                    "<member_add_mode> is admin_add or all_member_add".into(),
                ));
            }
        },
        "membership_approval_mode" => {
            let state = node
                .get_optional_child("group_join")
                .and_then(|join| wire::attr(join, "state"));
            match state.as_deref() {
                Some("on") => Setting::Approval(true),
                Some("off") => Setting::Approval(false),
                _ => return Err(Error::Invalid("<group_join> has a state, on or off".into())),
            }
        }
        _ => return Ok(None),
    }))
}

fn number(node: &Node, key: &str) -> Result<Option<u32>> {
    wire::attr(node, key)
        .map(|value| {
            value
                .parse()
                .map_err(|_| Error::Invalid(format!("`{key}` is no number")))
        })
        .transpose()
}
