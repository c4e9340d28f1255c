//! What the network does at what a daemon asks of a connection.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use daemon::connection::{
    AskError, Audience, ChatState, Chosen, Connection, Crowd, FetchedMedia, MediaError, PairingCode,
    PairingError, SendError, Unread,
};
use daemon::passkey::PasskeyError;
use daemon::whatsapp::Spool;
use shared::domain::content::{Bytes, Came, Kind, Remote, Said, Whence};
use shared::domain::message::Failure;
use shared::domain::passkey::Credential;
use shared::domain::person::Person;
use shared::domain::phone::PhoneNumber;
use shared::domain::question::{self, Ask, Found};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use tokio::sync::oneshot;

use super::{Asked, Line, PANICS, Passkey, Questioned, Sent, Wanted};

#[async_trait]
impl Connection for Line {
    async fn send(&self, message: MessageId, to: &Recipient, said: &Said) -> Result<(), SendError> {
        assert_ne!(said, &Said::text(PANICS), "as a defect of the library would");
        let refusal = self.refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            let after = *self.refuses_after.lock().expect("no holder panics");
            tokio::time::sleep(after).await;
            return Err(refusal);
        }
        let sent = Sent {
            message,
            to: to.clone(),
            content: said.content.clone(),
        };
        self.sent.send(sent).await.map_err(|_| SendError::NotConnected)
    }

    async fn send_status(
        &self,
        message: MessageId,
        said: &Said,
        audience: &Audience,
    ) -> Result<(), SendError> {
        let members = self.members.lock().expect("no holder panics").clone();
        assert_eq!(audience.people, members, "those who were found");
        self.send(message, &Recipient::Status, said).await
    }

    async fn audience(&self) -> Result<Audience, SendError> {
        self.audiences.fetch_add(1, Ordering::Relaxed);
        let refusal = self.audience_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let mut hangs = self.audience_hangs.subscribe();
        let freed = hangs.wait_for(|hangs| !hangs).await;
        freed.map_err(|_| SendError::NotConnected)?;
        Ok(Audience {
            people: self.members.lock().expect("no holder panics").clone(),
            chosen: Chosen::Contacts,
        })
    }

    async fn are_many(&self, _crowd: &Crowd) -> Result<bool, SendError> {
        // It takes longer than a message to many waits for its keys.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let refusal = self.count_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        Ok(!self.are_few.load(Ordering::Relaxed))
    }

    async fn agree_on_keys(&self, _crowd: &Crowd) -> Result<(), SendError> {
        self.agreements.fetch_add(1, Ordering::Relaxed);
        let refusal = self.key_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let mut hangs = self.keys_hang.subscribe();
        tokio::select! {
            biased;
            () = self.disconnected.cancelled() => Err(SendError::NotConnected),
            () = self.abandoned.cancelled() => Err(SendError::NotConnected),
            freed = hangs.wait_for(|hangs| !hangs) => freed.map(drop).map_err(|_| SendError::NotConnected),
        }
    }

    async fn upload(&self, file: &Spool) -> Result<Remote, SendError> {
        let refusal = self.upload_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Ok(Remote {
            direct_path: "/v/t62".to_owned(),
            url: None,
            key: Bytes(vec![1; 32]),
            key_at: None,
            encrypted_sha256: Bytes(vec![2; 32]),
            sha256: Bytes(file.sha256().to_vec()),
            size: file.size(),
            sidecar: None,
            thumbnail: None,
            waveform: None,
            whence: None,
        })
    }

    async fn show(&self, to: &Recipient, state: ChatState) -> Result<(), SendError> {
        let shown = (to.clone(), state);
        self.shown.lock().expect("no holder panics").push(shown);
        Ok(())
    }

    async fn other_name(&self, name: &Recipient) -> Option<Recipient> {
        let names = self.names.lock().expect("no holder panics");
        let pair = names.iter().find(|(one, other)| one == name || other == name)?;
        Some(if pair.0 == *name { &pair.1 } else { &pair.0 }.clone())
    }

    async fn has_written_to(&self, to: &Recipient) -> bool {
        !self.strangers.lock().expect("no holder panics").contains(to)
    }

    async fn refresh_trust(&self, to: &Recipient) -> Result<(), SendError> {
        self.refreshed.lock().expect("no holder panics").push(to.clone());
        Ok(())
    }

    async fn explain(&self, _to: &Recipient, _error: Option<u32>) -> Result<Option<Failure>, SendError> {
        Ok(self
            .explanations
            .lock()
            .expect("no holder panics")
            .pop()
            .flatten())
    }

    async fn pairing_code(&self, phone: &PhoneNumber) -> Result<PairingCode, PairingError> {
        let (answer, answered) = oneshot::channel();
        let phone = phone.clone();
        let asked = self.asked.send(Asked { phone, answer }).await;
        asked.map_err(|_| PairingError::NotConnected)?;
        answered.await.unwrap_or(Err(PairingError::NotConnected))
    }

    async fn answer_passkey(&self, credential: &Credential) -> Result<(), PasskeyError> {
        self.tell_passkey(Some(credential.clone())).await
    }

    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        self.tell_passkey(None).await
    }

    async fn ask(&self, ask: &Ask) -> Result<question::Answer, AskError> {
        let (answer, answered) = oneshot::channel();
        let ask = ask.clone();
        let asked = self.questions.send(Questioned { ask, answer }).await;
        asked.map_err(|_| AskError::NotConnected)?;
        answered
            .await
            .expect("the test answers, or this panics as a defect of the library would")
    }

    async fn fetch_media(&self, came: &Came, _: Option<&Path>) -> Result<FetchedMedia, MediaError> {
        let (answer, answered) = oneshot::channel();
        let came = came.clone();
        let wanted = self.files.send(Wanted { came, answer }).await;
        wanted.map_err(|_| MediaError::NotConnected)?;
        answered.await.unwrap_or(Err(MediaError::NotConnected))
    }

    async fn find_media(&self, remote: &Remote, _: Kind, _: &Whence) -> Result<String, MediaError> {
        let found = self.found_files.lock().expect("no holder panics").pop();
        found.unwrap_or_else(|| Ok(remote.direct_path.clone()))
    }

    async fn look_up(&self, name: &Recipient) -> Result<Found, SendError> {
        self.looked_up
            .lock()
            .expect("no holder panics")
            .push(name.clone());
        let refusal = self.look_up_refusals.lock().expect("no holder panics").pop();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let found = self.found.lock().expect("no holder panics");
        let found = found.iter().find(|(known, _)| known == name);
        Ok(found.map_or(Found::Unsaid, |(_, found)| found.clone()))
    }

    async fn mark_read(&self, chat: &Recipient, messages: &[Unread]) -> Result<(), AskError> {
        let mut read = self.read.lock().expect("no holder panics");
        read.push((chat.clone(), messages.to_vec()));
        Ok(())
    }

    async fn group_members(&self, _group: &Recipient) -> Result<Vec<Person>, SendError> {
        Ok(self.members.lock().expect("no holder panics").clone())
    }

    async fn probe(&self, _patience: Duration) -> Result<(), SendError> {
        if *self.answers_probes.lock().expect("no holder panics") {
            Ok(())
        } else {
            Err(SendError::Timeout)
        }
    }

    async fn disconnect(&self) {
        self.disconnected.cancel();
    }

    async fn logout(&self) -> Result<(), SendError> {
        self.disconnected.cancel();
        if *self.answers_probes.lock().expect("no holder panics") {
            self.logged_out.cancel();
            Ok(())
        } else {
            Err(SendError::Timeout)
        }
    }

    fn abandon(&self) {
        self.abandoned.cancel();
    }
}

impl Line {
    async fn tell_passkey(&self, credential: Option<Credential>) -> Result<(), PasskeyError> {
        let (answer, answered) = oneshot::channel();
        let told = self.passkeys.send(Passkey { credential, answer }).await;
        told.map_err(|_| PasskeyError::NotConnected)?;
        answered.await.unwrap_or(Err(PasskeyError::NotConnected))
    }
}
