//! The envelope that every answer has: `success`, `data` or `error`, and `meta`.
//!
//! Handlers answer a [`Reply`] or an `ApiError`, both of which only mark the response. The layer writes the body,
//! since it alone knows the request's id and, once a key was read, its instance.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::context::RequestContext;
use super::error::ApiError;
use super::page::Pagination;
use super::timestamp::Timestamp;
use super::{rate_limit, request_id};

/// A successful answer.
#[derive(Debug)]
pub struct Reply<T> {
    status: StatusCode,
    data: T,
    pagination: Option<Pagination>,
    cookie: Option<HeaderValue>,
    location: Option<HeaderValue>,
}

impl<T: Serialize> Reply<T> {
    /// 200.
    pub fn ok(data: T) -> Self {
        Self {
            status: StatusCode::OK,
            data,
            pagination: None,
            cookie: None,
            location: None,
        }
    }

    /// 201: something was made.
    pub fn created(data: T) -> Self {
        Self {
            status: StatusCode::CREATED,
            ..Self::ok(data)
        }
    }

    /// 202: something will be done.
    pub fn accepted(data: T) -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            ..Self::ok(data)
        }
    }

    /// 303: what was asked for is to be had by a `GET` of this URL, without a key of ours.
    ///
    /// # Errors
    /// The URL is none.
    pub fn see_other(url: &str, data: T) -> Result<Self, ApiError> {
        let location = HeaderValue::from_str(url).map_err(|error| ApiError::internal().caused_by(error))?;
        Ok(Self {
            status: StatusCode::SEE_OTHER,
            location: Some(location),
            ..Self::ok(data)
        })
    }

    /// What is answered.
    pub fn into_data(self) -> T {
        self.data
    }

    /// The same with a cookie for a browser, where there is one to set.
    #[must_use]
    pub fn cookie(self, cookie: Option<HeaderValue>) -> Self {
        Self { cookie, ..self }
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Listing<T>(Reply<Vec<T>>);

impl<T> Reply<Vec<T>> {
    /// The same as a page of a list.
    pub fn page(self, pagination: Pagination) -> Listing<T> {
        Listing(Self {
            pagination: Some(pagination),
            ..self
        })
    }
}

impl<T: Serialize> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// A reply's parts, on the response until the layer writes them.
#[derive(Debug, Clone)]
struct Parts {
    data: Value,
    pagination: Option<Pagination>,
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let data = match serde_json::to_value(&self.data) {
            Ok(data) => data,
            Err(error) => return ApiError::internal().caused_by(error).into_response(),
        };
        let mut response = self.status.into_response();
        if let Some(cookie) = self.cookie {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        if let Some(location) = self.location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        let pagination = self.pagination;
        response.extensions_mut().insert(Parts { data, pagination });
        response
    }
}

/// Writes the envelope of an answer that is marked, and the headers that all have.
pub(crate) fn write(mut response: Response, context: &RequestContext, now: Timestamp) -> Response {
    let mut meta = json!({"timestamp": now, "request_id": context.id()});
    if let Some(name) = context.instance_name() {
        meta["instanceName"] = json!(name);
    }
    let mut rate = context.rate();
    let body = if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        error_headers(&mut response, &error);
        rate = error.rate.or(rate);
        Some(json!({"success": false, "error": error.told(context.docs()), "meta": meta}))
    } else if let Some(parts) = response.extensions_mut().remove::<Parts>() {
        if let Some(pagination) = parts.pagination {
            meta["pagination"] = json!(pagination);
        }
        Some(json!({"success": true, "data": parts.data, "meta": meta}))
    } else {
        None
    };
    if let Some(body) = body {
        // What stood in the response before, with its length, was a place-holder.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        set(&mut response, header::CONTENT_TYPE, "application/json");
        *response.body_mut() = Body::from(body.to_string());
    }
    if let Some(rate) = rate {
        rate_limit::headers(&mut response, rate);
    }
    set(&mut response, header::CACHE_CONTROL, "no-store");
    set(&mut response, request_id::HEADER, context.id());
    response
}

/// What an answer says that has no envelope yet.
///
/// # Errors
/// The error that it is, where it is one.
pub(crate) fn told(mut response: Response) -> Result<Value, ApiError> {
    let extensions = response.extensions_mut();
    if let Some(error) = extensions.remove::<ApiError>() {
        return Err(error);
    }
    let parts = extensions.remove::<Parts>();
    parts.map(|parts| parts.data).ok_or_else(ApiError::internal)
}

fn error_headers(response: &mut Response, error: &ApiError) {
    if error.code.status() == StatusCode::UNAUTHORIZED {
        set(response, header::WWW_AUTHENTICATE, "Bearer");
    }
    if let Some(seconds) = error.retries_after() {
        set(response, header::RETRY_AFTER, &seconds.to_string());
    }
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
