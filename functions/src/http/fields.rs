//! Gathers all that is wrong with a request's fields, so that one answer tells all of it.

use std::fmt::Display;
use std::str::FromStr;

use chrono::NaiveDate;

use super::error::ApiError;

/// The most faults that are told, so that a list of a hundred thousand wrong items does not make a huge answer.
const TOLD: usize = 100;

/// The faults found so far, the first hundred of them.
#[derive(Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Notes a fault.
    pub fn fault(&mut self, field: impl Into<String>, message: impl Display) {
        if self.0.len() < TOLD {
            self.0.push((field.into(), message.to_string()));
        }
    }

    /// The value, or a fault noted.
    pub fn check<T, E: Display>(&mut self, field: impl Into<String>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.fault(field, error)).ok()
    }

    /// What a text parses to, or a fault noted.
    pub fn parse<T: FromStr<Err: Display>>(&mut self, field: impl Into<String>, text: &str) -> Option<T> {
        self.check(field, text.parse::<T>())
    }

    /// The day that a text names, or a fault noted.
    pub fn date(&mut self, field: impl Into<String>, text: &str) -> Option<NaiveDate> {
        // Ten characters, since the parser takes years of six digits as well.
        let date = text.parse().ok().filter(|_| text.len() == 10);
        self.check(field, date.ok_or("must be a date such as 2026-01-31"))
    }

    /// Notes a fault where an option is given that this version does not serve: better
    /// refused than ignored.
    pub fn unserved(&mut self, field: impl Into<String>, is_given: bool) {
        if is_given {
            self.fault(field, "is not served by this version");
        }
    }

    /// Whether there is no fault.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error that tells all faults.
    pub fn error(&self) -> ApiError {
        ApiError::fields(&self.0)
    }

    /// Goes on where there is no fault.
    pub fn finish(&self) -> Result<(), ApiError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.error())
        }
    }
}
