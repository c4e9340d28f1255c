//! The names of entries: a kind and its parts.

use sha2::{Digest as _, Sha256};

/// The longest name that is stored as it is; a sort key takes 1,024 bytes.
const MAX_NAME_LENGTH: usize = 900;

/// The name of an entry. Parts may come from the network; a sender chooses its message ids. So separators in parts
/// are escaped, and a name that is too long is cut and ends in its digest.
pub fn name(kind: &str, parts: &[&str]) -> String {
    let mut name = kind.to_owned();
    for part in parts {
        name.push('#');
        escape(part, &mut name);
    }
    if name.len() <= MAX_NAME_LENGTH {
        return name;
    }
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let mut end = MAX_NAME_LENGTH - digest.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name.push('~');
    name.push_str(&digest);
    name
}

/// The beginning of the names of all entries of `kind` whose first parts are `parts`.
pub fn prefix(kind: &str, parts: &[&str]) -> String {
    let mut prefix = name(kind, parts);
    prefix.push('#');
    prefix
}

/// The kind of the entry that has this name.
pub fn kind(name: &str) -> &str {
    name.split_once('#').map_or(name, |(kind, _)| kind)
}

/// The last part of a name that was neither cut nor escaped.
pub fn last(name: &str) -> &str {
    name.rsplit_once('#').map_or(name, |(_, last)| last)
}

fn escape(part: &str, name: &mut String) {
    for character in part.chars() {
        match character {
            '#' => name.push_str("%23"),
            '%' => name.push_str("%25"),
            '~' => name.push_str("%7E"),
            other => name.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_reach_into_each_other() {
        assert_eq!(name("in", &["a", "b"]), "in#a#b");
        assert_ne!(name("in", &["a#b"]), name("in", &["a", "b"]));
        assert_ne!(name("in", &["a%23b"]), name("in", &["a#b"]));
        assert_eq!(last(&name("tc", &["123"])), "123");
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let long = |end: &str| name("in", &["chat", &format!("{}{end}", "é".repeat(2_000))]);
        assert!(long("a").len() <= MAX_NAME_LENGTH);
        assert!(long("a").starts_with(&prefix("in", &["chat"])));
        assert_ne!(long("a"), long("b"));
    }
}
