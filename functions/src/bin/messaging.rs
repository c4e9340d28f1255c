//! The function `messaging`.

use functions::{lambda, messaging};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(messaging::router).await
}
