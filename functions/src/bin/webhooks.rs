//! The function `webhooks`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    functions::lambda::webhooks().await
}
