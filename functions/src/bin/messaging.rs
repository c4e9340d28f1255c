//! The function `messaging`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    functions::lambda::messaging().await
}
