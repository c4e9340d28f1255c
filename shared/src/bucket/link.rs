//! Signed URLs to a folder: what S3 does with its own, by a route of the API.
//!
//! A link says all that is allowed, and an HMAC over it (SHA-256, under a key beside the folder) proves that it is
//! ours. Whoever has it needs no API key, as with S3.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::name::ObjectName;
use crate::seal::DataKey;

/// What may be done by a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// To put so many bytes.
    Put {
        /// The exact length.
        size: u64,
    },
    /// To get the object.
    Get,
}

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What may be done.
    pub allowed: Allowed,
    /// With which object.
    pub object: ObjectName,
    /// Until when, in Unix seconds.
    pub expires: i64,
    /// The object's media type.
    pub mime_type: String,
    /// Under which name whoever gets it may store it.
    pub file_name: Option<String>,
}

/// Why a link is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// We did not make it, or it was changed.
    #[error("the signature is not that of this URL")]
    Forged,
    /// Its time is over.
    #[error("the URL has expired")]
    Expired,
}

impl Link {
    /// The URL with this link, behind `base`.
    pub(super) fn url(&self, base: &str, key: &DataKey) -> String {
        let mut url = format!(
            "{base}?object={}&expires={}",
            encoded(&self.object.to_string()),
            self.expires
        );
        let mut add = |name: &str, value: &str| {
            let _ = write!(url, "&{name}={}", encoded(value));
        };
        if let Allowed::Put { size } = self.allowed {
            add("size", &size.to_string());
        }
        add("type", &self.mime_type);
        if let Some(file_name) = &self.file_name {
            add("name", file_name);
        }
        add("signature", &hex::encode(self.mac(key).finalize().into_bytes()));
        url
    }

    /// Whether this signature makes it good at this time.
    pub(super) fn check(&self, key: &DataKey, signature: &str, now: DateTime<Utc>) -> Result<(), LinkFault> {
        let signature = hex::decode(signature).map_err(|_| LinkFault::Forged)?;
        self.mac(key)
            .verify_slice(&signature)
            .map_err(|_| LinkFault::Forged)?;
        if self.expires <= now.timestamp() {
            return Err(LinkFault::Expired);
        }
        Ok(())
    }

    fn mac(&self, key: &DataKey) -> Hmac<Sha256> {
        let size = match self.allowed {
            Allowed::Put { size } => Some(size.to_string()),
            Allowed::Get => None,
        };
        let parts = [
            Some(self.object.to_string()),
            Some(self.expires.to_string()),
            size,
            Some(self.mime_type.clone()),
            self.file_name.clone(),
        ];
        let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any length");
        // Each part says whether it is there and how long it is, so that none runs into the next.
        for part in parts {
            mac.update(&[u8::from(part.is_some())]);
            let part = part.unwrap_or_default();
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// A text as it may stand in a query, or behind `filename*` in a header.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The header `Content-Disposition` with which a browser stores a file and never shows it as a page of ours (RFC 6266).
pub fn disposition(file_name: Option<&str>) -> String {
    match file_name {
        Some(name) => format!("attachment; filename*=UTF-8''{}", encoded(name)),
        None => "attachment".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::name::Area;
    use super::*;
    use crate::ids::InstanceId;

    fn link() -> Link {
        Link {
            allowed: Allowed::Put { size: 7 },
            object: ObjectName::new(Area::Upload, InstanceId::from_bytes([1; 16]), "med_1"),
            expires: 1_000,
            mime_type: "image/png".to_owned(),
            file_name: Some("a b&c.png".to_owned()),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("in range")
    }

    #[test]
    fn a_link_is_good_until_it_expires_and_as_it_was_made_alone() {
        let key = DataKey::generate();
        let url = link().url("https://x/y", &key);
        let (_, signature) = url.rsplit_once("signature=").expect("signed");
        assert_eq!(link().check(&key, signature, at(999)), Ok(()));
        assert_eq!(link().check(&key, signature, at(1_000)), Err(LinkFault::Expired));
        assert_eq!(
            link().check(&DataKey::generate(), signature, at(1)),
            Err(LinkFault::Forged)
        );
        assert_eq!(link().check(&key, "", at(1)), Err(LinkFault::Forged));
        let others = [
            Link {
                allowed: Allowed::Put { size: 8 },
                ..link()
            },
            Link {
                allowed: Allowed::Get,
                ..link()
            },
            Link {
                expires: 2_000,
                ..link()
            },
            Link {
                mime_type: "text/html".to_owned(),
                ..link()
            },
            Link {
                file_name: None,
                ..link()
            },
            Link {
                object: ObjectName::new(Area::Incoming, InstanceId::from_bytes([1; 16]), "med_1"),
                ..link()
            },
        ];
        for other in others {
            assert_eq!(
                other.check(&key, signature, at(1)),
                Err(LinkFault::Forged),
                "{other:?}"
            );
        }
        assert!(url.contains("&name=a%20b%26c.png&"), "{url}");
    }
}
