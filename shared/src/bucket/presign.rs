//! URLs of S3 by which whoever has them makes one request: Signature Version 4 in the query (AWS, "Authenticating
//! Requests: Using Query Parameters").
//!
//! The library signs URLs too, but not the length of what is put. With the length signed, S3 takes no other.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use object_store::aws::AwsCredential;
use sha2::{Digest as _, Sha256};

use super::link::encoded;

/// Names and values, of headers or of a query.
pub(super) type Pairs<'a> = &'a [(&'static str, String)];

/// A request that is to be signed.
pub(super) struct Request<'a> {
    pub method: &'static str,
    /// Up to the host's end, such as `https://bucket.s3.eu-central-1.amazonaws.com`.
    pub origin: &'a str,
    /// With its first slash; of characters that need no encoding.
    pub path: &'a str,
    /// Headers that it must carry, by names in lower case that are in order and lie before `host`.
    pub headers: Pairs<'a>,
    /// What else its query says.
    pub query: Pairs<'a>,
}

impl Request<'_> {
    /// The URL with its signature, good for `term` from `now` on.
    pub(super) fn url(
        &self,
        credential: &AwsCredential,
        region: &str,
        now: DateTime<Utc>,
        term: TimeDelta,
    ) -> String {
        let (date, time) = (
            now.format("%Y%m%d").to_string(),
            now.format("%Y%m%dT%H%M%SZ").to_string(),
        );
        let scope = format!("{date}/{region}/s3/aws4_request");
        let host = self
            .origin
            .split_once("://")
            .map_or(self.origin, |(_, host)| host);
        let mut headers = self.headers.to_vec();
        headers.push(("host", host.to_owned()));
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut query = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{}/{scope}", credential.key_id)),
            ("X-Amz-Date", time.clone()),
            ("X-Amz-Expires", term.num_seconds().to_string()),
            ("X-Amz-SignedHeaders", names.clone()),
        ];
        query.extend(
            credential
                .token
                .clone()
                .map(|token| ("X-Amz-Security-Token", token)),
        );
        query.extend_from_slice(self.query);
        query.sort();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let query = query.join("&");
        let headers: Vec<_> = headers
            .iter()
            // Runs of spaces count as one.
            .map(|(name, value)| {
                let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
                format!("{name}:{}", words.join(" "))
            })
            .collect();
        let headers = headers.join("\n");
        let (method, path) = (self.method, self.path);
        let canonical = format!("{method}\n{path}\n{query}\n{headers}\n\n{names}\nUNSIGNED-PAYLOAD");
        let digest = hex::encode(Sha256::digest(canonical));
        let signed = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let mut key = mac(format!("AWS4{}", credential.secret_key).as_bytes(), &date);
        for part in [region, "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex::encode(mac(&key, &signed));
        format!("{}{path}?{query}&X-Amz-Signature={signature}", self.origin)
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS' own page.
    #[test]
    fn a_url_is_signed_as_the_specification_shows() {
        let request = Request {
            method: "GET",
            origin: "https://examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            headers: &[],
            query: &[],
        };
        let credential = AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let now = DateTime::from_timestamp(1_369_353_600, 0).expect("in range");
        let url = request.url(&credential, "us-east-1", now, TimeDelta::days(1));
        let wanted = concat!(
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host",
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        );
        assert_eq!(url, wanted);
    }
}
