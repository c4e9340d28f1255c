//! What can be sent: an endpoint for each kind of message, with the members and rules that are the kind's own.

mod audio;
mod contact;
mod document;
mod file;
mod forward;
mod image;
mod location;
mod poll;
mod status;
mod sticker;
mod text;
mod video;
mod voice;

pub use self::file::not_taken;

use crate::endpoint::Endpoint;
use crate::messaging::MessagingState;

/// An endpoint for each kind.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    vec![
        text::endpoint(),
        location::endpoint(),
        contact::endpoint(),
        poll::endpoint(),
        image::endpoint(),
        video::endpoint(),
        audio::endpoint(),
        voice::endpoint(),
        document::endpoint(),
        sticker::endpoint(),
        status::endpoint(),
        forward::endpoint(),
    ]
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use shared::domain::content::Kind;

    use super::*;

    /// What is said about another message has its endpoint below that message; everything else one that bears its name. What is
    /// forwarded has a kind already.
    #[test]
    fn each_kind_that_can_be_sent_has_an_endpoint() {
        let (about, others): (Vec<_>, Vec<_>) = Kind::SENT
            .iter()
            .copied()
            .partition(|kind| kind.is_about_another());
        let endpoints = endpoints().into_iter().map(Endpoint::into_operation);
        let paths: Vec<_> = endpoints.map(|operation| operation.path()).collect();
        let wanted = others.iter().map(|kind| format!("/api/messages/{kind}"));
        let forward = std::iter::once("/api/messages/forward".to_owned());
        assert_eq!(paths, wanted.chain(forward).collect::<Vec<_>>());

        let all = crate::messaging::endpoints::endpoints().into_iter();
        let all: Vec<_> = all
            .map(Endpoint::into_operation)
            .map(|operation| (operation.method().clone(), operation.path()))
            .collect();
        for kind in about {
            let endpoint = match kind {
                Kind::Reaction => (Method::POST, "/api/messages/{message}/reaction"),
                Kind::Edit => (Method::PATCH, "/api/messages/{message}"),
                Kind::Revoke => (Method::DELETE, "/api/messages/{message}"),
                other => panic!("no endpoint is known that sends {other}"),
            };
            assert!(all.contains(&endpoint), "{kind}");
        }
    }
}
