//! The function `messaging`.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    functions::lambda::messaging().await
}
