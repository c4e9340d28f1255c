//! The rules of an instance's `metadata`.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::Object;

use crate::http::Fields;
use crate::openapi::MapOfTexts;

/// Most strings of `metadata`, and the longest of their names and values, in characters.
const MAX_METADATA: usize = 20;
const MAX_METADATA_NAME: usize = 40;
const MAX_METADATA_VALUE: usize = 500;

/// What the document tells of it.
pub fn schema() -> Object {
    let map = MapOfTexts {
        texts: MAX_METADATA,
        name: MAX_METADATA_NAME,
        text: MAX_METADATA_VALUE,
    };
    map.schema()
        .description(Some("The caller's own strings"))
        .examples([json!({"team": "sales"})])
        .build()
}

/// Notes what is wrong with an instance's `metadata`.
pub fn check(fields: &mut Fields, metadata: &BTreeMap<String, String>) {
    if metadata.len() > MAX_METADATA {
        fields.fault("metadata", format!("must have {MAX_METADATA} strings or fewer"));
    }
    for (name, value) in metadata {
        if !(1..=MAX_METADATA_NAME).contains(&name.chars().count()) {
            fields.fault(
                "metadata",
                format!("must have names of 1 to {MAX_METADATA_NAME} characters"),
            );
        } else if value.chars().count() > MAX_METADATA_VALUE {
            fields.fault(
                format!("metadata.{name}"),
                format!("must have {MAX_METADATA_VALUE} characters or fewer"),
            );
        }
    }
}
