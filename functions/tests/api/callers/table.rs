//! The table of `table.txt`, and the routes that it must have.

use std::collections::BTreeSet;
use std::path::Path;

use shared::auth::api_key::Scope;

use super::cast::Caller;

/// Whose a route is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Anyone,
    User,
    Administrator,
    Key(Scope),
}

/// A line of the table.
pub struct Route {
    pub method: &'static str,
    /// With the names of its parameters.
    pub path: &'static str,
    pub takes: Takes,
    /// What each of [`Caller::ALL`] is answered.
    pub expected: [u16; Caller::ALL.len()],
    pub body: &'static str,
}

/// Every line.
pub fn table() -> Vec<Route> {
    let lines = include_str!("table.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(route).collect()
}

fn route(line: &'static str) -> Route {
    // Two spaces stand before the body.
    let (columns, body) = line.split_at(line.find("  {").unwrap_or(line.len()));
    let mut columns = columns.split_whitespace().filter(|column| *column != "|");
    let mut next = || columns.next().expect("a column");
    let (method, path) = (next(), next());
    let takes = match next() {
        "anyone" => Takes::Anyone,
        "user" => Takes::User,
        "admin" => Takes::Administrator,
        scope => Takes::Key(scope.parse().expect("a scope")),
    };
    let expected = std::array::from_fn(|_| next().parse().expect("a status"));
    assert_eq!(columns.next(), None, "{line}");
    Route {
        method,
        path,
        takes,
        expected,
        body: body.trim(),
    }
}

/// Every route of the routers, read from their sources: method and path.
pub fn routes() -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut routes);
    routes
}

fn read(folder: &Path, routes: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, routes);
        } else {
            let source = std::fs::read_to_string(&path).expect("text");
            for unread in [".nest(", ".nest_service(", ".route_service(", "MethodRouter"] {
                let path = path.display();
                assert!(
                    !source.contains(unread),
                    "{path} has routes that are not read here"
                );
            }
            for call in source.split(".route(").skip(1) {
                routes.extend(methods(call));
            }
        }
    }
}

/// The routes of one call, of which `call` is what comes after the opening parenthesis.
fn methods(call: &str) -> Vec<(String, String)> {
    let mut open = 1;
    let end = call.find(|letter| {
        open += i32::from(letter == '(') - i32::from(letter == ')');
        open == 0
    });
    let call = &call[..end.expect("a closing parenthesis")];
    let path = call.split('"').nth(1).expect("a path");
    let mut routes = Vec::new();
    for method in ["get", "post", "put", "patch", "delete", "head", "options", "any"] {
        if [" ", "."]
            .iter()
            .any(|before| call.contains(&format!("{before}{method}(")))
        {
            routes.push((method.to_uppercase(), path.to_owned()));
        }
    }
    assert!(!routes.is_empty(), "{path} has no method that is read here");
    routes
}
