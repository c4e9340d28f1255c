//! The function `auth`.

use functions::{auth, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(auth::router).await
}
