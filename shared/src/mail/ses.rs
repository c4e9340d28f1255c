//! Mail through Amazon SES.

use async_trait::async_trait;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::SdkError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};

use super::{Mail, MailError, Mailer, SEND_DEADLINE};

/// SES in one region, with one sender that it knows as verified.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: Client,
    from: String,
}

impl SesMailer {
    /// A mailer with the region and credentials of `config`, from `from`.
    pub fn new(config: &aws_config::SdkConfig, from: impl Into<String>) -> Self {
        let config = aws_sdk_sesv2::config::Builder::from(config)
            .timeout_config(TimeoutConfig::builder().operation_timeout(SEND_DEADLINE).build())
            .build();
        Self {
            client: Client::from_conf(config),
            from: from.into(),
        }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let content = |text: &str| {
            Content::builder()
                .data(text)
                .charset("UTF-8")
                .build()
                .map_err(|error| MailError::Refused(error.into()))
        };
        let body = Body::builder()
            .text(content(&mail.text)?)
            .html(content(&mail.html)?)
            .build();
        let message = Message::builder()
            .subject(content(&mail.subject)?)
            .body(body)
            .build();
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(mail.to.as_str()).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => {
                let refused = match &error {
                    SdkError::ServiceError(service) => {
                        let error = service.err();
                        !(error.is_too_many_requests_exception() || error.is_limit_exceeded_exception())
                            && service.raw().status().as_u16() < 500
                    }
                    _ => false,
                };
                Err(if refused {
                    MailError::Refused(error.into())
                } else {
                    MailError::Unavailable(error.into())
                })
            }
        }
    }
}
