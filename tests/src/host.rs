//! A host of files and pages, as callers' URLs lead to.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What it answers at each path, and how often that was asked for.
#[derive(Debug)]
pub struct Host {
    /// Its URL, without a slash at the end.
    pub url: String,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Host {
    /// Answers `answer(path, times)` on the nth request for a path, as raw HTTP.
    pub async fn new(answer: fn(&str, usize) -> Vec<u8>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::<Mutex<HashMap<String, usize>>>::default();
        let counts = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let counts = counts.clone();
                tokio::spawn(async move {
                    let mut request = vec![0; 8_192];
                    let read = socket.read(&mut request).await.unwrap_or(0);
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    let times = {
                        let mut counts = counts.lock().expect("no holder panics");
                        let times = counts.entry(path.clone()).or_default();
                        *times += 1;
                        *times
                    };
                    let _ = socket.write_all(&answer(&path, times)).await;
                });
            }
        });
        Self { url, asked }
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        let asked = self.asked.lock().expect("no holder panics");
        asked.get(path).copied().unwrap_or_default()
    }
}

/// A page, or a file that says that it is one.
pub fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// An answer without a body.
pub fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// A picture of four pixels.
pub fn picture() -> Vec<u8> {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4oaEBRAwQCgAhLgRhHuBtwgAAAABJRU5ErkJggg==";
    STANDARD.decode(png).expect("base64")
}
