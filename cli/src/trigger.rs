//! `trigger`: the deployment sends a test event, to the webhook and to the realtime feed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::Api;
use crate::arguments::TriggerArguments;
use crate::client;
use crate::event::{TYPES, list_of_types};
use crate::failure::Failure;
use crate::screen::Screen;

/// Where a program asks for it.
const OWN: &str = "/api/webhook/test";

/// Asks for a test event. Without a type it lists the types.
pub async fn run(arguments: TriggerArguments, screen: &mut impl Screen) -> Result<(), Failure> {
    let Some(kind) = arguments.kind else {
        screen.line(&format!("Types of events:\n{}", list_of_types()))?;
        return Ok(());
    };
    if !TYPES.contains(&&*kind) {
        return Err(Failure::UnknownType(kind));
    }
    // Whoever names the instance is a user, even where the environment has a key.
    let (path, token) = match (&arguments.instance, &arguments.token, &arguments.key) {
        (Some(instance), Some(token), _) => (of_user(instance), token),
        (_, _, Some(key)) => (OWN.to_owned(), key),
        _ => return Err(needs_token()),
    };
    let api = Api::new(client::of_deployment()?, &arguments.url, token);
    let asked = Box::pin(api.call(Method::POST, &path, Some(&json!({"type": kind})))).await;
    let sent = asked.map_err(hinted)?;
    screen.line(&told(&kind, &sent))?;
    Ok(())
}

fn of_user(instance: &str) -> String {
    let mut url = url::Url::parse("http://localhost/api/instances").expect("well-formed");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend([instance, "webhook", "test"]);
    }
    url.path().to_owned()
}

fn told(kind: &str, sent: &Value) -> String {
    let event = sent["eventId"].as_str().unwrap_or("an event");
    let webhook = match sent["deliveryId"].as_str() {
        Some(delivery) => format!("the webhook ({delivery}) and the realtime feed"),
        None => "the realtime feed alone: the instance has no webhook that takes it".to_owned(),
    };
    format!("{kind} {event} goes to {webhook}")
}

fn needs_token() -> Failure {
    Failure::Refused {
        code: "UNAUTHENTICATED".to_owned(),
        message: "A key is needed, or a user's access token and the instance".to_owned(),
        hint: ": `--key`, or `--token` and `--instance`".to_owned(),
    }
}

/// Says what to do about a key that may not.
fn hinted(failure: Failure) -> Failure {
    match failure {
        Failure::Refused { code, message, .. } if code == "INSUFFICIENT_SCOPE" => Failure::Refused {
            hint: ". Make a key that names this scope, or go as a user: `--token` and `--instance`"
                .to_owned(),
            code,
            message,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_an_event_goes() {
        let both = told("session.qr", &json!({"eventId": "evt_1", "deliveryId": "dlv_1"}));
        assert_eq!(
            both,
            "session.qr evt_1 goes to the webhook (dlv_1) and the realtime feed"
        );
        let feed = told("session.qr", &json!({"eventId": "evt_1", "deliveryId": null}));
        assert!(feed.contains("the realtime feed alone"));
    }

    #[test]
    fn an_instance_is_one_segment_of_the_path() {
        assert_eq!(of_user("first"), "/api/instances/first/webhook/test");
        assert_eq!(of_user("../x/y"), "/api/instances/..%2Fx%2Fy/webhook/test");
    }
}
