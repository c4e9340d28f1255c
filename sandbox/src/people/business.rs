//! Business accounts: their profile, and the name that is vouched for.

use buffa::Message as _;
use rand::rngs::StdRng;
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::directory::{Account, Family};
use crate::error::{Error, Result};
use crate::phone::identity;
use crate::store::Unit;
use crate::wire;

/// Who vouches for the names of small businesses.
const ISSUER: &str = "smb:wa";

/// The longest of a profile's texts, in bytes.
const MAX_TEXT: usize = 2_048;

/// The most websites, categories and opening hours of a profile.
const MAX_ENTRIES: usize = 16;

/// What a business tells of itself. Only the name must be there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Business {
    /// The verified name.
    pub name: String,
    /// Up to 2,048 bytes, as all texts of the profile.
    #[serde(default)]
    pub description: Option<String>,
    /// An e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Where it is, in words.
    #[serde(default)]
    pub address: Option<String>,
    /// Up to 16 addresses.
    #[serde(default)]
    pub websites: Vec<String>,
    /// Up to 16 names of what it does.
    #[serde(default)]
    pub categories: Vec<String>,
    /// An IANA time zone, for the opening hours.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Up to 16 openings.
    #[serde(default)]
    pub hours: Vec<Hours>,
}

/// When a business is open on one day of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hours {
    /// The day of the week.
    pub day: Day,
    /// Minutes since midnight; without both ends it is open all day.
    #[serde(default)]
    pub open: Option<u16>,
    /// Minutes since midnight.
    #[serde(default)]
    pub close: Option<u16>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Sunday.
    Sun,
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
}

impl Day {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sun => "sun",
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
        }
    }
}

impl Business {
    fn check(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::Invalid("`business.name` is not empty".into()));
        }
        let texts = [&self.description, &self.email, &self.address, &self.timezone];
        let texts = texts.into_iter().flatten().chain([&self.name]);
        let lists = self.websites.iter().chain(&self.categories);
        if texts.chain(lists).any(|text| text.len() > MAX_TEXT) {
            return Err(Error::Invalid(format!(
                "a text of `business` has up to {MAX_TEXT} bytes"
            )));
        }
        let longest = self
            .websites
            .len()
            .max(self.categories.len())
            .max(self.hours.len());
        if longest > MAX_ENTRIES {
            return Err(Error::Invalid(format!(
                "a list of `business` has up to {MAX_ENTRIES} entries"
            )));
        }
        let day = 24 * 60;
        let late = |hours: &Hours| {
            hours.open.is_some() != hours.close.is_some()
                || hours.open.max(hours.close).is_some_and(|minute| minute > day)
        };
        if self.hours.iter().any(late) {
            return Err(Error::Invalid(
                "`business.hours` have both or neither of `open` and `close`, up to 1440".into(),
            ));
        }
        Ok(())
    }
}

/// Makes `phone` a business.
///
/// # Errors
/// [`Error::Invalid`] for a profile without a name, or with texts and lists that are too long.
pub(crate) fn set(unit: &Unit<'_>, phone: &str, business: &Business) -> Result<()> {
    business.check()?;
    let json = serde_json::to_string(business).map_err(|error| Error::codec("a business profile", error))?;
    unit.execute(
        "INSERT INTO profiles (phone, business) VALUES (?1, ?2)
         ON CONFLICT (phone) DO UPDATE SET business = excluded.business",
        (phone, json),
    )?;
    Ok(())
}

/// The profile of `phone`, if it is a business.
pub(crate) fn get(unit: &Unit<'_>, phone: &str) -> Result<Option<Business>> {
    let stored: Option<String> = unit
        .prepare("SELECT business FROM profiles WHERE phone = ?1")?
        .query_row([phone], |row| row.get(0))
        .optional()?
        .flatten();
    let parse = |json: String| {
        serde_json::from_str(&json).map_err(|error| Error::codec("a stored business profile", error))
    };
    stored.map(parse).transpose()
}

