//! The function `management`.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    functions::lambda::management().await
}
