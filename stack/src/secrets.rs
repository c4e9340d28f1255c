//! A stack's own secrets: made at the first start, kept beside the data.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use shared::config::{JwtSecret, Secret};

/// The secret of access tokens in this file; a new random one where there is none.
pub fn jwt_secret(file: &Path) -> anyhow::Result<JwtSecret> {
    let text = match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
    {
        Ok(mut created) => {
            let secret = hex::encode(rand::random::<[u8; 32]>());
            created
                .write_all(secret.as_bytes())
                .and_then(|()| created.sync_all())
                .map(|()| secret)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut text = String::new();
            File::open(file)
                .and_then(|mut existing| existing.read_to_string(&mut text))
                .map(|_| text)
        }
        Err(error) => Err(error),
    };
    let text = text.with_context(|| format!("cannot read or make {}", file.display()))?;
    anyhow::ensure!(
        text.len() >= 32,
        "{} is cut short: remove it, and users log in again",
        file.display()
    );
    Ok(JwtSecret {
        kid: "local".to_owned(),
        secret: Secret::new(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_then_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("jwt.secret");
        let first = jwt_secret(&file).expect("made");
        assert_eq!(jwt_secret(&file).expect("read"), first);
        assert_eq!(first.secret.expose().len(), 64);
        std::fs::write(&file, "short").expect("written");
        assert!(jwt_secret(&file).is_err());
    }
}
