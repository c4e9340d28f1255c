//! The languages of the pairing page, and which of them a browser prefers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderMap, header};

/// A language's texts by their names.
pub type Texts = BTreeMap<String, String>;

/// A language with what it is called in itself, and its texts as JSON.
pub struct Language {
    /// Its tag (RFC 5646).
    pub tag: &'static str,
    /// What its speakers call it.
    pub name: &'static str,
    json: &'static str,
}

/// How many there are.
pub const COUNT: usize = 4;

/// All of them; the first is for whoever prefers none of them.
pub static ALL: [Language; COUNT] = [
    Language {
        tag: "en",
        name: "English",
        json: include_str!("texts/en.json"),
    },
    Language {
        tag: "pt",
        name: "Português",
        json: include_str!("texts/pt.json"),
    },
    Language {
        tag: "es",
        name: "Español",
        json: include_str!("texts/es.json"),
    },
    Language {
        tag: "id",
        name: "Bahasa Indonesia",
        json: include_str!("texts/id.json"),
    },
];

/// The texts of [`ALL`], in the same order.
pub static TEXTS: LazyLock<[Texts; COUNT]> = LazyLock::new(|| {
    ALL.each_ref().map(|language| {
        serde_json::from_str(language.json)
            .unwrap_or_else(|error| unreachable!("texts/{}.json: {error}", language.tag))
    })
});

/// The place in [`ALL`] of the language that `Accept-Language` prefers (RFC 9110, 12.5.4).
pub fn preferred(headers: &HeaderMap) -> usize {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut best = (0, 0.0);
    for range in accepted.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        // Texts of a language are for all of its regions.
        let language = tag.split('-').next().unwrap_or_default();
        let Some(at) = ALL.iter().position(|one| one.tag.eq_ignore_ascii_case(language)) else {
            continue;
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        if quality > best.1 {
            best = (at, quality);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::domain::instance::Status;
    use shared::domain::reason::Reason;

    use super::*;

    #[test]
    fn the_language_is_the_one_that_is_preferred() {
        let tag = |accepted: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().expect("a header value"));
            ALL[preferred(&headers)].tag
        };
        assert_eq!(preferred(&HeaderMap::new()), 0);
        for (accepted, wanted) in [
            ("pt-BR,pt;q=0.9,en;q=0.8", "pt"),
            ("de, id;q=0.4, es-419;q=0.7", "es"),
            ("ID", "id"),
            ("de-DE, *;q=0.5", "en"),
            ("es;q=0, en;q=0.1", "en"),
            ("es;q=much", "en"),
        ] {
            assert_eq!(tag(accepted), wanted, "{accepted}");
        }
    }

    #[test]
    fn all_languages_have_the_same_texts() {
        let names = |texts: &Texts| texts.keys().cloned().collect::<BTreeSet<_>>();
        let english = names(&TEXTS[0]);
        for (language, texts) in ALL.iter().zip(TEXTS.iter()) {
            assert_eq!(names(texts), english, "{}", language.tag);
            for (name, text) in texts {
                assert!(!text.trim().is_empty(), "{} {name}", language.tag);
                // What the script puts into a text stands in braces.
                let marks = |text: &str| text.matches('{').count();
                assert_eq!(marks(text), marks(&TEXTS[0][name]), "{} {name}", language.tag);
            }
        }
    }

    #[test]
    fn each_status_and_each_reason_has_words() {
        let statuses = Status::ALL.iter().map(|status| format!("status.{status}"));
        let reasons = Reason::ALL.iter().map(|reason| format!("reason.{reason}"));
        for name in statuses.chain(reasons) {
            assert!(TEXTS[0].contains_key(&name), "{name}");
        }
    }
}
