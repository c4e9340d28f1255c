//! HTTP clients.

use std::error::Error;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// What a webhook's endpoint and the API are told of us: what Waxwing itself says.
const USER_AGENT: &str = concat!("Waxwing/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A client for the deployment: through a proxy where the environment names one.
pub fn of_deployment() -> reqwest::Result<Client> {
    // One request has one connection: a socket takes it over.
    builder().connect_timeout(CONNECT).http1_only().build()
}

/// A client for the receiver, which makes requests as a webhook's are made: a connection each, and no proxy.
pub fn of_receiver() -> reqwest::Result<Client> {
    builder()
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(0)
        .build()
}

fn builder() -> ClientBuilder {
    // Another part of the process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).user_agent(USER_AGENT)
}

/// Why a request had no answer, in plain words.
pub fn words(error: &reqwest::Error, place: &str) -> String {
    if has_io(error, std::io::ErrorKind::ConnectionRefused) {
        return format!("nobody listens at {place}");
    }
    if error.is_timeout() {
        return format!("{place} did not answer in time");
    }
    // The first cause says most, and the URL is known.
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let first = causes
        .last()
        .map_or_else(|| "no answer".to_owned(), ToString::to_string);
    if error.is_connect() {
        format!("no connection to {place}: {first}")
    } else {
        format!("{place} gave no answer: {first}")
    }
}

fn has_io(error: &reqwest::Error, kind: std::io::ErrorKind) -> bool {
    std::iter::successors(error.source(), |error| (*error).source()).any(|error| {
        error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == kind)
    })
}
