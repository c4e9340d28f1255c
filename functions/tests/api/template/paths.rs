//! API Gateway sends each endpoint's path to a function that has the endpoint.

use std::path::Path;

use functions::service;
use shared::config::Function;

/// Where API Gateway sends requests to, as `template.yaml` says.
struct Gateway {
    /// Paths with their functions; one that ends with `{proxy+}` stands for all below it.
    paths: Vec<(String, Function)>,
    /// What is sent where no path fits.
    default: Function,
}

/// What a path ends with that stands for all below it.
const GREEDY: &str = "{proxy+}";

impl Gateway {
    /// Reads the events of the functions: each is one line.
    fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let template = std::fs::read_to_string(file).expect("a file of the repository");
        let (mut paths, mut default, mut function) = (Vec::new(), None, None);
        for line in template.lines() {
            if let Some(name) = after(line, "Binary: ") {
                // One that is no function of the API has no events of this type.
                function = Function::ALL.into_iter().find(|known| known.as_str() == name);
            }
            if !line.contains("Type: HttpApi,") {
                assert!(!line.contains("HttpApi}"), "an event is not one line: {line}");
                continue;
            }
            let function = function.expect("an event stands in a function of the API");
            match after(line, "Path: ") {
                Some(path) => {
                    assert_eq!(after(line, "Method: "), Some("ANY"), "{line}");
                    paths.push((path.to_owned(), function));
                }
                None => assert!(
                    default.replace(function).is_none(),
                    "two functions are the default"
                ),
            }
        }
        Self {
            paths,
            default: default.expect("a default"),
        }
    }

    /// The function that is sent requests to this path: that of the path itself, else that of the longest one above it
    /// (API Gateway, "Working with routes for HTTP APIs").
    fn function(&self, path: &str) -> Function {
        let own = self.paths.iter().find(|(own, _)| own == path);
        let above = self.paths.iter().filter(|(above, _)| {
            let start = above.strip_suffix(GREEDY);
            start.is_some_and(|start| path.len() > start.len() && path.starts_with(start))
        });
        let found = own.or_else(|| above.max_by_key(|(above, _)| above.len()));
        found.map_or(self.default, |(_, function)| *function)
    }
}

/// What stands behind a key in a line, without its quotes.
fn after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, value) = line.split_once(key)?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split([',', '}']).next(),
    }
}

#[test]
fn each_path_is_sent_to_a_function_that_has_it() {
    let gateway = Gateway::read();
    let mut lost = Vec::new();
    for operation in service::every_operation() {
        let path = operation.path();
        let function = gateway.function(path);
        let has = |function| {
            let operations = service::operations(function);
            operations
                .iter()
                .any(|of| of.path() == path && of.method() == operation.method())
        };
        if !has(function) {
            let method = operation.method();
            lost.push(format!("{method} {path} is sent to `{}`", function.as_str()));
        }
    }
    assert!(
        lost.is_empty(),
        "template.yaml, `Events` of the functions:\n{}",
        lost.join("\n")
    );
}
