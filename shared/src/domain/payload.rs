//! The texts that queues carry: tagged and versioned, so that functions and daemons of two builds work side by side.
//!
//! A payload's version is the one that this very payload needs of its reader, not the one that its writer knows. So
//! an old reader goes on reading all that it gets right when newer payloads come. It leaves a payload of an unknown
//! version where it is, for a newer reader.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a queue carries. Versions begin at 1. Jobs and events share one count, since both may carry content: a new kind of
/// content and a new type of event each take the next version of it. Queries have a count of their own.
pub trait Payload: Serialize + DeserializeOwned {
    /// The highest version that this build reads.
    const READS: u32;

    /// The version that a reader must know to get this very payload right: [`Self::READS`] at most.
    fn needs(&self) -> u32;
}

/// The highest of the versions that the rows of a table need.
pub(crate) const fn newest(versions: &[u32]) -> u32 {
    let (mut newest, mut index) = (1, 0);
    while index < versions.len() {
        if versions[index] > newest {
            newest = versions[index];
        }
        index += 1;
    }
    newest
}

/// The first version, which a payload of before needs that does not say.
pub(crate) const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(crate) const fn is_first(version: &u32) -> bool {
    *version == first()
}

#[derive(Serialize, Deserialize)]
struct Versioned<P> {
    v: u32,
    #[serde(flatten)]
    payload: P,
}

/// Why a queue's message is not one that this code can do.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// A newer version wrote it: leave it.
    #[error("the payload is of version {0}, which is newer than this code")]
    Newer(u32),
    /// It is not what it should be: park it with this reason.
    #[error("the payload is malformed: {0}")]
    Malformed(#[source] serde_json::Error),
}

/// The text that a queue carries for a payload.
pub fn encode<P: Payload>(payload: &P) -> String {
    let v = payload.needs();
    serde_json::to_string(&Versioned { v, payload }).expect("payloads are plain data")
}

/// Reads the text that [`encode`] wrote.
pub fn decode<P: Payload>(body: &str) -> Result<P, PayloadError> {
    #[derive(Deserialize)]
    struct VersionOnly {
        v: u32,
    }
    let version: VersionOnly = serde_json::from_str(body).map_err(PayloadError::Malformed)?;
    if version.v > P::READS {
        return Err(PayloadError::Newer(version.v));
    }
    let versioned: Versioned<P> = serde_json::from_str(body).map_err(PayloadError::Malformed)?;
    Ok(versioned.payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a build knows that was there before [`New`].
    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "camelCase")]
    enum Old {
        Walk { steps: u32 },
    }

    impl Payload for Old {
        const READS: u32 = 1;

        fn needs(&self) -> u32 {
            1
        }
    }

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "camelCase")]
    enum New {
        Walk { steps: u32 },
        Dance { partner: String },
    }

    impl Payload for New {
        const READS: u32 = 2;

        fn needs(&self) -> u32 {
            match self {
                Self::Walk { .. } => 1,
                Self::Dance { .. } => 2,
            }
        }
    }

    #[test]
    fn a_payload_is_read_back() {
        let dance = New::Dance {
            partner: "Bob".to_owned(),
        };
        let body = encode(&dance);
        assert_eq!(body, r#"{"v":2,"type":"dance","partner":"Bob"}"#);
        assert_eq!(decode::<New>(&body).expect("ours"), dance);
        let walk = encode(&Old::Walk { steps: 3 });
        assert_eq!(decode::<New>(&walk).expect("an old one"), New::Walk { steps: 3 });
    }

    #[test]
    fn an_old_reader_reads_what_it_knows_and_leaves_what_is_new() {
        let walk = encode(&New::Walk { steps: 3 });
        assert_eq!(decode::<Old>(&walk).expect("known"), Old::Walk { steps: 3 });
        let dance = encode(&New::Dance {
            partner: "Bob".to_owned(),
        });
        assert!(matches!(decode::<Old>(&dance), Err(PayloadError::Newer(2))));
    }

    #[test]
    fn a_newer_version_is_told_from_a_malformed_payload() {
        for malformed in [
            r#"{"v":1,"type":"dance"}"#,
            r#"{"type":"walk","steps":3}"#,
            "{",
            "[]",
        ] {
            let error = decode::<Old>(malformed).expect_err(malformed);
            assert!(
                matches!(error, PayloadError::Malformed(_)),
                "{malformed}: {error}"
            );
        }
        assert!(matches!(
            decode::<Old>(r#"{"v":7,"shape":"of another day"}"#),
            Err(PayloadError::Newer(7))
        ));
    }
}
