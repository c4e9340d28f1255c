//! What a file is, by its first bytes.

use std::borrow::Cow;

use shared::domain::media::essence;

/// What a document is called whose bytes say nothing, nor its sender.
const UNKNOWN: &str = "application/octet-stream";

/// Types that stand for several: what a sender says of such a file is more exact.
const CONTAINERS: [&str; 5] = [
    "application/zip",
    "application/x-ole-storage",
    "application/xml",
    "text/xml",
    "text/html",
];

/// The type of a file; `None` where its bytes do not say it.
pub fn type_of(head: &[u8]) -> Option<&'static str> {
    // A brand of MP4 that the other table does not know.
    if head.get(4..8) == Some(b"ftyp") {
        match head.get(8..11) {
            Some(b"3gp" | b"3g2") => return Some("video/3gpp"),
            Some(b"M4A" | b"M4B") => return Some("audio/mp4"),
            _ => {}
        }
    }
    let found = infer::get(head)?.mime_type();
    Some(match found {
        "audio/m4a" => "audio/mp4",
        "audio/opus" => "audio/ogg",
        "audio/x-wav" => "audio/wav",
        "video/x-m4v" => "video/mp4",
        other => other,
    })
}

/// The type that a document goes out with.
pub fn type_of_document(found: Option<&'static str>, given: Option<String>, head: &[u8]) -> String {
    let is_vague = found.is_none_or(|found| CONTAINERS.contains(&found));
    match (found, given) {
        (_, Some(given)) if is_vague => given,
        // Two names of one type: the sender's has its parameters.
        (Some(found), Some(given)) if essence(&given) == essence(found) => given,
        (Some(found), _) => found.to_owned(),
        (None, _) if is_text(head) => "text/plain".to_owned(),
        (None, _) => UNKNOWN.to_owned(),
    }
}

/// Whether the first bytes are those of a text in UTF-8.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The head may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

/// A part of a URL as people read it; as it is where it is no UTF-8.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let mut decoded = [0];
        if let Some(Ok(())) = digits.map(|digits| hex::decode_to_slice(digits, &mut decoded)) {
            plain.push(decoded[0]);
            at += 3;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_the_type_and_names_do_not() {
        for (head, wanted) in [
            (&b"\xff\xd8\xff\xe0"[..], Some("image/jpeg")),
            (b"\x89PNG\r\n\x1a\n", Some("image/png")),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", Some("image/webp")),
            (b"RIFF\x00\x00\x00\x00WAVEfmt ", Some("audio/wav")),
            (b"\x00\x00\x00\x18ftyp3gp4\x00\x00", Some("video/3gpp")),
            (b"\x00\x00\x00\x18ftypM4A \x00\x00", Some("audio/mp4")),
            (b"\x00\x00\x00\x18ftypisom\x00\x00", Some("video/mp4")),
            (b"ID3\x03\x00", Some("audio/mpeg")),
            (b"%PDF-1.7", Some("application/pdf")),
            (b"a,b\n1,2\n", None),
            (b"", None),
        ] {
            assert_eq!(type_of(head), wanted, "{head:?}");
        }
    }

    #[test]
    fn a_document_is_what_it_is_and_else_what_its_sender_says() {
        let of = |head: &[u8], given: Option<&str>| {
            type_of_document(type_of(head), given.map(str::to_owned), head)
        };
        assert_eq!(of(b"%PDF-1.7", Some("text/html")), "application/pdf");
        assert_eq!(
            of(b"a,b\n", Some("text/csv; charset=utf-8")),
            "text/csv; charset=utf-8"
        );
        assert_eq!(of("Grüße\n".as_bytes(), None), "text/plain");
        assert_eq!(
            of(&"Grü".as_bytes()[..3], None),
            "text/plain",
            "cut within a character"
        );
        assert_eq!(of(&[0, 1, 2, 255], None), UNKNOWN);
        assert_eq!(
            of(b"PK\x03\x04", Some("application/epub+zip")),
            "application/epub+zip"
        );
    }

    #[test]
    fn a_name_in_a_url_is_read() {
        for (text, plain) in [
            ("a%20b%2Bc.pdf", "a b+c.pdf"),
            ("100%", "100%"),
            ("%ff", "%ff"),
            ("%C3%BC", "ü"),
        ] {
            assert_eq!(percent_decoded(text), plain);
        }
    }
}
