//! Sealing and session state over an embedded DynamoDB.

mod cache;
mod kms;
mod sealer;
mod secrets;
mod session_state;
mod support;
mod values;
