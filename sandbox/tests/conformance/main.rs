//! Conformance.
use whatsapp_rust as _;
#[test]
fn links() {}
