use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use futures::{StreamExt as _, stream};
use shared::domain::content::MAX_SENT;
use shared::ids::{InstanceId, SubscriptionId};
use shared::reach::Reach;
use tokio::net::TcpListener;

use super::*;

/// A host of pages on this machine, and how often it was asked for one.
struct Host {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

const HTML: [(axum::http::HeaderName, &str); 1] = [(CONTENT_TYPE, "text/html")];

fn png() -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(640, 320, image::Rgb([200, 40, 40]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    let written = picture.write_to(&mut bytes, image::ImageFormat::Png);
    written.expect("encoded");
    bytes.into_inner()
}

/// A PNG that says that it has some gigabytes of pixels.
fn bomb() -> Vec<u8> {
    let mut bytes = png();
    bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    bytes
}

fn page(head: &str) -> impl IntoResponse + use<> {
    (HTML, format!("<html><head>{head}</head><body>…"))
}

/// A page whose head never ends.
fn endless() -> Body {
    let begin = stream::iter([Ok::<_, Infallible>("<head><title>Endless</title>")]);
    Body::from_stream(begin.chain(stream::repeat_with(|| Ok("<meta name=x content=y><div>"))))
}

/// A page that has said something, and says nothing more.
fn silent() -> Body {
    let begin = stream::iter([Ok::<_, Infallible>("<title>Silent</title>")]);
    Body::from_stream(begin.chain(stream::pending()))
}

impl Host {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        let routes = Router::new()
            .route(
                "/whole",
                get(|| async {
                    page(concat!(
                        "<meta property=og:title content='Fish &amp; Chips'>",
                        "<meta property=og:description content='the best'>",
                        "<meta property=og:image content=/picture.png>",
                    ))
                }),
            )
            .route("/picture.png", get(|| async { png() }))
            .route("/bomb.png", get(|| async { bomb() }))
            .route(
                "/bombed",
                get(|| async { page("<title>Bombed</title><meta property=og:image content=bomb.png>") }),
            )
            .route(
                "/elsewhere",
                get(|| async {
                    page("<title>Elsewhere</title><meta property=og:image content='file:///etc/passwd'>")
                }),
            )
            .route("/endless", get(|| async { (HTML, endless()) }))
            .route("/silent", get(|| async { (HTML, silent()) }))
            .route("/never", get(std::future::pending::<()>))
            .route("/moved", get(|| async { Redirect::temporary("/sub/page") }))
            .route(
                "/sub/page",
                get(|| async { page("<title>Moved</title><meta property=og:image content=picture.png>") }),
            )
            .route("/sub/picture.png", get(|| async { png() }))
            .route(
                "/latin",
                get(|| async {
                    (
                        [(CONTENT_TYPE, "text/html; charset=\"ISO-8859-1\"")],
                        &b"<title>caf\xe9</title>"[..],
                    )
                }),
            )
            .route(
                "/packed",
                get(|| async { ([(CONTENT_ENCODING, "gzip")], "<title>packed</title>") }),
            )
            .route(
                "/data.json",
                get(|| async { ([(CONTENT_TYPE, "application/json")], "<title>no page</title>") }),
            )
            .route(
                "/nameless",
                get(|| async { page("<meta name=description content=x>") }),
            )
            .fallback(|_: Uri| async { (StatusCode::NOT_FOUND, HTML, "<title>404</title>") })
            .layer(axum::middleware::from_fn(
                move |request: axum::extract::Request, next: axum::middleware::Next| {
                    count.fetch_add(1, Ordering::Relaxed);
                    next.run(request)
                },
            ));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, asked }
    }

