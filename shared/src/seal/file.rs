//! Wrapping by a key in a file: for local stacks, where there is no KMS.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::cipher;
use super::wrapper::{DataKey, KeyContext, KeyError, KeyWrapper};

/// Wraps data keys by AES-256-GCM under a 32-byte key read from a file. The context is
/// bound to the wrapped key as associated data.
#[derive(Debug)]
pub struct FileKeyWrapper {
    key: DataKey,
}

impl FileKeyWrapper {
    /// Reads the key file. Where there is none it is made first, readable to its owner alone, with the directories
    /// that it needs. Processes that start together agree on one key.
    pub fn open(path: &Path) -> io::Result<Self> {
        key_in(path).map(|key| Self { key })
    }

    /// Reads the key file, and makes none.
    ///
    /// # Errors
    /// `NotFound` where there is no file, `InvalidData` where it has not exactly 32 bytes.
    pub fn read(path: &Path) -> io::Result<Self> {
        from_bytes(&Zeroizing::new(fs::read(path)?)).map(|key| Self { key })
    }

    /// A text that tells this key from others and gives nothing of it away: HMAC-SHA256 of a fixed text under the key, as 64
    /// hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.bytes()).expect("HMAC takes keys of any length");
        mac.update(b"the fingerprint of a wrapping key");
        hex::encode(mac.finalize().into_bytes())
    }
}

/// The key in a file, which is made first where there is none: see [`FileKeyWrapper::open`].
pub(crate) fn key_in(path: &Path) -> io::Result<DataKey> {
    match fs::read(path) {
        Ok(bytes) => return from_bytes(&Zeroizing::new(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    create(path, directory)?;
    from_bytes(&Zeroizing::new(fs::read(path)?))
}

fn from_bytes(bytes: &[u8]) -> io::Result<DataKey> {
    DataKey::from_slice(bytes)
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a key file has exactly 32 bytes"))
}

/// Makes the file in one step: it is written whole under another name, then linked to its own. A link never replaces
/// a file, so the second process keeps the first one's key.
fn create(path: &Path, directory: &Path) -> io::Result<()> {
    let draft = directory.join(format!(".key-{:032x}", rand::random::<u128>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(DataKey::generate().bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&draft)?;
    linked?;
    // A power cut must not take the key back: all that was sealed under it would be lost.
    File::open(directory)?.sync_all()
}

#[async_trait]
impl KeyWrapper for FileKeyWrapper {
    async fn generate(&self, context: &KeyContext) -> Result<(DataKey, Vec<u8>), KeyError> {
        let key = DataKey::generate();
        let wrapped = cipher::seal(&self.key, &associated_data(context), key.bytes());
        Ok((key, wrapped))
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        cipher::open(&self.key, &associated_data(context), wrapped)
            .map(Zeroizing::new)
            .and_then(|plain| DataKey::from_slice(&plain))
            .ok_or(KeyError::WrongContext)
    }
}

fn associated_data(context: &KeyContext) -> Vec<u8> {
    let pairs = context.pairs().map(|(name, value)| format!("{name}={value}"));
    pairs.join("&").into_bytes()
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::ids::InstanceId;
    use crate::seal::Purpose;

    fn context(purpose: Purpose) -> KeyContext {
        KeyContext {
            purpose,
            instance: InstanceId::from_bytes([1; 16]),
        }
    }

    #[tokio::test]
    async fn a_key_unwraps_in_its_own_context_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("deep/down/master.key");
        let wrapper = FileKeyWrapper::open(&path).expect("made");
        let context = context(Purpose::Session);
        let (key, wrapped_key) = wrapper.generate(&context).await.expect("generated");

        let again = FileKeyWrapper::open(&path).expect("read again");
        let unwrapped = again.unwrap(&context, &wrapped_key).await.expect("unwrapped");
        assert_eq!(unwrapped.bytes(), key.bytes());

        let other_purpose = KeyContext {
            purpose: Purpose::Content,
            ..context
        };
        let other_instance = KeyContext {
            instance: InstanceId::from_bytes([7; 16]),
            ..context
        };
        for other in [other_purpose, other_instance] {
            assert!(matches!(
                again.unwrap(&other, &wrapped_key).await,
                Err(KeyError::WrongContext)
            ));
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_and_alone_in_its_directory() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("master.key");
        FileKeyWrapper::open(&path).expect("made");
        let mode = fs::metadata(&path).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_key_is_known_by_its_fingerprint_and_reading_makes_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let [one, other] = ["one.key", "other.key"].map(|name| directory.path().join(name));
        let missing = FileKeyWrapper::read(&one).expect_err("there is none");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(!one.exists());

        let made = FileKeyWrapper::open(&one).expect("made").fingerprint();
        assert_eq!(FileKeyWrapper::read(&one).expect("read").fingerprint(), made);
        assert_ne!(FileKeyWrapper::open(&other).expect("made").fingerprint(), made);
        let key = hex::encode(fs::read(&one).expect("read"));
        assert!(made.len() == 64 && made != key, "it is not the key itself");
    }

    #[test]
    fn a_file_of_another_length_is_refused_and_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("master.key");
        fs::write(&path, b"short").expect("written");
        assert_eq!(
            FileKeyWrapper::open(&path).expect_err("refused").kind(),
            ErrorKind::InvalidData
        );
        assert_eq!(fs::read(&path).expect("kept"), b"short");
    }
}
