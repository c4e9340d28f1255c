//! Why an instance's connection is as it is.

use super::text_enum;

text_enum! {
    /// Why an instance's connection is as it is: the one table of the codes that `reason` can have.
    /// `docs/statuses.md` says what to do about each.
    Reason {
        /// No daemon holds the instance's shard: the connection comes back with the next one.
        NoDaemon = "NO_DAEMON",
        /// Its owner has disconnected it.
        DisconnectRequested = "DISCONNECT_REQUESTED",
        /// Its subscription is switched off.
        SubscriptionInactive = "SUBSCRIPTION_INACTIVE",
        /// Its owner has logged it out.
        LogoutRequested = "LOGOUT_REQUESTED",
        /// Its owner has logged it out, and its phone is still to be told.
        LogoutPending = "LOGOUT_PENDING",
        /// Nobody has scanned the QR codes of an attempt.
        QrNotScanned = "QR_NOT_SCANNED",
        /// Nobody has entered the pairing code.
        PairingCodeNotEntered = "PAIRING_CODE_NOT_ENTERED",
        /// The connection that the pairing code was good for is gone.
        PairingCodeLost = "PAIRING_CODE_LOST",
        /// WhatsApp allows no more pairing codes for now.
        PairingCodeThrottled = "PAIRING_CODE_THROTTLED",
        /// WhatsApp gives no pairing code for the number.
        PairingCodeRefused = "PAIRING_CODE_REFUSED",
        /// WhatsApp has not answered the request for a pairing code.
        PairingCodeUnanswered = "PAIRING_CODE_UNANSWERED",
        /// Nobody has used the passkey that WhatsApp asks for, or compared the code that follows it.
        PasskeyNotGiven = "PASSKEY_NOT_GIVEN",
        /// WhatsApp has not accepted the passkey.
        PasskeyRefused = "PASSKEY_REFUSED",
        /// WhatsApp, or the phone, has not answered to the passkey.
        PasskeyUnanswered = "PASSKEY_UNANSWERED",
        /// The phone, or WhatsApp, has unlinked the instance.
        LoggedOut = "LOGGED_OUT",
        /// WhatsApp has banned the number, perhaps until a time that the last error tells.
        Banned = "BANNED",
        /// WhatsApp has locked the account.
        AccountLocked = "ACCOUNT_LOCKED",
        /// WhatsApp refuses this version of the client, and tells of no newer one.
        ClientOutdated = "CLIENT_OUTDATED",
        /// WhatsApp refuses this kind of client.
        ClientRefused = "CLIENT_REFUSED",
        /// WhatsApp refuses the login, for a cause that waiting does not mend.
        LoginRefused = "LOGIN_REFUSED",
        /// WhatsApp ends each connection with an error that is not known here.
        ConnectionRefused = "CONNECTION_REFUSED",
        /// Another client has the same keys, and takes each connection over.
        Replaced = "REPLACED",
        /// WhatsApp asks for fewer requests: the connection waits.
        RateLimited = "RATE_LIMITED",
        /// An entry of its session state cannot be read, while others can: the connection waits.
        StateUnreadable = "STATE_UNREADABLE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_explained() {
        let page = include_str!("../../../docs/statuses.md");
        for reason in Reason::ALL {
            let rows = page
                .lines()
                .filter(|line| line.starts_with(&format!("| `{reason}` |")))
                .filter(|line| line.matches('|').count() == 5);
            assert_eq!(rows.count(), 1, "docs/statuses.md has a row for {reason}");
        }
    }
}
