//! The table of `table.txt`, and the routes that it must have.

use std::collections::BTreeSet;

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

/// Every endpoint that there is: method and path.
pub fn routes() -> BTreeSet<(String, String)> {
    let operations = functions::service::every_operation();
    let routes: BTreeSet<_> = operations
        .iter()
        .map(|operation| (operation.method().to_string(), operation.path().to_owned()))
        .collect();
    assert_eq!(routes.len(), operations.len(), "an endpoint is listed twice");
    routes
}
