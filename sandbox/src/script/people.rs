//! What a person says of themselves, whom they block and call, and that they are there or writing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wacore_binary::{Jid, JidExt as _};

use super::Phone;
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::groups;
use crate::people::chatstates::{self, Seen, State};
use crate::people::{blocks, calls, presence, profile, reachout};
use crate::phone::app_state::actions::{self, Action};
use crate::phone::compose;
use crate::store::Unit;

/// The longest that a person writes before they pause by themselves.
const MAX_TYPING: Duration = Duration::from_mins(5);

/// The longest id of a call, in bytes.
const MAX_CALL_ID: usize = 128;

/// What a person does in a chat short of saying something.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypingRequest {
    /// A number, `lid:<digits>`, or the JID of a person or group.
    pub to: String,
    /// What they do; composing by default.
    #[serde(default)]
    pub state: State,
    /// After how many milliseconds they pause, up to five minutes; without it they do not.
    pub ms: Option<u64>,
}

impl TypingRequest {
    /// The person does `state` in a chat until they do something else.
    pub fn new(to: impl Into<String>, state: State) -> Self {
        Self {
            to: to.into(),
            state,
            ms: None,
        }
    }
}

/// A call to make, or to end.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// A number, `lid:<digits>` or a JID; that of a group rings all others in it.
    pub to: String,
    /// Whether it has a picture.
    #[serde(default)]
    pub video: bool,
    /// The id of a call that ends, instead of a new one.
    pub end: Option<String>,
}

impl CallRequest {
    /// A call without a picture.
    pub fn to(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            ..Self::default()
        }
    }
}

/// A call of a phone's person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Names it, for its end.
    pub id: String,
    /// The number called, or the group's JID.
    pub to: String,
}

/// Somebody to block, or no longer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRequest {
    /// A number, `lid:<digits>` or a JID.
    pub who: String,
    /// False ends it.
    #[serde(default = "yes")]
    pub blocked: bool,
}

impl BlockRequest {
    /// Blocks somebody.
    pub fn block(who: impl Into<String>) -> Self {
        Self {
            who: who.into(),
            blocked: true,
        }
    }

    /// Blocks somebody no longer.
    pub fn unblock(who: impl Into<String>) -> Self {
        Self {
            who: who.into(),
            blocked: false,
        }
    }
}

fn yes() -> bool {
    true
}

impl Phone {
    /// Begins to write or record in a chat, or pauses.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the member and the rule; [`Error::NotFound`] where nobody is at `to`.
    pub async fn type_to(&self, request: TypingRequest) -> Result<()> {
        let TypingRequest { to, state, ms } = request;
        let pause = ms.map(Duration::from_millis);
        if pause.is_some_and(|pause| pause > MAX_TYPING) {
            let most = MAX_TYPING.as_millis();
            return Err(Error::Invalid(format!("`ms` is at most {most}")));
        }
        let chat = compose::jid("to", &to)?;
        self.show(chat.clone(), state).await?;
        if let Some(pause) = pause.filter(|_| state != State::Paused) {
            let paused = self.clone();
            self.network.tasks.spawn(async move {
                tokio::select! {
                    () = paused.network.stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                // By now the person may be gone, or offline: then nobody sees the pause either.
                if let Err(error) = paused.show(chat, State::Paused).await {
                    tracing::debug!(cause = %error.for_log(), "a person does not pause");
                }
            });
        }
        Ok(())
    }

    async fn show(&self, chat: Jid, state: State) -> Result<()> {
        let ttl = self.network.config.chatstate_ttl;
        self.act(move |unit, account| {
            if Family::of(&chat).is_some() && directory::resolve(unit, &chat)?.is_none() {
                return Err(Error::NotFound("`to` is not on this network".into()));
            }
            chatstates::send(unit, ttl, (account, 0), &chat, state)
        })
        .await
    }

    /// What the phone saw last of everybody who wrote to it, latest first.
    pub async fn typing(&self) -> Result<Vec<Seen>> {
        self.work(|unit, account| chatstates::seen(unit, &account.phone))
            .await
    }

    /// Calls somebody or all others of a group, or hangs up.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the member and the rule; [`Error::NotFound`] where nobody is at `to`;
    /// [`Error::Refused`] (403) for a group that the person is not in.
    pub async fn call(&self, request: CallRequest) -> Result<Call> {
        self.act(move |unit, account| {
            let jid = compose::jid("to", &request.to)?;
            if jid.is_group() && request.end.is_none() {
                let (group, _) = groups::enter(unit, &jid, account)?;
                let members: Vec<_> = groups::members(unit, &group.id)?
                    .into_iter()
                    .map(|member| member.account)
                    .collect();
                let to = group.jid();
                let id = calls::place_in_group(unit, account, (&to, &members), request.video)?;
                return Ok(Call {
                    id,
                    to: to.to_string(),
                });
            }
            let person = person(unit, "to", &request.to)?;
            let id = match request.end {
                None => calls::place(unit, account, &person, request.video)?,
                Some(id) if id.is_empty() || id.len() > MAX_CALL_ID => {
                    return Err(Error::Invalid(format!("`end` has 1 to {MAX_CALL_ID} bytes")));
                }
                Some(id) => {
                    calls::hang_up(unit, account, &person, &id)?;
                    id
                }
            };
            Ok(Call { id, to: person.phone })
        })
        .await
    }

    /// Looks at the phone, or puts it away: others see the person as available or not.
    pub async fn set_available(&self, available: bool) -> Result<()> {
        self.act(move |unit, account| presence::set_phone(unit, &account.phone, available))
            .await
    }

    /// Blocks somebody, or no longer.
    ///
    /// # Errors
    /// [`Error::Invalid`] for oneself and for a full list; [`Error::NotFound`] where `who` is nobody.
    pub async fn block(&self, request: BlockRequest) -> Result<()> {
        self.act(move |unit, account| {
            let person = person(unit, "who", &request.who)?;
            blocks::set(unit, account, &person, request.blocked, (None, None))
        })
        .await
    }

    /// Lets the account begin no chats for so many seconds: its devices' messages to people with whom it has never written
    /// are refused (463), and it is told until when, if it asks. 0 ends that.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 30 days.
    pub async fn lock_reachout(&self, seconds: u32) -> Result<()> {
        self.work(move |unit, account| reachout::lock(unit, &account.phone, seconds))
            .await
    }

    /// Changes the about text.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is too long.
    pub async fn set_about(&self, text: impl Into<String>) -> Result<()> {
        let text = text.into();
        self.act(move |unit, account| profile::set_about(unit, account, &text, None))
            .await
    }

    /// Takes another name, which others see and the own companions take over.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is empty or too long.
    pub async fn set_name(&self, name: impl Into<String>) -> Result<()> {
        let name = name.into();
        self.act(move |unit, account| {
            profile::set_push_name(unit, &account.phone, &name)?;
            actions::act(unit, account, Action::PushName { name })
        })
        .await
    }
}

/// Somebody whom the member `member` names by number, `lid:…` or JID.
pub(super) fn person(unit: &Unit<'_>, member: &str, who: &str) -> Result<Account> {
    directory::resolve(unit, &compose::jid(member, who)?)?
        .ok_or_else(|| Error::NotFound(format!("`{member}` is not on this network")))
}
