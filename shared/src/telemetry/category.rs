//! The category of a log line: what it is about. The API's lines have theirs as a field: their targets begin with `waxwing::`. All others
//! have it by the module that writes them, so no line is without one. `docs/operations.md` has the list, and a test compares.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// The target of lines that have their category as a field.
const OWN: &str = "waxwing";

/// The category of lines of other crates.
const LIBRARY: &str = "library";

/// Each category with its modules. Of modules within one another the innermost counts.
static CATEGORIES: [(&str, &[&str]); 11] = [
    ("lease", &["daemon::lease"]),
    (
        "session",
        &[
            "daemon::connection",
            "daemon::instance",
            "daemon::people",
            "daemon::shard::farewell",
            "daemon::shard::reconcile",
            "daemon::store",
            "daemon::whatsapp",
            "shared::session_state",
        ],
    ),
    (
        "incoming",
        &[
            "daemon::instance::group_receipts",
            "daemon::instance::inbound",
            "daemon::instance::keeping",
            "daemon::instance::notices",
            "daemon::instance::receipts",
            "daemon::whatsapp::inbound",
            "daemon::whatsapp::notices",
        ],
    ),
    (
        "sending",
        &[
            "daemon::fetch",
            "daemon::files",
            "daemon::preview",
            "daemon::shard",
        ],
    ),
    (
        "question",
        &[
            "daemon::shard::fetching",
            "daemon::shard::queries",
            "daemon::shard::questions",
            "daemon::shard::reading",
            "daemon::whatsapp::questions",
        ],
    ),
    ("event", &["daemon::announce"]),
    ("feed", &["daemon::cuttable", "daemon::realtime"]),
    ("delivery", &["functions::webhook_delivery"]),
    (
        "storage",
        &[
            "shared::bucket",
            "shared::seal",
            "shared::sealed",
            "shared::storage",
            "stack::database",
        ],
    ),
    ("queue", &["shared::queue"]),
    (
        "process",
        &["daemon", "functions", "localstack", "server", "shared", "stack"],
    ),
];

/// The category of a line with this target; `None` where the line has it as a field.
fn of(target: &str) -> Option<&'static str> {
    if is_within(target, OWN) {
        return None;
    }
    let modules = CATEGORIES
        .iter()
        .flat_map(|(category, modules)| modules.iter().map(move |module| (*category, *module)));
    let nearest = modules
        .filter(|(_, module)| is_within(target, module))
        .max_by_key(|(_, module)| module.len());
    Some(nearest.map_or(LIBRARY, |(category, _)| category))
}

fn is_within(target: &str, module: &str) -> bool {
    let rest = target.strip_prefix(module);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Lines of JSON with their category.
#[derive(Debug)]
pub(super) struct Categorised<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for Categorised<F>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(category) = of(event.metadata().target()) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(writer, r#"{{"category":"{category}",{rest}"#),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::telemetry::json_lines;

    const DOCUMENT: &str = include_str!("../../../docs/operations.md");

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no holder panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_nearest_module_counts() {
        assert_eq!(of("daemon::lease::keeper"), Some("lease"));
        assert_eq!(of("daemon::instance::status"), Some("session"));
        assert_eq!(of("daemon::instance::inbound"), Some("incoming"));
        assert_eq!(of("daemon::shard::send"), Some("sending"));
        assert_eq!(of("daemon::shard::questions"), Some("question"));
        assert_eq!(of("daemon::service"), Some("process"));
        assert_eq!(of("daemons"), Some("library"));
        assert_eq!(of("hyper_util::client"), Some("library"));
        assert_eq!(of("waxwing::request"), None);
    }

    #[test]
    fn a_line_has_one_category() {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = json_lines("info", move || writer.clone());
        tracing::subscriber::with_default(lines, || {
            tracing::info!(target: "daemon::lease::keeper", shard = 3, "shard taken");
            tracing::info!(target: "waxwing::business", category = "business", "done");
        });
        let text = String::from_utf8(kept.0.lock().expect("no holder panics").clone()).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        let told: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(told[0]["category"], "lease");
        assert_eq!(told[0]["message"], "shard taken");
        assert_eq!(told[0]["shard"], 3);
        assert_eq!(told[1]["category"], "business");
        for line in lines {
            assert_eq!(line.matches(r#""category":"#).count(), 1, "{line}");
        }
    }

    #[test]
    fn the_modules_are_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for module in CATEGORIES.iter().flat_map(|(_, modules)| *modules) {
            let mut parts = module.split("::");
            let mut path = root.join(parts.next().expect("a crate")).join("src");
            path.extend(parts);
            assert!(
                path.is_dir() || path.with_extension("rs").is_file(),
                "there is no {module}"
            );
        }
    }

    #[test]
    fn the_document_has_each_category() {
        let (_, after) = DOCUMENT
            .split_once("| category | of what |\n| --- | --- |\n")
            .expect("the table");
        let documented: Vec<&str> = after
            .lines()
            .map_while(|row| row.strip_prefix("| `"))
            .map(|row| row.split_once('`').expect("a category").0)
            .collect();
        let mut known: Vec<&str> = CATEGORIES.iter().map(|(category, _)| *category).collect();
        known.push(LIBRARY);
        assert_eq!(documented, known, "docs/operations.md");
    }
}
