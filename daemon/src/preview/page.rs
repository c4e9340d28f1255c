//! What a page says of itself in its head. Pages are written by anybody: this reads tokens one after the other, builds no
//! tree, and keeps little.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use html5gum::{DefaultEmitter, HtmlString, Token, Tokenizer};

/// The longest title that a preview shows, in characters.
const MAX_TITLE: usize = 256;

/// The longest description that a preview shows, in characters.
const MAX_DESCRIPTION: usize = 1_000;

/// How far into a page its character set is looked for, in bytes: as far as browsers look (HTML, 13.2.3.2).
const SNIFFED: usize = 1_024;

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What it is called.
    pub title: Option<String>,
    /// What it says of itself.
    pub description: Option<String>,
    /// Its picture, as it stands there: perhaps not a whole URL.
    pub image: Option<String>,
}

/// Reads the beginning of a page, whose character set the host has named or not.
pub fn read(bytes: &[u8], charset: Option<&str>) -> Page {
    let text = decode(bytes, charset);
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut found = Found::default();
    for token in Tokenizer::new_with_emitter(text.as_str(), emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => match tag.name.as_slice() {
                b"meta" => {
                    let attribute = |name: &[u8]| tag.attributes.get(name).map(|value| said(&value.value));
                    let name = attribute(b"property").or_else(|| attribute(b"name"));
                    if let (Some(name), Some(content)) = (name, attribute(b"content")) {
                        found.note(&name.to_ascii_lowercase(), &content);
                    }
                }
                b"title" => found.begin_title(),
                // What is said below the head is not the page's own word. Some pages have no head, or none that ends.
                b"body" => break,
                _ => {}
            },
            Token::String(text) => found.title_goes_on(&said(&text.value)),
            Token::EndTag(tag) => match tag.name.as_slice() {
                b"title" => found.is_in_title = false,
                b"head" => break,
                _ => {}
            },
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    found.page()
}

fn said(text: &HtmlString) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// What was found so far. Of what is said twice, the first counts.
#[derive(Default)]
struct Found {
    title: Option<String>,
    og_title: Option<String>,
    description: Option<String>,
    og_description: Option<String>,
    image: Option<String>,
    is_in_title: bool,
}

impl Found {
    fn note(&mut self, name: &str, content: &str) {
        let (slot, most) = match name {
            "og:title" => (&mut self.og_title, MAX_TITLE),
            "og:description" => (&mut self.og_description, MAX_DESCRIPTION),
            "description" => (&mut self.description, MAX_DESCRIPTION),
            "og:image" | "og:image:url" | "og:image:secure_url" => (&mut self.image, shared::reach::MAX_URL),
            _ => return,
        };
        if slot.is_none() {
            *slot = tidy(content, most);
        }
    }

    fn begin_title(&mut self) {
        if self.title.is_none() {
            self.title = Some(String::new());
            self.is_in_title = true;
        }
    }

    fn title_goes_on(&mut self, text: &str) {
        if let Some(title) = self.title.as_mut().filter(|_| self.is_in_title) {
            // More than is shown is not kept.
            let left = (MAX_TITLE * 4).saturating_sub(title.len());
            title.push_str(&text[..text.floor_char_boundary(left)]);
        }
    }

    fn page(self) -> Page {
        let title = self.title.and_then(|title| tidy(&title, MAX_TITLE));
        Page {
            title: self.og_title.or(title),
            description: self.og_description.or(self.description),
            image: self.image,
        }
    }
}

/// A text in one line, cut to what is shown, without what would turn the text around it. `None` for nothing.
fn tidy(text: &str, most: usize) -> Option<String> {
    let mut tidy = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let word = word.trim_matches('\u{feff}');
        if word.is_empty() {
            continue;
        }
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.extend(word.chars().filter(|c| !turns_direction(*c)));
        if tidy.len() > most * 4 {
            break;
        }
    }
    if let Some((end, _)) = tidy.char_indices().nth(most) {
        tidy.truncate(end);
    }
    (!tidy.trim().is_empty()).then_some(tidy)
}

/// The controls of bidirectional text (Unicode, UAX 9) that override what stands around them.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A page's text: in the character set of its byte order mark, or that which its host names, or which it names itself, or
/// else in UTF-8 where it is that, as browsers go about it.
fn decode(bytes: &[u8], charset: Option<&str>) -> String {
    let named = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    let encoding = named
        .or_else(|| charset_within(&bytes[..bytes.len().min(SNIFFED)]))
        .unwrap_or_else(|| if is_utf8(bytes) { UTF_8 } else { WINDOWS_1252 });
    let (text, _, _) = encoding.decode(bytes);
    text.into_owned()
}

