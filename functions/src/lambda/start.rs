//! How a function that cannot start says why: in one line of its log, and to Lambda, which shows it with the failed calls.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use shared::config;
use shared::telemetry::chain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing::{error, warn};

/// How long telling Lambda may take: the process ends in any case.
const PATIENCE: Duration = Duration::from_secs(2);

/// The type of the error, as Lambda is told it.
const KIND: &str = "Runtime.InitError";

/// Says why the function cannot start, and how its process ends.
pub(super) async fn failed(reason: &(dyn Error + Send + Sync + 'static)) -> ExitCode {
    let reason = chain(reason);
    error!(error = %reason, "the function cannot start");
    if let Some(api) = config::lambda_runtime_api() {
        let told = tokio::time::timeout(PATIENCE, tell(&api, &reason)).await;
        let told = told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = told {
            warn!(error = %chain(&error), "Lambda was not told why the function cannot start");
        }
    }
    ExitCode::FAILURE
}

/// How the process ends after the runtime.
pub(super) fn ended(end: Result<(), lambda_http::Error>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = %chain(&*error), "the runtime ended");
            ExitCode::FAILURE
        }
    }
}

/// Tells Lambda by a request of our own: the runtime's client tells nothing of what fails before the runtime runs (AWS, "Using the Lambda
/// runtime API", "Initialization error").
async fn tell(api: &str, reason: &str) -> io::Result<()> {
    let (host, base) = parts_of(api);
    let body = json!({"errorMessage": reason, "errorType": KIND, "stackTrace": []}).to_string();
    let request = format!(
        "POST {base}/2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Lambda-Runtime-Function-Error-Type: {KIND}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut connection = TcpStream::connect(host).await?;
    connection.write_all(request.as_bytes()).await?;
    // The answer shows that Lambda has heard; what it says changes nothing.
    connection.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// The host with its port, and what stands before each path. Lambda names a host alone; stand-ins have whole URLs.
fn parts_of(api: &str) -> (&str, &str) {
    let api = api.strip_prefix("http://").unwrap_or(api).trim_end_matches('/');
    match api.find('/') {
        Some(slash) => api.split_at(slash),
        None => (api, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::parts_of;

    #[test]
    fn a_stand_in_may_have_a_path() {
        assert_eq!(parts_of("127.0.0.1:9001"), ("127.0.0.1:9001", ""));
        assert_eq!(
            parts_of("http://127.0.0.1:9000/.rt/auth/"),
            ("127.0.0.1:9000", "/.rt/auth")
        );
    }
}
