//! Where the bucket is.

use std::path::PathBuf;

use super::{ConfigError, Lookup, missing, problem};

/// The bucket of media and events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bucket {
    /// A bucket of S3, by its name.
    S3(String),
    /// A folder of this machine.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Where callers reach the API: signed URLs lead to a route of it.
        public_url: String,
    },
}

pub(super) fn read(get: Lookup<'_>) -> Result<Bucket, ConfigError> {
    const VARIABLE: &str = "WAXWING_BUCKET";
    let text = get(VARIABLE).ok_or_else(|| missing(VARIABLE))?;
    match text.strip_prefix("folder:") {
        Some(path) if !path.is_empty() => Ok(Bucket::Folder {
            path: path.into(),
            public_url: get("WAXWING_PUBLIC_URL").unwrap_or_else(|| super::LOCAL_URL.to_owned()),
        }),
        None if is_name(&text) => Ok(Bucket::S3(text)),
        _ => Err(problem(
            VARIABLE,
            "must be the name of an S3 bucket, or `folder:<path>`",
        )),
    }
}

/// Whether S3 has buckets of such names.
fn is_name(text: &str) -> bool {
    let is_inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    (3..=63).contains(&text.len()) && text.bytes().all(is_inner)
}
