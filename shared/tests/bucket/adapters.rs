//! The adapters under test, and what the cases need of them.

use std::convert::Infallible;
use std::sync::Arc;

use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt as _, stream};
use shared::bucket::{Area, Bucket, Length, ObjectName};
use shared::clock::SteppedClock;
use shared::config;
use shared::ids::InstanceId;
use testbed::world::World;

/// A bucket, and the table with the keys under which it seals.
pub struct Adapter {
    pub bucket: Bucket,
    pub world: World,
    pub clock: SteppedClock,
}

impl Adapter {
    /// A folder.
    pub async fn folder() -> Self {
        let world = World::new().await;
        let clock = clock();
        let sealer = Arc::new(world.sealer());
        let bucket = testbed::bucket::in_directory(
            world.keys.directory(),
            "http://waxwing.example",
            sealer,
            Arc::new(clock.clone()),
        );
        Self { bucket, world, clock }
    }

    /// S3, or who stands in for it.
    pub async fn s3() -> Self {
        let world = World::new().await;
        let clock = clock();
        // The stand-in knows this key alone, and looks at those of signed URLs.
        let credentials = Credentials::new("test", "test", None, None, "stand-in");
        let aws = shared::aws::stand_in(&super::s3::endpoint())
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        super::s3::make_bucket(&aws).await;
        let place = config::Bucket::S3(super::s3::BUCKET.to_owned());
        let bucket = Bucket::open(&aws, &place, Arc::new(world.sealer()), Arc::new(clock.clone()));
        Self {
            bucket: bucket.expect("a client"),
            world,
            clock,
        }
    }

    /// Puts these bytes in pieces of 10,000.
    pub async fn put(&self, name: &ObjectName, bytes: &[u8]) {
        let pieces = bytes
            .chunks(10_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let pieces: Vec<Result<_, Infallible>> = pieces.collect();
        let length = Length::Exactly(bytes.len() as u64);
        let put = self.bucket.put(name, stream::iter(pieces), length).await;
        assert_eq!(put.expect("put"), bytes.len() as u64);
    }

    /// An object's bytes; `None` where there is none.
    pub async fn get(&self, name: &ObjectName) -> Option<Vec<u8>> {
        let mut object = self.bucket.get(name).await.expect("read")?;
        let mut bytes = Vec::new();
        while let Some(piece) = object.content.next().await {
            bytes.extend_from_slice(&piece.expect("read"));
        }
        assert_eq!(object.size, bytes.len() as u64, "the size that is told");
        Some(bytes)
    }
}

/// The machine's time, by which its files are stamped and S3 checks signatures.
#[expect(clippy::disallowed_methods, reason = "as the outside sees it")]
fn clock() -> SteppedClock {
    SteppedClock::at(Utc::now())
}

/// The name of an object of nobody else.
pub fn name(area: Area) -> ObjectName {
    let instance = InstanceId::from_bytes(rand::random());
    ObjectName::new(area, instance, format!("med_{:032x}", rand::random::<u128>()))
}

/// Bytes of which no two places look alike.
pub fn bytes(length: usize) -> Vec<u8> {
    let number = |at: usize| u32::try_from(at).unwrap_or(0).wrapping_mul(2_654_435_761);
    (0..length).map(|at| number(at).to_be_bytes()[0]).collect()
}
