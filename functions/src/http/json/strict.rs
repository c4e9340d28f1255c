//! JSON read with nothing lost. Of a member that is there twice, other readers silently keep the last.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The most members that are told of as being there more than once. Whoever mends these learns of the next.
const DOUBLED_TOLD: usize = 32;

/// The most bytes of a path that are told. A body with one long name around many short ones must not make a long path
/// for each of them.
const PATH_TOLD: usize = 200;

/// A text that was read.
pub struct Read {
    pub value: Value,
    /// The paths of members that are there more than once: the first ones, cut where they are long.
    pub doubled: Vec<String>,
}

/// Reads a whole text.
pub fn read(bytes: &[u8]) -> Result<Read, serde_json::Error> {
    let doubled = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let root = Node {
        at: &Path::Root,
        doubled: &doubled,
    };
    let value = root.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Read {
        value,
        doubled: doubled.into_inner(),
    })
}

/// Where a value is. The text is made only when it is needed.
pub enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Path::Root, name) => formatter.write_str(name),
            Self::Member(of, name) => write!(formatter, "{of}.{name}"),
            Self::Item(of, index) => write!(formatter, "{of}[{index}]"),
        }
    }
}

impl Path<'_> {
    /// The path, or the beginning of a long one. Takes no more memory than that.
    fn told(&self) -> String {
        let mut beginning = Beginning(String::new());
        if write!(beginning, "{self}").is_err() {
            beginning.0.push('…');
        }
        beginning.0
    }
}

/// Takes [`PATH_TOLD`] bytes of text, and fails beyond them.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = PATH_TOLD.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    at: &'a Path<'a>,
    doubled: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        loop {
            let at = Path::Item(self.at, read.len());
            let node = Node { at: &at, ..self };
            match items.next_element_seed(node)? {
                Some(item) => read.push(item),
                None => return Ok(Value::Array(read)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        let mut told = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let at = Path::Member(self.at, &name);
            let value = members.next_value_seed(Node { at: &at, ..self })?;
            if read.contains_key(&name) && !told.contains(&name) {
                let mut doubled = self.doubled.borrow_mut();
                if doubled.len() < DOUBLED_TOLD {
                    let path = at.told();
                    if !doubled.contains(&path) {
                        doubled.push(path);
                    }
                    told.insert(name.clone());
                }
            }
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_twice_is_found_wherever_it_is() {
        let read = read(br#"{"a": {"b": 1, "b": 2, "b": 3}, "c": [{"d": null, "d": null}], "e": 60.0}"#)
            .expect("JSON");
        assert_eq!(read.doubled, ["a.b", "c[0].d"]);
        assert_eq!(read.value, json!({"a": {"b": 3}, "c": [{"d": null}], "e": 60.0}));
    }

    #[test]
    fn many_that_are_there_twice_do_not_take_long() {
        let text = format!("{{{}\"x\": 1}}", "\"x\": 1, ".repeat(50_000));
        assert_eq!(read(text.as_bytes()).expect("JSON").doubled, ["x"]);
    }

    /// A name of half a body around many short ones: a whole path for each of these would be gigabytes.
    #[test]
    fn what_is_told_of_a_body_is_small_whatever_the_body_is() {
        let outer = "ä".repeat(250_000);
        let twice = |n: u32| format!("\"{n:x}\":0,\"{n:x}\":0,");
        let many: String = (0..30_000).map(twice).collect();
        let text = format!("{{\"{outer}\": {{{many}\"x\": 1}}, \"z\": [{{{many}\"x\": 1}}]}}");
        let doubled = read(text.as_bytes()).expect("JSON").doubled;
        assert!(doubled.len() <= 32, "{}", doubled.len());
        let bytes: usize = doubled.iter().map(String::len).sum();
        assert!(bytes < 32 * 256, "{bytes}");
        assert!(doubled[0].starts_with('ä') && doubled[0].ends_with('…'));
    }
}
