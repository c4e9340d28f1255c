//! A call on its way, and which calls a rule is about.

use std::borrow::Cow;

use axum::http::HeaderMap;

/// The operations of a table that only read.
const READS: [&str; 5] = ["GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"];

/// A call as a rule sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation, such as `PutItem` or `ReceiveMessage`; empty where the request names none.
    pub operation: String,
    /// The request's body.
    pub body: String,
}

impl Call {
    /// Reads the operation from `X-Amz-Target`, or from `Action` of the query protocol.
    pub(crate) fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body).into_owned();
        let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
        let operation = match target {
            Some(target) => target.rsplit('.').next().unwrap_or_default(),
            None => action(&body).unwrap_or_default(),
        };
        Self {
            operation: operation.to_owned(),
            body,
        }
    }

    /// Whether the call only reads from a table.
    pub fn is_read(&self) -> bool {
        READS.contains(&self.operation.as_str())
    }
}

fn action(body: &str) -> Option<&str> {
    body.split('&').find_map(|pair| pair.strip_prefix("Action="))
}

/// Which calls: all, until it is narrowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct On {
    operations: Vec<Cow<'static, str>>,
    parts: Vec<Cow<'static, str>>,
    without: Vec<Cow<'static, str>>,
}

impl On {
    /// Every call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of this operation.
    pub fn operation(name: impl Into<Cow<'static, str>>) -> Self {
        Self::any().or(name)
    }

    /// Calls of one of these operations.
    pub fn operations<const N: usize>(names: [&'static str; N]) -> Self {
        names.into_iter().fold(Self::any(), Self::or)
    }

    /// Calls of this operation too.
    #[must_use]
    pub fn or(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        self.operations.push(operation.into());
        self
    }

    /// Only those of them with this text in their body, such as a part of a key.
    #[must_use]
    pub fn with(mut self, part: impl Into<Cow<'static, str>>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// Only those of them without this text in their body.
    #[must_use]
    pub fn without(mut self, part: impl Into<Cow<'static, str>>) -> Self {
        self.without.push(part.into());
        self
    }

    pub(crate) fn matches(&self, call: &Call) -> bool {
        let named = self.operations.is_empty() || self.operations.iter().any(|name| *name == call.operation);
        named
            && self.parts.iter().all(|part| call.body.contains(part.as_ref()))
            && !self.without.iter().any(|part| call.body.contains(part.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str, body: &str) -> Call {
        Call {
            operation: operation.to_owned(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn both_protocols_name_their_operations() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            Call::of(&headers, b"Version=2012-11-05&Action=SendMessage&X=1").operation,
            "SendMessage"
        );
        headers.insert(
            "x-amz-target",
            "DynamoDB_20120810.PutItem".parse().expect("a value"),
        );
        assert_eq!(Call::of(&headers, b"{}").operation, "PutItem");
    }

    #[test]
    fn a_filter_narrows() {
        let on = On::operations(["PutItem", "UpdateItem"])
            .with("msgs#")
            .without("ctr#");
        assert!(on.matches(&call("PutItem", "msgs#1")));
        assert!(!on.matches(&call("GetItem", "msgs#1")));
        assert!(!on.matches(&call("UpdateItem", "sess#1")));
        assert!(!on.matches(&call("UpdateItem", "msgs#1 ctr#1")));
        assert!(On::any().matches(&call("", "")));
    }
}
