//! The phone that a path names.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::error::ApiError;
use crate::network::Network;
use crate::script::Phone;

impl FromRequestParts<Arc<Network>> for Phone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, network: &Arc<Network>) -> Result<Self, Self::Rejection> {
        let members = Path::<HashMap<String, String>>::from_request_parts(parts, network).await;
        let number = members.ok().and_then(|Path(mut members)| members.remove("phone"));
        number
            .map(|number| Self::new(Arc::clone(network), number))
            .ok_or_else(|| ApiError::invalid("the path names no phone"))
    }
}
