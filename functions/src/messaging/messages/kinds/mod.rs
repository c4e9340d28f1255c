//! What can be sent: an endpoint for each kind of message, with the members and rules that are the kind's own.

mod contact;
mod location;
mod poll;
mod text;

use crate::endpoint::Endpoint;
use crate::messaging::MessagingState;

/// An endpoint for each kind.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    vec![
        text::endpoint(),
        location::endpoint(),
        contact::endpoint(),
        poll::endpoint(),
    ]
}

#[cfg(test)]
mod tests {
    use shared::domain::content::Kind;

    use super::*;

    #[test]
    fn each_kind_that_can_be_sent_has_an_endpoint() {
        let endpoints = endpoints().into_iter().map(Endpoint::into_operation);
        let paths: Vec<_> = endpoints.map(|operation| operation.path()).collect();
        let others = Kind::SENT.iter().filter(|kind| !kind.is_about_another());
        let wanted = others.map(|kind| format!("/api/messages/{kind}"));
        assert_eq!(paths, wanted.collect::<Vec<_>>());
    }
}
