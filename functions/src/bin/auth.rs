//! The function `auth`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    functions::lambda::auth().await
}
