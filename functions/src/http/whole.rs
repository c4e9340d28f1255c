//! Whole numbers in JSON bodies. To the document `60.0` is an integer as `60` is (JSON Schema, "type"), and some
//! languages write all their numbers like that; serde takes only `60`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A whole number, however it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole(pub u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u32(Number)
    }
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Whole;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
        u32::try_from(value)
            .map(Whole)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
        if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
            return Err(E::invalid_value(Unexpected::Float(value), &self));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and in the range"
        )]
        Ok(Whole(value as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::Whole;

    fn read(text: &str) -> Result<u32, String> {
        serde_json::from_str::<Whole>(text)
            .map(|number| number.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (text, number) in [
            ("0", 0),
            ("-0.0", 0),
            ("60", 60),
            ("60.0", 60),
            ("6e1", 60),
            ("4294967295", u32::MAX),
            ("4294967295.0", u32::MAX),
        ] {
            assert_eq!(read(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_in_the_range_is_refused() {
        for text in [
            "0.5",
            "-1",
            "-1.0",
            "4294967296",
            "4294967296.0",
            "1e300",
            "\"60\"",
            "true",
            "null",
            "[60]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
