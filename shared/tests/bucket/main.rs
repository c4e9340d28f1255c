//! What every adapter of the bucket does, and what a folder does beside.
//!
//! S3's own protocol needs a service: `.ci/run` names one in `WAXWING_S3_ENDPOINT`.

mod adapters;
mod cases;
mod folder;
mod s3;
