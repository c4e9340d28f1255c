//! What time it is by the table's service, which says so with each answer.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use chrono::{DateTime, Utc};

use super::error::{StorageError, classify};
use super::keys;
use super::table::Table;

impl Table {
    /// The time of day by the table's service when it answered, in whole seconds; `None` where its answer is not dated. It costs half a
    /// read unit.
    pub async fn time(&self) -> Result<Option<DateTime<Utc>>, StorageError> {
        let date = Date::default();
        let request = self.client().get_item().table_name(self.name());
        let request = request.set_key(Some(keys::config().attributes()));
        let answer = request.customize().interceptor(date.clone()).send().await;
        answer.map_err(classify)?;
        let told = date.0.lock().expect("no holder panics").take();
        Ok(told)
    }
}

/// Keeps the `Date` of the last answer (RFC 9110, section 6.6.1).
#[derive(Debug, Clone, Default)]
struct Date(Arc<Mutex<Option<DateTime<Utc>>>>);

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(read);
        *self.0.lock().expect("no holder panics") = date;
        Ok(())
    }
}

fn read(date: &str) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(date.to_utc())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::aws::stand_in;

    /// What the time is by a table whose answers have these headers beside the usual ones.
    async fn time_by(headers: &'static str) -> Option<DateTime<Utc>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let _ending = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mut socket = BufReader::new(socket);
                let (mut line, mut length) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    if socket.read_line(&mut line).await.expect("a request") == 0 {
                        break;
                    }
                    let header = line.to_ascii_lowercase();
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                }
                let mut body = vec![0; length];
                socket.read_exact(&mut body).await.expect("a body");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\nconnection: close\r\n{headers}\r\n{{}}"
                );
                socket.write_all(answer.as_bytes()).await.expect("written");
                socket.shutdown().await.expect("closed");
            }
        }));
        let table = Table::new(&stand_in(&endpoint), "waxwing");
        table.time().await.expect("an answer")
    }

    #[tokio::test]
    async fn the_time_is_what_the_answer_is_dated() {
        let told = time_by("date: Tue, 01 Dec 2026 12:29:02 GMT\r\n").await;
        assert_eq!(told, "2026-12-01T12:29:02Z".parse().ok());
        assert_eq!(time_by("").await, None);
        assert_eq!(time_by("date: soon\r\n").await, None);
    }
}
