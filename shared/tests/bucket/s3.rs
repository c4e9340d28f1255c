//! What S3 does beside: URLs of its own.

use aws_config::SdkConfig;
use chrono::TimeDelta;
use shared::bucket::{Area, Bucket, ObjectName};
use shared::config;

use super::adapters::{Adapter, name};

/// The bucket that the cases share.
pub const BUCKET: &str = "waxwing-contract";

#[expect(clippy::disallowed_methods, reason = "the suite's one setting")]
pub fn endpoint() -> String {
    std::env::var("WAXWING_S3_ENDPOINT").expect("WAXWING_S3_ENDPOINT names S3's protocol")
}

/// Makes the bucket, in the region of `shared::aws::stand_in`. A stand-in asks for no signature.
pub async fn make_bucket(aws: &SdkConfig) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{}/{BUCKET}", aws.endpoint_url().expect("a stand-in"));
    let place = concat!(
        r#"<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#,
        "<LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>",
    );
    let made = reqwest::Client::new()
        .put(url)
        .body(place)
        .send()
        .await
        .expect("an answer");
    assert!(
        made.status().is_success() || made.status() == 409,
        "{}",
        made.status()
    );
}

#[tokio::test]
#[ignore = "not run: needs S3's protocol at WAXWING_S3_ENDPOINT; see .ci/run"]
async fn callers_put_and_get_by_signed_urls() {
    let adapter = Adapter::s3().await;
    let name = name(Area::Upload);
    let term = TimeDelta::minutes(15);
    let request = adapter
        .bucket
        .upload(&name, 5, "image/png", term)
        .await
        .expect("signed");
    let url: reqwest::Url = request.url.parse().expect("a URL");
    let signed = url.query_pairs().find(|(name, _)| name == "X-Amz-SignedHeaders");
    assert_eq!(signed.expect("signed").1, "content-length;content-type;host");
    let mut put = reqwest::Client::new().put(url).body("hello");
    for (name, value) in &request.headers {
        put = put.header(*name, value);
    }
    let answer = put.send().await.expect("an answer");
    let status = answer.status();
    let said = answer.text().await.unwrap_or_default();
    assert!(status.is_success(), "{status}: {said}");
    assert_eq!(adapter.get(&name).await.as_deref(), Some(&b"hello"[..]));
    let url = adapter
        .bucket
        .download(&name, "image/png", Some("a b.png"), term)
        .await;
    let got = reqwest::get(url.expect("signed")).await.expect("an answer");
    assert_eq!(got.status(), 200);
    assert_eq!(got.bytes().await.expect("a body"), "hello");
}

#[tokio::test]
async fn a_bucket_that_nobody_answers_for_is_away() {
    let world = testbed::world::World::new().await;
    let aws = shared::aws::stand_in("http://127.0.0.1:9");
    let place = config::Bucket::S3(BUCKET.to_owned());
    let clock = std::sync::Arc::new(world.clock.clone());
    let bucket = Bucket::open(&aws, &place, std::sync::Arc::new(world.sealer()), clock).expect("a client");
    let name: ObjectName = name(Area::Incoming);
    let failed = bucket.size(&name).await.expect_err("nobody is there");
    assert_eq!(failed.nature(), shared::nature::Nature::Transient, "{failed:?}");
}
