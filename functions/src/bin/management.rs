//! The function `management`.

use functions::{lambda, management};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(management::router).await
}
