//! How mails go out.

use std::path::PathBuf;

use super::{ConfigError, Lookup, Secret, missing, problem};

/// How mails go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mail {
    /// Not at all.
    Off,
    /// Through SES, from this sender.
    Ses {
        /// An address or domain that SES has verified.
        from: String,
    },
    /// Through an SMTP server, from this sender.
    Smtp {
        /// Its URL, which may hold a password.
        url: Secret,
        /// An address, perhaps with a name before it.
        from: String,
    },
    /// Into a folder.
    Folder(PathBuf),
}

/// `None` where the environment does not say.
pub(super) fn read(get: Lookup<'_>) -> Result<Option<Mail>, ConfigError> {
    let Some(text) = get("WAXWING_MAIL") else {
        return Ok(None);
    };
    let from = || get("WAXWING_MAIL_FROM").ok_or_else(|| missing("WAXWING_MAIL_FROM"));
    let mail = match text.as_str() {
        "off" => Mail::Off,
        "ses" => Mail::Ses { from: from()? },
        url if url.starts_with("smtp://") || url.starts_with("smtps://") => Mail::Smtp {
            url: Secret::new(url),
            from: from()?,
        },
        other => match other.strip_prefix("folder:") {
            Some(path) if !path.is_empty() => Mail::Folder(path.into()),
            _ => {
                return Err(problem(
                    "WAXWING_MAIL",
                    "must be `off`, `ses`, `folder:<path>`, or an smtp:// or smtps:// URL",
                ));
            }
        },
    };
    Ok(Some(mail))
}
