//! SMTP through aiosmtpd: the doors of `tests/mail/server.py`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use shared::mail::{MailError, Mailer as _, SEND_DEADLINE, SmtpMailer};

use crate::{CODE, invitation, setting};

const SENDER: &str = "Wäxwing <waxwing@example.com>";

fn folder() -> PathBuf {
    setting("WAXWING_SMTP_FOLDER").into()
}

/// A mailer through one of the doors.
fn mailer(scheme: &str, door: &str, parameters: &str) -> SmtpMailer {
    let ports = std::fs::read_to_string(folder().join("ports.json")).expect("the server runs");
    let ports: Value = serde_json::from_str(&ports).expect("JSON");
    let (user, host) = scheme.split_once("://").expect("a scheme");
    let url = format!("{user}://{host}:{}{parameters}", ports[door]);
    SmtpMailer::new(&url, SENDER).expect("a mailer")
}

/// The one mail that has come for `to`.
fn arrived(to: &str) -> Value {
    let entries = std::fs::read_dir(folder().join("mails")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut mails: Vec<Value> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON"))
        .filter(|mail: &Value| mail["envelopeTo"][0] == to)
        .collect();
    assert_eq!(mails.len(), 1, "mails to {to}");
    mails.remove(0)
}

#[tokio::test]
#[ignore = "not run: needs the servers of tests/mail/run.sh"]
async fn a_mail_arrives_with_both_bodies_and_every_letter() {
    let mail = invitation("plain@example.com");
    mailer("smtp://127.0.0.1", "plain", "")
        .send(&mail)
        .await
        .expect("sent");
    let arrived = arrived("plain@example.com");
    assert_eq!(arrived["envelopeFrom"], "waxwing@example.com");
    assert_eq!(arrived["from"], SENDER);
    assert_eq!(arrived["subject"], mail.subject);
    assert_eq!(arrived["contentType"], "multipart/alternative");
    assert_eq!(arrived["hasDate"], true);
    for (part, body) in [("text", &mail.text), ("html", &mail.html)] {
        let text = arrived[part].as_str().expect("a part").replace("\r\n", "\n");
        assert_eq!(text.trim_end(), body.trim_end());
        assert!(text.contains(CODE));
    }
    assert!(mail.text.contains("Søren & <Søn>"));
    assert!(mail.html.contains("Søren &amp; &lt;Søn&gt;"), "{}", mail.html);
}

#[tokio::test]
#[ignore = "not run: needs the servers of tests/mail/run.sh"]
async fn tls_and_a_password_are_used_where_the_url_says_so() {
    let user = "waxwing:right%20password@localhost";
    for (scheme, door, parameters) in [("smtp", "starttls", "?tls=required"), ("smtps", "tls", "")] {
        let to = format!("{door}@example.com");
        let mailer = mailer(&format!("{scheme}://{user}"), door, parameters);
        mailer.send(&invitation(&to)).await.expect(door);
        let arrived = arrived(&to);
        assert_eq!(arrived["encrypted"], true, "{door}");
        assert_eq!(arrived["authenticated"], true, "{door}");
    }
}

#[tokio::test]
#[ignore = "not run: needs the servers of tests/mail/run.sh"]
async fn what_does_not_go_out_says_whether_trying_again_can_help() {
    let (right, wrong) = (
        "smtp://waxwing:right%20password@localhost",
        "smtp://waxwing:wrong@localhost",
    );
    let required = "?tls=required";
    let cases = [
        (
            "a mailbox that is not there",
            mailer("smtp://127.0.0.1", "plain", ""),
            "refused@example.com",
            true,
        ),
        (
            "a mailbox that is busy",
            mailer("smtp://127.0.0.1", "plain", ""),
            "later@example.com",
            false,
        ),
        (
            "a wrong password",
            mailer(wrong, "starttls", required),
            "a@example.com",
            true,
        ),
        (
            "TLS that the server does not have",
            mailer(right, "plain", required),
            "b@example.com",
            false,
        ),
        (
            "a server that wants TLS",
            mailer("smtp://localhost", "starttls", ""),
            "c@example.com",
            true,
        ),
        (
            "a certificate of nobody's",
            mailer(right, "stranger", required),
            "d@example.com",
            false,
        ),
    ];
    for (what, mailer, to, is_final) in cases {
        let error = mailer.send(&invitation(to)).await.expect_err(what);
        assert_eq!(
            matches!(error, MailError::Refused(_)),
            is_final,
            "{what}: {error:?}"
        );
        assert_eq!(
            matches!(error, MailError::Unavailable(_)),
            !is_final,
            "{what}: {error:?}"
        );
        let told = format!("{error:?}");
        assert!(
            !told.contains(CODE) && !told.contains("password"),
            "{what}: {told}"
        );
    }
}

#[tokio::test]
#[ignore = "not run: needs the servers of tests/mail/run.sh"]
async fn nobody_waits_for_ever_for_a_silent_server() {
    let mailer = mailer("smtp://127.0.0.1", "silent", "");
    let mail = invitation("silent@example.com");
    let sending = mailer.send(&mail);
    let ended = tokio::time::timeout(SEND_DEADLINE + Duration::from_secs(20), sending).await;
    let error = ended.expect("it ends by itself").expect_err("nothing was said");
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
#[ignore = "not run: needs the servers of tests/mail/run.sh"]
async fn a_server_that_is_not_there_is_unavailable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let mailer = SmtpMailer::new(&format!("smtp://127.0.0.1:{port}"), SENDER).expect("a mailer");
    let error = mailer
        .send(&invitation("nobody@example.com"))
        .await
        .expect_err("no server");
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
}
