//! The function `webhooks`.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    functions::lambda::webhooks().await
}
