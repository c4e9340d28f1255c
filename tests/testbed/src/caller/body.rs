//! What a request may carry.

use axum::body::Bytes;
use serde_json::Value;

/// A request's body: JSON, bytes as they are, or `()` for none.
pub trait Body {
    /// Its bytes, where it has any.
    fn bytes(self) -> Option<Bytes>;
}

impl Body for () {
    fn bytes(self) -> Option<Bytes> {
        None
    }
}

impl Body for &Value {
    fn bytes(self) -> Option<Bytes> {
        Some(self.to_string().into())
    }
}

impl Body for Value {
    fn bytes(self) -> Option<Bytes> {
        (&self).bytes()
    }
}

impl Body for Bytes {
    fn bytes(self) -> Option<Bytes> {
        Some(self)
    }
}

impl Body for String {
    fn bytes(self) -> Option<Bytes> {
        Some(self.into())
    }
}

impl Body for &'static str {
    fn bytes(self) -> Option<Bytes> {
        Some(self.into())
    }
}

impl<B: Body> Body for Option<B> {
    fn bytes(self) -> Option<Bytes> {
        self.and_then(Body::bytes)
    }
}
