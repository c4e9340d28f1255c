//! Where traces go: OpenTelemetry's own variables, as far as they are read here.

use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::{ConfigError, Lookup, Secret, problem};
use crate::trace::Sampler;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Where traces go, and which.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The URL that takes them.
    pub endpoint: Url,
    /// Headers of each request, well-formed.
    pub headers: Vec<(String, Secret)>,
    /// The service's name, where it is said.
    pub service: Option<String>,
    /// Which traces are recorded.
    pub sampler: Sampler,
}

/// `None` where no collector is named.
pub(super) fn read(get: Lookup<'_>) -> Result<Option<Traces>, ConfigError> {
    let Some(base) = get(ENDPOINT) else {
        return Ok(None);
    };
    Ok(Some(Traces {
        endpoint: endpoint(&base)?,
        headers: get(HEADERS).map_or_else(|| Ok(Vec::new()), |text| headers(&text))?,
        service: get("OTEL_SERVICE_NAME"),
        sampler: sampler(get)?,
    }))
}

/// The URL for traces at a collector: `v1/traces` below what is named.
fn endpoint(base: &str) -> Result<Url, ConfigError> {
    let wrong = || {
        problem(
            ENDPOINT,
            "must be an http:// or https:// URL without user, query or fragment, such as `http://localhost:4318`",
        )
    };
    let url: Url = format!("{}/v1/traces", base.trim_end_matches('/'))
        .parse()
        .map_err(|_| wrong())?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain && url.has_host() && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(wrong())
    }
}

/// `name=value`, several separated by commas. Values may be percent-encoded.
fn headers(text: &str) -> Result<Vec<(String, Secret)>, ConfigError> {
    let wrong = || {
        problem(
            HEADERS,
            "must be headers as `name=value`, separated by commas, with values percent-encoded",
        )
    };
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            let value = decoded(value.trim()).ok_or_else(wrong)?;
            HeaderValue::from_str(&value).map_err(|_| wrong())?;
            Ok((name.as_str().to_owned(), Secret::new(value)))
        })
        .collect()
}

/// A text without its percent-encoding; `None` where that is not well-formed.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, encoded)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.extend(hex::decode(encoded.get(..2)?).ok()?);
        rest = encoded.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn sampler(get: Lookup<'_>) -> Result<Sampler, ConfigError> {
    let share = || match get(SHARE) {
        None => Ok(1.0),
        Some(text) => text
            .parse::<f64>()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| problem(SHARE, "must be a number from 0 to 1")),
    };
    match get(SAMPLER).as_deref() {
        None | Some("parentbased_always_on") => Ok(Sampler::default()),
        Some("parentbased_always_off") => Ok(Sampler::new(0.0, true)),
        Some("parentbased_traceidratio") => Ok(Sampler::new(share()?, true)),
        Some("always_on") => Ok(Sampler::new(1.0, false)),
        Some("always_off") => Ok(Sampler::new(0.0, false)),
        Some("traceidratio") => Ok(Sampler::new(share()?, false)),
        Some(_) => Err(problem(
            SAMPLER,
            "must be `always_on`, `always_off` or `traceidratio`, or one of these behind `parentbased_`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Option<Traces>, ConfigError> {
        let lookup = |name: &str| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        };
        read(&lookup)
    }

    #[test]
    fn traces_go_nowhere_unless_a_collector_is_named() {
        assert!(of(&[(SAMPLER, "always_on")]).expect("fine").is_none());
        let traces = of(&[
            (ENDPOINT, "https://collector.example.com/otlp/"),
            (HEADERS, "api-key=a%20secret, x-team = blue,"),
            (SAMPLER, "traceidratio"),
            (SHARE, "0.25"),
            ("OTEL_SERVICE_NAME", "send"),
        ]);
        let traces = traces.expect("fine").expect("on");
        assert_eq!(
            traces.endpoint.as_str(),
            "https://collector.example.com/otlp/v1/traces"
        );
        assert_eq!(traces.sampler, Sampler::new(0.25, false));
        let headers: Vec<_> = traces
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        assert_eq!(headers, [("api-key", "a secret"), ("x-team", "blue")]);
        assert!(!format!("{traces:?}").contains("a secret"));
        let usual = of(&[(ENDPOINT, "http://localhost:4318")])
            .expect("fine")
            .expect("on");
        assert_eq!(usual.endpoint.as_str(), "http://localhost:4318/v1/traces");
        assert_eq!((usual.sampler, usual.service), (Sampler::default(), None));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_name_and_without_its_value() {
        let fine = (ENDPOINT, "http://localhost:4318");
        let told = |pairs: &[(&str, &str)]| of(pairs).expect_err("it is wrong").to_string();
        for endpoint in [
            "localhost:4318",
            "ftp://a",
            "http://user:secret@a",
            "http://a?key=secret",
        ] {
            let told = told(&[(ENDPOINT, endpoint)]);
            assert!(told.starts_with(ENDPOINT) && !told.contains("secret"), "{told}");
        }
        for headers in ["secret", "two words=secret", "key=sec%ret", "key=%0asecret"] {
            let told = told(&[fine, (HEADERS, headers)]);
            assert!(told.starts_with(HEADERS) && !told.contains("secret"), "{told}");
        }
        assert!(told(&[fine, (SAMPLER, "sometimes")]).starts_with(SAMPLER));
        for share in ["1.5", "-0.1", "half", "NaN"] {
            let pairs = [fine, (SAMPLER, "parentbased_traceidratio"), (SHARE, share)];
            assert_eq!(told(&pairs), format!("{SHARE} must be a number from 0 to 1"));
        }
    }
}