/// The `<verified_name>` with the certificate of the business's name, signed by its phone.
pub(crate) fn verified_name(unit: &Unit<'_>, phone: &str, business: &Business) -> Result<Node> {
    let secrets = identity::secrets(unit, phone)?;
    let details = wa::verified_name_certificate::Details {
        serial: Some(secrets.registration_id.into()),
        issuer: Some(ISSUER.into()),
        verified_name: Some(business.name.clone()),
        ..Default::default()
    }
    .encode_to_vec();
    let signature = secrets
        .identity
        .private_key()
        .calculate_signature(&details, &mut rand::make_rng::<StdRng>())
        .map_err(|error| Error::codec("a signature", error))?;
    let certificate = wa::VerifiedNameCertificate {
        details: Some(details),
        signature: Some(signature.to_vec()),
        ..Default::default()
    };
    Ok(NodeBuilder::new("verified_name")
        .attr("v", 1)
        .attr("verified_level", "unknown")
        .attr("host_storage", 1)
        .attr("actual_actors", 1)
        .attr("privacy_mode_ts", 0)
        .bytes(certificate.encode_to_vec())
        .build())
}

/// The `<profile>` of a business.
pub(crate) fn profile(account: &Account, family: Family, business: &Business) -> Node {
    let text = |tag: &'static str, text: &str| wire::bytes_node(tag, text);
    let mut children = Vec::new();
    let single = [
        ("description", &business.description),
        ("address", &business.address),
        ("email", &business.email),
    ];
    for (tag, value) in single {
        children.extend(value.as_deref().map(|value| text(tag, value)));
    }
    children.extend(business.websites.iter().map(|site| text("website", site)));
    if !business.categories.is_empty() {
        let categories = business.categories.iter().enumerate().map(|(index, name)| {
            NodeBuilder::new("category")
                .attr("id", index + 1)
                .bytes(name.as_bytes())
                .build()
        });
        children.push(NodeBuilder::new("categories").children(categories).build());
    }
    if !business.hours.is_empty() {
        let hours = business.hours.iter().map(|hours| {
            let config = NodeBuilder::new("business_hours_config").attr("day_of_week", hours.day.as_str());
            match (hours.open, hours.close) {
                (Some(open), Some(close)) => config
                    .attr("mode", "specific_hours")
                    .attr("open_time", open)
                    .attr("close_time", close)
                    .build(),
                _ => config.attr("mode", "open_24h").build(),
            }
        });
        let zone = business.timezone.as_deref().unwrap_or("UTC");
        children.push(
            NodeBuilder::new("business_hours")
                .attr("timezone", zone)
                .children(hours)
                .build(),
        );
    }
    NodeBuilder::new("profile")
        .attr("jid", account.jid(family, 0))
        .attr("tag", "1")
        .children(children)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Bench;

    #[test]
    fn a_client_reads_the_name_out_of_the_certificate() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let account = identity::create(unit, None, None)?;
            assert_eq!(get(unit, &account.phone)?, None);
            let business = Business {
                name: "Ada's Engines".into(),
                ..Business::default()
            };
            set(unit, &account.phone, &business)?;
            let stored = get(unit, &account.phone)?.expect("it is a business");
            let node = verified_name(unit, &account.phone, &stored)?;
            let read = wacore::stanza::business::VerifiedName::try_from_node(&node.as_node_ref()).unwrap();
            assert_eq!(read.name.as_deref(), Some("Ada's Engines"));
            assert_eq!(read.issuer.as_deref(), Some(ISSUER));
            Ok(())
        });
    }

    #[test]
    fn profiles_that_cannot_be_are_refused() {
        let named = |business: Business| Business {
            name: "A".into(),
            ..business
        };
        assert!(matches!(Business::default().check(), Err(Error::Invalid(_))));
        let half = Hours {
            day: Day::Mon,
            open: Some(540),
            close: None,
        };
        let many = vec![String::from("https://a.example"); MAX_ENTRIES + 1];
        for business in [
            Business {
                hours: vec![half],
                ..Business::default()
            },
            Business {
                websites: many,
                ..Business::default()
            },
            Business {
                email: Some("a".repeat(MAX_TEXT + 1)),
                ..Business::default()
            },
        ] {
            assert!(matches!(named(business).check(), Err(Error::Invalid(_))));
        }
    }
}
