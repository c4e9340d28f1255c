//! The function `auth`.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    functions::lambda::auth().await
}
