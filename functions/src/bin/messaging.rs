//! The function `messaging`.

use functions::{messaging, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(messaging::router).await
}
