//! A place, or where somebody is.

use serde::{Deserialize, Serialize};

use super::{Body, cut};

/// The longest name and the longest address of a place, sent or told, in Unicode scalar values.
pub const MAX_WORDS: usize = 1_000;

/// The shortest time for which a live place is shared, in seconds. Apps offer 15 minutes, 1 hour and 8 hours.
pub const MIN_LIVE: u32 = 60;

/// The longest.
pub const MAX_LIVE: u32 = 8 * 60 * 60;

/// The text beside a place is told as far as other texts are.
const MAX_CAPTION: usize = super::MAX_TOLD;

/// A place, and what is said beside it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// The place.
    pub location: Place,
    /// The text below a live location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// For how many seconds a live place is shared that is sent. What comes in does not tell that.
    #[serde(default, rename = "liveSeconds", skip_serializing_if = "Option::is_none")]
    pub live_seconds: Option<u32>,
}

impl Location {
    /// The version that a reader must know to send a live place. It counts with those of [kinds](super::Kind::needs).
    pub const LIVE: u32 = 22;

    /// The version that a reader of this very place must know.
    pub const fn needs(&self) -> u32 {
        if self.live_seconds.is_some() {
            Self::LIVE
        } else {
            1
        }
    }
}

/// A place on the globe (WGS 84).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees to the north, -90 to 90.
    pub latitude: f64,
    /// Degrees to the east, -180 to 180.
    pub longitude: f64,
    /// What it is called.
    pub name: Option<String>,
    /// Where it is, in words.
    pub address: Option<String>,
    /// Whether somebody is there now and shares it for a while.
    pub live: bool,
}

impl Place {
    /// The highest latitude; the lowest is as far to the south.
    pub const MAX_LATITUDE: f64 = 90.0;

    /// The highest longitude; the lowest is as far to the west.
    pub const MAX_LONGITUDE: f64 = 180.0;

    /// Whether its degrees name a place.
    pub fn is_on_the_globe(&self) -> bool {
        let within = |degrees: f64, most: f64| (-most..=most).contains(&degrees);
        within(self.latitude, Self::MAX_LATITUDE) && within(self.longitude, Self::MAX_LONGITUDE)
    }
}

impl Body for Location {
    fn shorten(&mut self) -> bool {
        let Place { name, address, .. } = &mut self.location;
        let mut is_cut = false;
        for (text, most) in [
            (name, MAX_WORDS),
            (address, MAX_WORDS),
            (&mut self.text, MAX_CAPTION),
        ] {
            is_cut |= text.as_mut().is_some_and(|text| cut(text, most));
        }
        is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::{Content, Kind};

    fn location() -> Location {
        Location {
            location: Place {
                latitude: 52.516_3,
                longitude: 13.377_7,
                name: Some("Brandenburg Gate".to_owned()),
                address: None,
                live: false,
            },
            text: None,
            live_seconds: None,
        }
    }

    #[test]
    fn only_a_live_place_that_is_sent_needs_a_newer_reader() {
        assert_eq!(location().needs(), 1);
        let live = Location {
            live_seconds: Some(MIN_LIVE),
            ..location()
        };
        assert_eq!(live.needs(), Location::LIVE);
    }

    #[test]
    fn a_place_reads_as_an_event_tells_it() {
        let content = Content::Location(location());
        let json = serde_json::to_string(&content).expect("plain data");
        let told = concat!(
            r#"{"kind":"location","location":{"latitude":52.5163,"longitude":13.3777,"#,
            r#""name":"Brandenburg Gate","address":null,"live":false}}"#,
        );
        assert_eq!(json, told);
        assert!(serde_json::from_str::<Content>(&json).expect("ours") == content);
        assert_eq!(content.kind(), Kind::Location);
        assert_eq!(format!("{content:?}"), "Location(…)");
    }

    #[test]
    fn words_are_cut_to_what_is_told() {
        let mut long = location();
        assert!(!long.shorten());
        long.location.address = Some("x".repeat(MAX_WORDS + 1));
        long.text = Some("x".repeat(MAX_CAPTION + 1));
        assert!(long.shorten());
        let lengths = [&long.location.name, &long.location.address, &long.text];
        let lengths = lengths.map(|text| text.as_ref().map(String::len));
        assert_eq!(lengths, [Some(16), Some(MAX_WORDS), Some(MAX_CAPTION)]);
    }

    #[test]
    fn some_degrees_name_no_place() {
        for (latitude, longitude, is_one) in [
            (90.0, -180.0, true),
            (-90.0, 180.0, true),
            (90.1, 0.0, false),
            (0.0, 180.1, false),
            (f64::NAN, 0.0, false),
            (0.0, f64::INFINITY, false),
        ] {
            let place = Place {
                latitude,
                longitude,
                ..location().location
            };
            assert_eq!(place.is_on_the_globe(), is_one, "{latitude}, {longitude}");
        }
    }
}
