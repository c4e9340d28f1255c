//! What an account shows its contacts for a day.

use serde::{Deserialize, Serialize};

use super::{Body, Content};

/// A status update. It goes to [`Recipient::Status`](crate::domain::recipient::Recipient::Status).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What it shows: a text, a picture or a video.
    pub status: Box<Content>,
}

impl Body for Status {
    fn shorten(&mut self) -> bool {
        self.status.shorten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::{Kind, Media, Source};

    #[test]
    fn a_status_shows_what_it_is_made_of() {
        let content = Content::Status(Status {
            status: Box::new(Content::text("the sea")),
        });
        let json = serde_json::to_string(&content).expect("plain data");
        assert_eq!(
            json,
            r#"{"kind":"status","status":{"kind":"text","text":"the sea"}}"#
        );
        assert!(serde_json::from_str::<Content>(&json).expect("ours") == content);
        assert_eq!(content.kind(), Kind::Status);
        assert_eq!(content.shown().kind(), Kind::Text);
        assert_eq!(format!("{content:?}"), "Status(…)");
    }

    #[test]
    fn its_file_is_that_of_what_it_shows() {
        let image = Content::Image(Media {
            source: Some(Source::Url("https://example.com/cat.jpg".to_owned())),
            ..Media::default()
        });
        let mut content = Content::Status(Status {
            status: Box::new(image.clone()),
        });
        assert!(content.media() == image.media());
        content.media_mut().expect("a file").text = Some("a cat".to_owned());
        assert_eq!(
            content.shown().media().and_then(|media| media.text.as_deref()),
            Some("a cat")
        );
    }
}
