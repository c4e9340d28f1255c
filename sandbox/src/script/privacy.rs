//! Whom a person lets see and reach them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Phone;
use super::people::person;
use crate::directory::Account;
use crate::error::Result;
use crate::people::privacy::{self, Category, Exceptions, Value};
use crate::store::Unit;

/// A privacy setting: a value, or "my contacts except".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PrivacySetting {
    /// `all`, `contacts`, `none` and the others that the setting takes, as on the wire.
    Value(String),
    /// The person's contacts, but not these.
    Except {
        /// Numbers, `lid:<digits>` or JIDs; numbers where a phone shows it.
        except: Vec<String>,
    },
}

impl PrivacySetting {
    /// A value.
    pub fn value(value: impl Into<String>) -> Self {
        Self::Value(value.into())
    }

    /// The person's contacts, but not these.
    pub fn except(people: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Except {
            except: people.into_iter().map(Into::into).collect(),
        }
    }
}

/// Privacy settings by their names on the wire: `last`, `online`, `profile`, `status`, `groupadd`, `readreceipts`,
/// `calladd`, `messages`, `defense`, `stickers`.
pub type PrivacySettings = BTreeMap<String, PrivacySetting>;

impl Phone {
    /// All of the person's privacy settings.
    pub async fn privacy(&self) -> Result<PrivacySettings> {
        self.work(|unit, account| settings(unit, &account.phone)).await
    }

    /// Changes privacy settings, all or none of those named. Answers all that there are.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings and values that do not exist, [`crate::Error::NotFound`] for people who do
    /// not.
    pub async fn set_privacy<N: Into<String>>(
        &self,
        changes: impl IntoIterator<Item = (N, PrivacySetting)>,
    ) -> Result<PrivacySettings> {
        let changes: Vec<(String, PrivacySetting)> = changes
            .into_iter()
            .map(|(name, setting)| (name.into(), setting))
            .collect();
        self.act(move |unit, account| {
            for (name, setting) in changes {
                change(unit, account, Category::parse(&name)?, setting)?;
            }
            settings(unit, &account.phone)
        })
        .await
    }
}

fn change(unit: &mut Unit<'_>, account: &Account, category: Category, setting: PrivacySetting) -> Result<()> {
    let (value, people) = match setting {
        PrivacySetting::Value(value) => (Value::parse(category, &value)?, Vec::new()),
        PrivacySetting::Except { except } => {
            let except = except.iter().map(|who| person(unit, "except", who));
            (Value::Except, except.collect::<Result<Vec<_>>>()?)
        }
    };
    let change = Exceptions {
        remove: privacy::exceptions(unit, &account.phone, category)?,
        add: people,
        believed: None,
    };
    privacy::set(unit, account, (category, value), &change, None)
}

fn settings(unit: &Unit<'_>, phone: &str) -> Result<PrivacySettings> {
    let settings = Category::ALL.into_iter().map(|category| {
        let setting = match privacy::get(unit, phone, category)? {
            Value::Except => {
                let people = privacy::exceptions(unit, phone, category)?;
                PrivacySetting::except(people.into_iter().map(|person| person.phone))
            }
            value => PrivacySetting::value(value.as_str()),
        };
        Ok((category.as_str().to_owned(), setting))
    });
    settings.collect()
}
