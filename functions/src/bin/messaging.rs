//! The function `messaging`.

use functions::lambda;
use shared::config::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(Function::Messaging).await
}
