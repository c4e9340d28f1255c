//! Texts under names of the caller's choice, such as an instance's `metadata` and a webhook's headers.

use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

/// The bounds of a map of texts.
#[derive(Debug, Clone, Copy)]
pub struct MapOfTexts {
    /// The most texts.
    pub texts: usize,
    /// The longest name, in characters; the shortest has one.
    pub name: usize,
    /// The longest text, in characters.
    pub text: usize,
}

impl MapOfTexts {
    /// The schema of such a map, or of `null`. What it is for is the caller's to add.
    pub fn schema(self) -> ObjectBuilder {
        let text = |length| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .max_length(Some(length))
        };
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
            .max_properties(Some(self.texts))
            .property_names(Some(text(self.name).min_length(Some(1))))
            .additional_properties(Some(text(self.text)))
    }
}
