//! A bucket in a folder.

use std::path::Path;
use std::sync::Arc;

use shared::bucket::Bucket;
use shared::clock::Clock;
use shared::config;
use shared::seal::Sealer;

/// The bucket in a folder of this directory. Its links lead to the API at `public_url`.
pub fn in_directory(
    directory: &Path,
    public_url: &str,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
) -> Bucket {
    let place = config::Bucket::Folder {
        path: directory.join("bucket"),
        public_url: public_url.to_owned(),
    };
    // A folder has nothing to do with AWS.
    let aws = shared::aws::stand_in("http://127.0.0.1:1");
    Bucket::open(&aws, &place, sealer, clock).expect("a folder")
}
