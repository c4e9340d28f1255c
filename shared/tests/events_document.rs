//! `docs/events.md` shows an example of each type of event, as it is written today.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::event::{Data, EventType};
use shared::ids::MessageId;

fn at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_454) + TimeDelta::hours(10)
}

/// The document with the example of each type below its heading. What else it says stays.
fn with_examples(document: &str) -> String {
    let mut fresh = String::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        writeln!(fresh, "{line}").expect("memory");
        let named = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`'));
        let Some(kind) = named.and_then(|name| EventType::ALL.iter().find(|kind| kind.as_str() == name))
        else {
            continue;
        };
        for line in lines.by_ref() {
            writeln!(fresh, "{line}").expect("memory");
            if line == "```json" {
                break;
            }
        }
        let data = Data::sample(*kind, MessageId::from_bytes([1; 16]), at());
        let json = serde_json::to_string_pretty(&data.told()).expect("plain data");
        writeln!(fresh, "{json}\n```").expect("memory");
        let _ = lines.by_ref().find(|line| *line == "```");
    }
    fresh
}

#[test]
fn the_document_shows_each_type_as_it_is_written() {
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    let document = fs::read_to_string(&checked_in).expect("docs/events.md");
    for kind in EventType::ALL {
        let headings = document
            .lines()
            .filter(|line| *line == format!("### `{kind}`"))
            .count();
        assert_eq!(headings, 1, "docs/events.md has a heading \"### `{kind}`\"");
    }
    let fresh = with_examples(&document);
    if fresh != document {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("events.md");
        fs::write(&path, fresh).expect("written");
        panic!(
            "docs/events.md does not show what is written. Where the change is meant: cp {} docs/events.md",
            path.display()
        );
    }
}
