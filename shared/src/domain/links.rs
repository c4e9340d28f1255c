//! Links in texts, as apps find them: what begins with `http://`, `https://` or `www.`.

use crate::reach::{MAX_URL, parse};

/// What links begin with.
const BEGINNINGS: [&str; 3] = ["https://", "http://", "www."];

/// What ends a sentence and no link.
const TRAILING: [char; 10] = ['.', ',', ';', ':', '!', '?', '\'', '"', '*', '_'];

/// What closes what stands around a link; it belongs to a link in which it is opened.
const BRACKETS: [(char, char); 3] = [('(', ')'), ('[', ']'), ('{', '}')];

/// The first link of a text, as it stands there. `None` where there is none, or where it names a user: what stands before
/// the `@` is a secret of whoever wrote it.
pub fn first(text: &str) -> Option<&str> {
    let mut at = 0;
    while let Some(found) = beginning(&text[at..]) {
        at += found;
        let link = link(&text[at..]);
        if let Some(url) = url(link) {
            return (!has_user(&url)).then_some(link);
        }
        at += text[at..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// The URL that a link leads to; `None` for what is none.
pub fn url(link: &str) -> Option<String> {
    let has_scheme = !starts_with(link, "www.");
    let url = if has_scheme {
        link.to_owned()
    } else {
        format!("https://{link}")
    };
    let parsed = parse(&url).ok()?;
    parsed.host_str().filter(|host| !host.is_empty())?;
    Some(url)
}

fn has_user(url: &str) -> bool {
    parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// Where the next link may begin: at the text's beginning, or behind what is no letter, digit or part of a name.
fn beginning(text: &str) -> Option<usize> {
    let mut before = None;
    for (at, c) in text.char_indices() {
        let is_apart =
            before.is_none_or(|before: char| !before.is_alphanumeric() && !"@-_./".contains(before));
        if is_apart
            && BEGINNINGS
                .iter()
                .any(|beginning| starts_with(&text[at..], beginning))
        {
            return Some(at);
        }
        before = Some(c);
    }
    None
}

fn starts_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

/// The link at the beginning of a text, as far as it goes.
fn link(text: &str) -> &str {
    let is_end = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`');
    let end = text.find(is_end).unwrap_or(text.len());
    let mut link = &text[..text.floor_char_boundary(end.min(MAX_URL + 1))];
    while let Some(last) = link.chars().next_back() {
        let is_alone = BRACKETS.iter().any(|(open, close)| {
            last == *close && link.matches(*close).count() > link.matches(*open).count()
        });
        if !is_alone && !TRAILING.contains(&last) {
            break;
        }
        link = &link[..link.len() - last.len_utf8()];
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_link_is_found_as_it_stands() {
        for (text, link) in [
            ("https://example.com", Some("https://example.com")),
            ("see HTTPS://Example.com/A.", Some("HTTPS://Example.com/A")),
            ("(http://example.com/a_(b))", Some("http://example.com/a_(b)")),
            (
                "[https://example.com/?a=1&b=2]!",
                Some("https://example.com/?a=1&b=2"),
            ),
            ("www.example.com, then", Some("www.example.com")),
            (
                "zwei: https://bücher.example/ä\u{a0}x",
                Some("https://bücher.example/ä"),
            ),
            ("\"https://example.com\"", Some("https://example.com")),
            ("https:// and http://one.example two", Some("http://one.example")),
            ("😀https://example.com/😀", Some("https://example.com/😀")),
            ("xhttps://example.com", None),
            ("ada@www.example.com", None),
            ("example.com", None),
            ("ftp://example.com", None),
            ("www.", None),
            ("https://", None),
            ("", None),
            ("https://ada:secret@example.com/ https://example.com", None),
        ] {
            assert_eq!(first(text), link, "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        assert_eq!(first(&long), None);
    }

    #[test]
    fn a_link_without_a_scheme_leads_to_one() {
        assert_eq!(
            url("WWW.example.com/a").as_deref(),
            Some("https://WWW.example.com/a")
        );
        assert_eq!(url("http://example.com").as_deref(), Some("http://example.com"));
    }

    /// Time grows with the length, not with its square: this would take minutes.
    #[test]
    fn a_text_of_beginnings_is_no_work() {
        assert_eq!(first(&"https://".repeat(8_000)), None);
        let brackets = format!("https://example.com/{}", ")".repeat(500));
        assert_eq!(first(&brackets), Some("https://example.com/"));
    }
}