/// Whether the bytes are UTF-8, the last character of which may be cut off.
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// The character set that a page names in itself.
fn charset_within(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut rest = head.as_str();
    while let Some(at) = rest.find("charset") {
        rest = rest[at + "charset".len()..].trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start().trim_start_matches(['"', '\'']);
        let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:".contains(c));
        if let Some(encoding) = Encoding::for_label(&value.as_bytes()[..end.unwrap_or(value.len())]) {
            // A page that could be read so far is in none of two bytes a letter.
            return Some(if encoding.is_ascii_compatible() {
                encoding
            } else {
                UTF_8
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        read(html.as_bytes(), None)
    }

    fn titled(title: &str) -> Page {
        Page {
            title: Some(title.to_owned()),
            ..Page::default()
        }
    }

    #[test]
    fn a_page_says_what_it_is() {
        let whole = page(concat!(
            "<!doctype html><HTML><head><title>Plain</title>",
            r#"<meta name="description" content="plain words">"#,
            r#"<META PROPERTY='og:title' CONTENT='Fish &amp; Chips&#33;'>"#,
            r#"<meta property=og:title content=second>"#,
            r#"<meta content="the
                best" name="og:description"/>"#,
            r#"<meta property="og:image" content="/fish.jpg?a=1&amp;b=2">"#,
            "</head><body>",
            r#"<meta property="og:title" content="in the body">"#,
        ));
        let wanted = Page {
            title: Some("Fish & Chips!".to_owned()),
            description: Some("the best".to_owned()),
            image: Some("/fish.jpg?a=1&b=2".to_owned()),
        };
        assert_eq!(whole, wanted);
        let plain = page("<title>\n  Plain\n  words </title><meta name=description content=more>");
        assert_eq!(plain.title.as_deref(), Some("Plain words"));
        assert_eq!(plain.description.as_deref(), Some("more"));
    }

    #[test]
    fn what_is_no_markup_is_none() {
        for html in [
            "",
            "hello",
            "<title></title>",
            "<title> \u{a0} </title>",
            "<!-- <title>no</title> -->",
            "<script>document.write('<title>no</title>')</script>",
            "<meta property=og:title>",
            "<svg><text>no</text></svg>",
            "<body><title>no</title>",
        ] {
            assert_eq!(page(html), Page::default(), "{html}");
        }
        // Cut off anywhere, the page says what it said by then.
        assert_eq!(page("<title>one</title><meta property=\"og:ti"), titled("one"));
        assert_eq!(page("<title>one and a ha"), titled("one and a ha"));
    }

    #[test]
    fn a_page_is_read_in_its_character_set() {
        let latin = b"<title>caf\xe9 \x80</title>";
        assert_eq!(read(latin, None), titled("café €"));
        assert_eq!(read(latin, Some("iso-8859-1")), titled("café €"));
        assert_eq!(read("<title>café</title>".as_bytes(), None), titled("café"));
        assert_eq!(
            read("<title>caf\u{e9}".as_bytes(), Some("nonsense")),
            titled("café")
        );
        let japanese = b"<meta charset=\"Shift_JIS\"><title>\x93\xfa\x96{</title>";
        assert_eq!(read(japanese, None), titled("日本"));
        let russian =
            b"<meta http-equiv=Content-Type content='text/html; charset=windows-1251'><title>\xc4\xe0";
        assert_eq!(read(russian, None), titled("Да"));
        // The byte order mark is stronger than what the host says.
        let marked = "\u{feff}<title>café".as_bytes();
        assert_eq!(read(marked, Some("windows-1252")), titled("café"));
        // A false name makes other letters, and nothing worse.
        let wrong = read("<title>café</title>".as_bytes(), Some("utf-16le"));
        assert_eq!(wrong, Page::default());
        let lies = b"<meta charset=utf-16><title>plain</title>";
        assert_eq!(read(lies, None), titled("plain"));
    }

    #[test]
    fn what_is_long_is_cut_and_what_turns_is_left_out() {
        let long = page(&format!("<title>{}</title>", "é".repeat(100_000)));
        assert_eq!(long.title.expect("one").chars().count(), MAX_TITLE);
        let long = format!("<meta name=description content='{}'>", "x y ".repeat(50_000));
        let description = page(&long).description.expect("one");
        assert_eq!(description.chars().count(), MAX_DESCRIPTION);
        assert_eq!(page("<title>a\u{202e}b\u{2066}c</title>"), titled("abc"));
    }

    /// Half a megabyte of each is read at once.
    #[test]
    fn a_hostile_page_is_little_work() {
        const LENGTH: usize = 512 * 1_024;
        for piece in [
            "<div>",
            "<a b=c ",
            "<!--",
            "&amp;",
            "&lt",
            "&#1114112;",
            "<title>",
            "<meta property=og:title content=x>",
            "<script><!--<script>",
            "\u{0}",
            "<![CDATA[",
        ] {
            let html = piece.repeat(LENGTH / piece.len());
            let page = page(&html);
            assert!(page.title.is_none_or(|title| title.chars().count() <= MAX_TITLE));
        }
        let attributes: Vec<_> = (0..60_000).map(|n| format!(" a{n}=1")).collect();
        let attributes = attributes.concat();
        assert_eq!(page(&format!("<meta{attributes}>")), Page::default());
    }
}
