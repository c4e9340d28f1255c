//! Whether a statement of a policy is about a right that a call needs.

use serde_json::Value;

use super::asked::Asked;

/// Whether a statement's effect holds for this.
pub(super) fn is_about(statement: &Value, asked: &Asked) -> bool {
    names(&statement["actions"], &asked.action)
        && names(&statement["resources"], &asked.resource)
        && conditions(statement).all(|(operator, key, values)| holds(operator, key, values, asked))
}

/// Whether one of some patterns is about a text.
fn names(patterns: &Value, text: &str) -> bool {
    let patterns = patterns.as_array().expect("a list").iter();
    let mut patterns = patterns.map(|pattern| pattern.as_str().expect("a pattern"));
    patterns.any(|pattern| is_like(pattern, text))
}

/// Each condition of a statement: its operator, its context key and its values.
fn conditions(statement: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let operators = statement["conditions"].as_object().expect("conditions").iter();
    operators.flat_map(|(operator, of_keys)| {
        let of_keys = of_keys.as_object().expect("context keys").iter();
        of_keys.map(move |(key, values)| (operator.as_str(), key.as_str(), values))
    })
}

/// Whether a condition holds (IAM, "Condition operators" and "Multivalued context keys").
fn holds(operator: &str, key: &str, values: &Value, asked: &Asked) -> bool {
    let given = asked.context.get(key);
    let mut given = given.into_iter().flatten().map(String::as_str);
    match operator {
        // Without any value it holds too.
        "ForAllValues:StringLike" => given.all(|text| names(values, text)),
        "StringEquals" => {
            let wanted = values.as_array().expect("a list");
            given
                .next()
                .is_some_and(|text| wanted.iter().any(|value| value == text))
        }
        other => panic!("a condition by `{other}` is not known here"),
    }
}

/// Whether a pattern stands for a text: `*` for any characters, `?` for one.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let behind = &pattern[first.len_utf8()..];
    match (first, text.chars().next()) {
        ('*', next) => {
            is_like(behind, text) || next.is_some_and(|next| is_like(pattern, &text[next.len_utf8()..]))
        }
        ('?', Some(next)) => is_like(behind, &text[next.len_utf8()..]),
        (wanted, Some(next)) => wanted == next && is_like(behind, &text[next.len_utf8()..]),
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("sess#*", "sess#1"),
            ("sess#*", "sess#"),
            ("a-*.fifo", "a-1.fifo"),
            ("*", ""),
            ("??", "ab"),
            ("a*b*c", "a1b2b3c"),
        ] {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("sess#*", "session#1"),
            ("meta", "metal"),
            ("a-*.fifo", "a-1"),
            ("?", ""),
            ("", "a"),
        ] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }
}
