//! SES through an AWS stand-in.

use aws_sdk_sesv2::Client;
use serde_json::Value;
use shared::mail::{MailError, Mailer as _, SesMailer};

use crate::{invitation, setting};

const SENDER: &str = "ses-sender@example.com";

#[tokio::test]
#[ignore = "not run: needs the servers of tests/mail/run.sh"]
async fn a_mail_goes_out_once_its_sender_is_verified() {
    let endpoint = setting("WAXWING_SES_ENDPOINT");
    let config = shared::aws::stand_in(&endpoint);
    let mailer = SesMailer::new(&config, format!("Waxwing <{SENDER}>"));
    let mail = invitation("ses-recipient@example.com");

    let refused = mailer.send(&mail).await.expect_err("an unverified sender");
    assert!(matches!(refused, MailError::Refused(_)), "{refused:?}");

    let client = Client::new(&config);
    let identity = client.create_email_identity().email_identity(SENDER);
    identity.send().await.expect("verified");
    mailer.send(&mail).await.expect("sent");

    let told = testbed::caller::http().get(format!("{endpoint}/_ministack/ses/messages"));
    let messages = told.send().await.expect("answered");
    let messages: Value = messages.json().await.expect("JSON");
    let text = messages.to_string();
    let found = find(&messages, &|value| value["To"][0] == "ses-recipient@example.com");
    let found = found.unwrap_or_else(|| panic!("no such mail: {text}"));
    assert_eq!(found["Source"], format!("Waxwing <{SENDER}>"));
    assert_eq!(found["Subject"], mail.subject);
    assert_eq!(found["BodyText"], mail.text);
    assert_eq!(found["BodyHtml"], mail.html);
}

#[tokio::test]
#[ignore = "not run: needs the servers of tests/mail/run.sh"]
async fn an_endpoint_that_is_not_there_is_unavailable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", free.local_addr().expect("bound"));
    drop(free);
    let mailer = SesMailer::new(&shared::aws::stand_in(&endpoint), SENDER);
    let error = mailer
        .send(&invitation("nobody@example.com"))
        .await
        .expect_err("no server");
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
}

/// The first part of a JSON value that fits, wherever it stands.
fn find<'a>(value: &'a Value, fits: &dyn Fn(&Value) -> bool) -> Option<&'a Value> {
    if fits(value) {
        return Some(value);
    }
    match value {
        Value::Array(parts) => parts.iter().find_map(|part| find(part, fits)),
        Value::Object(parts) => parts.values().find_map(|part| find(part, fits)),
        _ => None,
    }
}
