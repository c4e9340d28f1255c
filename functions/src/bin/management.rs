//! The function `management`.

use functions::{management, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(management::router).await
}
