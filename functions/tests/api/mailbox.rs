//! A mailer whose mails a test reads, and which can fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use shared::mail::{Mail, MailError, Mailer};

#[derive(Debug, Default)]
pub struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    fails: AtomicBool,
    is_off: AtomicBool,
}

impl Mailbox {
    /// From here on no mail goes out, or every one again.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// From here on this deployment sends no mail.
    pub fn switch_off(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    /// How many went out.
    pub fn len(&self) -> usize {
        self.mails.lock().expect("no holder panics").len()
    }

    /// The newest mail to an address.
    #[track_caller]
    pub fn newest(&self, to: &str) -> Mail {
        let mails = self.mails.lock().expect("no holder panics");
        let mut found = mails.iter().rev();
        found
            .find(|mail| mail.to.as_str() == to)
            .expect("a mail to this address")
            .clone()
    }

    /// The code in the newest mail to an address.
    #[track_caller]
    pub fn code(&self, to: &str) -> String {
        testbed::mail::code(&self.newest(to).text)
    }
}

#[async_trait]
impl Mailer for Mailbox {
    fn sends(&self) -> bool {
        !self.is_off.load(Ordering::Relaxed)
    }

    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        if !self.sends() {
            return Err(MailError::Off);
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(MailError::Unavailable("the mail server is away".into()));
        }
        self.mails.lock().expect("no holder panics").push(mail.clone());
        Ok(())
    }
}