    fn text(&self, path: &str) -> String {
        format!("look: http://{}{path}!", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

const OWNER: Owner = owner(1);

const fn owner(number: u8) -> Owner {
    Owner {
        subscription: SubscriptionId::from_bytes([number; 16]),
        instance: InstanceId::from_bytes([number; 16]),
    }
}

fn previews(private: bool) -> Previews {
    let settings = files::Settings {
        reach: if private { Reach::PRIVATE } else { Reach::INTERNET },
        ..files::Settings::default()
    };
    Previews::new(&settings).expect("a client")
}

#[tokio::test]
async fn a_link_shows_what_its_page_says() {
    let (host, previews) = (Host::new().await, previews(true));
    let text = host.text("/whole");
    let preview = previews.of(OWNER, &text).await.expect("a preview");
    assert!(text.contains(&preview.link));
    assert_eq!(preview.link, format!("http://{}/whole", host.address));
    assert_eq!(preview.title, "Fish & Chips");
    assert_eq!(preview.description.as_deref(), Some("the best"));
    let Bytes(jpeg) = preview.thumbnail.clone().expect("a picture");
    let small = image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg).expect("a JPEG");
    assert_eq!((small.width(), small.height()), (SIDE, SIDE / 2));

    // The same page is not fetched again for another text.
    assert_eq!(host.asked(), 2);
    let again = previews.of(owner(2), &text).await;
    assert!(again == Some(preview));
    assert_eq!(host.asked(), 2);
}

#[tokio::test]
async fn what_is_no_page_has_no_preview_and_is_not_asked_for_again() {
    let (host, previews) = (Host::new().await, previews(true));
    for (number, path) in ["/nothing", "/data.json", "/packed", "/nameless"]
        .iter()
        .enumerate()
    {
        for _ in 0..2 {
            assert!(previews.of(OWNER, &host.text(path)).await.is_none(), "{path}");
        }
        assert_eq!(host.asked(), number + 1, "{path}");
    }
    assert!(previews.of(OWNER, "no link at all").await.is_none());
}

#[tokio::test]
async fn a_page_has_the_last_word_on_its_character_set_and_place() {
    let (host, previews) = (Host::new().await, previews(true));
    let latin = previews.of(OWNER, &host.text("/latin")).await.expect("a preview");
    assert_eq!(latin.title, "café");
    let moved = previews.of(OWNER, &host.text("/moved")).await.expect("a preview");
    assert_eq!(moved.link, format!("http://{}/moved", host.address));
    assert!(moved.thumbnail.is_some(), "it is where the page is");
}

#[tokio::test]
async fn a_hostile_page_shows_what_can_be_shown() {
    let (host, previews) = (Host::new().await, previews(true));
    for (path, title) in [
        ("/endless", "Endless"),
        ("/bombed", "Bombed"),
        ("/elsewhere", "Elsewhere"),
    ] {
        let preview = previews.of(OWNER, &host.text(path)).await.expect("a preview");
        assert_eq!(preview.title, title);
        assert!(preview.thumbnail.is_none(), "{path}");
    }
}

#[tokio::test]
async fn a_host_that_says_nothing_is_not_waited_for() {
    let (host, previews) = (Host::new().await, previews(true));
    let fetcher = previews.fetcher.clone().within(Duration::from_millis(300));
    let previews = Previews { fetcher, ..previews };
    for (path, title) in [("/never", None), ("/silent", Some("Silent"))] {
        let found = previews.of(OWNER, &host.text(path)).await;
        assert_eq!(found.as_ref().map(|preview| preview.title.as_str()), title);
    }
}

#[tokio::test]
async fn addresses_of_private_networks_are_not_called() {
    let (host, previews) = (Host::new().await, previews(false));
    assert!(previews.of(OWNER, &host.text("/whole")).await.is_none());
    assert_eq!(host.asked(), 0);
}

#[tokio::test]
async fn a_text_of_any_length_is_looked_through() {
    let (host, previews) = (Host::new().await, previews(true));
    let text = format!("{} {}", "x".repeat(MAX_SENT / 2), host.text("/latin"));
    assert!(previews.of(OWNER, &text).await.is_some());
}
