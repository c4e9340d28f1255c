//! The function `management`.

use functions::lambda;
use shared::config::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    lambda::run(Function::Management).await
}
