//! How fast images of 5 MB come from the API to phones, and what that costs, beside the bare library on the same sandbox.
//!
//! Waxwing fetches each by its URL, looks into it, makes its small picture, encrypts and uploads it. The library reads it from
//! the disk, encrypts and uploads it. Read the ratios: the machine has a part in all other figures.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use chrono::{DateTime, Utc};
use sandbox::script::{InboxQuery, NewPhone};
use sandbox::{Config, Sandbox};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::clock::{Clock as _, SystemClock};
use testbed::served::Served;
use tests::flow::pair;
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::cpu::cpu;
use crate::report::{count, ms};
use crate::stack::Stack;

/// The sides of the picture, in pixels: of noise in three colours, which no compression makes smaller, 5 MB.
const SIDE: u32 = 1_300;

/// How many images are on their way to the API, or to the library, at once.
const AT_ONCE: usize = 4;

/// How many people get them.
const PEOPLE: usize = 4;

/// How long images may take to come, once the last is asked for.
const PATIENCE: Duration = Duration::from_mins(5);

/// The cheapest hash of a password: nobody logs in here.
const BCRYPT_COST: u32 = 4;

/// What a way of sending came to.
struct Measured {
    images: usize,
    within: Duration,
    delivering: Vec<Duration>,
    cpu: Duration,
}

impl Measured {
    fn a_second(&self) -> f64 {
        count(self.images) / self.within.as_secs_f64()
    }

    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1_000.0 / count(self.images)
    }

    fn print(&mut self, name: &str) {
        self.delivering.sort_unstable();
        println!(
            "{name:<12} {:>10.1} {:>10.0} {:>10.0} {:>10.1}",
            self.a_second(),
            ms(&self.delivering, 50),
            ms(&self.delivering, 99),
            self.cpu_each(),
        );
    }
}

/// Measures; answers whether each image arrived, whole.
pub async fn run(images: usize) -> bool {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Arc::new(Sandbox::start(Config::new(address)).await.expect("a sandbox"));
    let folder = tempfile::tempdir().expect("a directory");
    let (root, file) = (folder.path().join("root.pem"), folder.path().join("noise.png"));
    std::fs::write(&root, sandbox.ca_pem()).expect("written");
    let picture = Bytes::from(noise());
    std::fs::write(&file, &picture).expect("written");
    let hash = hex::encode(Sha256::digest(&picture));
    let host = {
        let picture = picture.clone();
        Served::start(Router::new().route("/noise.png", get(move || async move { picture }))).await
    };
    println!("{images} images of {:.1} MB", count(picture.len()) / 1e6);
    println!(
        "{:<12} {:>10} {:>10} {:>10} {:>10}",
        "", "arrived/s", "arr. p50", "arr. p99", "CPU ms"
    );

    let stack = Stack::with_media(&sandbox, &root, BCRYPT_COST).await;
    let paired = pair(&stack.bases, &stack.phones).await;
    let url = format!("{}/noise.png", host.url());
    let key = paired.key.clone();
    let ours = through(&sandbox, images, &hash, stack.id(), move |to, caption| {
        let (key, url) = (key.clone(), url.clone());
        async move {
            let image = json!({"to": to, "url": url, "caption": caption});
            key.send("image", image).await.data(202);
        }
    });
    let (mut ours, is_whole) = ours.await;
    ours.print("Waxwing");
    stack.stop().await;

    let phone = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
    let client = Arc::new(Bare::link_with_media(&sandbox, phone.number(), &root).await);
    let process = client.id();
    let bare = through(&sandbox, images, &hash, process, move |to, caption| {
        let (client, file) = (Arc::clone(&client), file.clone());
        async move { client.image(&to, &file, &caption).await }
    });
    let (mut bare, is_bare_whole) = bare.await;
    bare.print("library");
    println!(
        "{:<12} arrived/s {:.2}, CPU {:.2}",
        "ratio",
        ours.a_second() / bare.a_second(),
        ours.cpu_each() / bare.cpu_each(),
    );
    is_whole && is_bare_whole
}

/// Has images sent; answers what was measured, and whether each arrived with this hash.
async fn through<F>(
    sandbox: &Sandbox,
    images: usize,
    hash: &str,
    process: u32,
    send: impl Fn(String, String) -> F + Clone + Send + Sync + 'static,
) -> (Measured, bool)
where
    F: Future<Output = ()> + Send,
{
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        people.push(sandbox.create_phone(NewPhone::default()).await.expect("a phone"));
    }
    let numbers: Vec<String> = people.iter().map(|phone| phone.number().to_owned()).collect();
    // The sessions with the people's phones are made by a first image, which does not count.
    for (n, number) in numbers.iter().enumerate() {
        send(number.clone(), format!("first-{n}")).await;
    }
    arrivals(&people, hash, PEOPLE).await;

    let (before, began) = (cpu(&[process]), SystemClock.now());
    let mut work = JoinSet::new();
    for part in 0..AT_ONCE {
        let (send, numbers) = (send.clone(), numbers.clone());
        work.spawn(async move {
            let mut asked = Vec::new();
            for n in (part..images).step_by(AT_ONCE) {
                let caption = format!("image-{n}");
                asked.push((caption.clone(), SystemClock.now()));
                send(numbers[n % PEOPLE].clone(), caption).await;
            }
            asked
        });
    }
    let asked: Vec<_> = work.join_all().await.into_iter().flatten().collect();
    let arrived = arrivals(&people, hash, PEOPLE + images).await;
    let cpu = cpu(&[process]).saturating_sub(before);
    let since = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).to_std().unwrap_or_default();
    let last = arrived.values().copied().max().unwrap_or(began);
    let delivering: Vec<Duration> = asked
        .iter()
        .filter_map(|(caption, at)| Some(since(*at, *arrived.get(caption)?)))
        .collect();
    let is_whole = delivering.len() == images;
    if !is_whole {
        println!("{} of {images} images arrived", delivering.len());
    }
    let measured = Measured {
        images,
        within: since(began, last),
        delivering,
        cpu,
    };
    (measured, is_whole)
}

/// When each image with this hash arrived, by its caption, once so many are there.
async fn arrivals(people: &[sandbox::Phone], hash: &str, wanted: usize) -> HashMap<String, DateTime<Utc>> {
    let began = std::time::Instant::now();
    loop {
        let mut found = HashMap::new();
        for phone in people {
            for entry in phone.inbox(InboxQuery::default()).await.expect("an inbox") {
                if entry.content.media_sha256.as_deref() == Some(hash) {
                    let at = entry.received_at.parse().expect("RFC 3339");
                    found.insert(entry.content.text.clone().unwrap_or_default(), at);
                }
            }
        }
        if found.len() >= wanted || began.elapsed() > PATIENCE {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A picture of noise, the same each time.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let pixels: Vec<u8> = (0..SIDE * SIDE * 3)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    file
}
