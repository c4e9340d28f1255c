//! The function `management`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    functions::lambda::management().await
}
