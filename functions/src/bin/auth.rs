//! The function `auth`.

use functions::{auth, lambda};
use shared::config::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(Function::Auth, auth::router).await
}
