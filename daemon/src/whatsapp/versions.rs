//! Which version of the client is announced: WhatsApp's current one, looked up once for all
//! sessions of a process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use tokio::sync::Mutex;
use tracing::{info, warn};
use wacore::net::HttpClient;
use wacore::store::Device;
use whatsapp_rust::version::fetch_latest_app_version;

/// A version of the client.
pub type Version = (u32, u32, u32);

/// How long a version that was looked up counts as the current one. WhatsApp publishes several a day, and accepts
/// those of some weeks.
const TERM: TimeDelta = TimeDelta::hours(6);

/// How long a look-up may take. Sessions that begin wait for it, and have 40 s in all.
const DEADLINE: Duration = Duration::from_secs(20);

/// The pause after a look-up that failed; meanwhile the last known version is announced.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// No version is known that WhatsApp may accept.
#[derive(Debug, thiserror::Error)]
#[error(
    "WhatsApp refuses the version of the client that is known, and its current one could not be looked up"
)]
pub struct NoVersion;

/// What becomes of a version that WhatsApp has refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is a newer one.
    Superseded,
    /// It is the current one: trying it again does not help.
    IsCurrent,
    /// Nobody knows: the current one could not be looked up, and was never seen to be this one.
    Unknown,
}

/// The version of the client that all sessions of a process announce.
pub struct Versions {
    source: Source,
    clock: Arc<dyn Clock>,
    /// [`DEADLINE`], but for tests.
    deadline: Duration,
    known: Mutex<Known>,
}

enum Source {
    Fixed(Version),
    LookUp(Arc<dyn HttpClient>),
}

#[derive(Debug, Default)]
struct Known {
    /// The last that was looked up, and when.
    last: Option<(Version, DateTime<Utc>)>,
    /// When the last look-up failed.
    failed: Option<DateTime<Utc>>,
    /// The newest that WhatsApp has refused.
    refused: Option<Version>,
}

impl Versions {
    /// Always this version.
    pub fn fixed(version: Version, clock: Arc<dyn Clock>) -> Self {
        Self::of(Source::Fixed(version), clock)
    }

    /// The one that WhatsApp's web client has.
    pub fn looked_up(http: Arc<dyn HttpClient>, clock: Arc<dyn Clock>) -> Self {
        Self::of(Source::LookUp(http), clock)
    }

    fn of(source: Source, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            deadline: DEADLINE,
            known: Mutex::default(),
        }
    }

    /// The version to announce. Sessions that begin while it is looked up wait for the same look-up. Where that
    /// fails, it is the last known version, or the one that the library was made with.
    pub async fn current(&self) -> Result<Version, NoVersion> {
        let http = match &self.source {
            Source::Fixed(version) => return Ok(*version),
            Source::LookUp(http) => http,
        };
        let mut known = self.known.lock().await;
        if let Some(version) = known.fresh(self.clock.now()) {
            return Ok(version);
        }
        if let Some(version) = self.look_up(http, &mut known).await {
            return Ok(version);
        }
        let last = known.last.map(|(version, _)| version);
        [last, Some(built_in())]
            .into_iter()
            .flatten()
            .find(|version| known.refused.is_none_or(|refused| *version > refused))
            .ok_or(NoVersion)
    }

    /// WhatsApp has refused a session that announced this version. A fresh look-up is made now.
    pub async fn refused(&self, version: Version) -> Refused {
        let Source::LookUp(http) = &self.source else {
            return Refused::IsCurrent;
        };
        let mut known = self.known.lock().await;
        known.refused = known.refused.max(Some(version));
        // Another session that was refused may have found the newer version already.
        if known.fresh(self.clock.now()).is_some() {
            return Refused::Superseded;
        }
        match self.look_up(http, &mut known).await {
            Some(current) if current > version => Refused::Superseded,
            Some(_) => Refused::IsCurrent,
            None if known.last.is_some_and(|(last, _)| last == version) => Refused::IsCurrent,
            None => Refused::Unknown,
        }
    }

    async fn look_up(&self, http: &Arc<dyn HttpClient>, known: &mut Known) -> Option<Version> {
        let now = self.clock.now();
        if known.failed.is_some_and(|at| (now - at).abs() < PAUSE) {
            return None;
        }
        // If the caller is broken off, the look-up counts as failed, and its pause holds.
        known.failed = Some(now);
        let found = match tokio::time::timeout(self.deadline, fetch_latest_app_version(http)).await {
            // The library finds a version without its number where the page has none.
            Ok(Ok((_, _, 0))) => Err("the answer has no version".to_owned()),
            Ok(Ok(version)) => Ok(version),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err("no answer in time".to_owned()),
        };
        match found {
            Ok(version) => {
                let (primary, secondary, tertiary) = version;
                info!(version = %format_args!("{primary}.{secondary}.{tertiary}"), "looked up the client's version");
                known.failed = None;
                known.last = Some((version, now));
                Some(version)
            }
            Err(error) => {
                warn!(error, "the client's version could not be looked up");
                None
            }
        }
    }
}

impl Known {
    /// The last one, if it need not be looked up.
    fn fresh(&self, now: DateTime<Utc>) -> Option<Version> {
        let (version, at) = self.last?;
        let is_refused = self.refused.is_some_and(|refused| version <= refused);
        (!is_refused && (now - at).abs() < TERM).then_some(version)
    }
}

/// The version that the library was made with.
fn built_in() -> Version {
    let device = Device::new();
    (
        device.app_version_primary,
        device.app_version_secondary,
        device.app_version_tertiary,
    )
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Versions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use async_trait::async_trait;
    use shared::clock::SteppedClock;
    use wacore::net::{HttpRequest, HttpResponse};

    use super::*;

    /// WhatsApp's web host, as the test wants it.
    #[derive(Debug, Default)]
    struct Host {
        /// The current revision; without one it does not answer.
        revision: StdMutex<Option<u32>>,
        asked: StdMutex<u32>,
    }

    impl Host {
        fn set(&self, revision: Option<u32>) {
            *self.revision.lock().expect("no panic") = revision;
        }

        fn asked(&self) -> u32 {
            *self.asked.lock().expect("no panic")
        }
    }

    #[async_trait]
    impl HttpClient for Host {
        async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
            assert_eq!(request.url, "https://web.whatsapp.com/sw.js");
            *self.asked.lock().expect("no panic") += 1;
            let revision = *self.revision.lock().expect("no panic");
            let Some(revision) = revision else {
                return std::future::pending().await;
            };
            tokio::task::yield_now().await;
            let body = format!("{{\"client_revision\":{revision}}}").into_bytes();
            Ok(HttpResponse {
                status_code: 200,
                body,
            })
        }
    }

    struct World {
        host: Arc<Host>,
        clock: SteppedClock,
        versions: Versions,
    }

    fn world(revision: Option<u32>) -> World {
        let (host, clock) = (Arc::new(Host::default()), SteppedClock::at(DateTime::UNIX_EPOCH));
        host.set(revision);
        let mut versions = Versions::looked_up(Arc::clone(&host) as _, Arc::new(clock.clone()));
        versions.deadline = Duration::from_millis(20);
        World {
            host,
            clock,
            versions,
        }
    }

    const NEWER: u32 = u32::MAX - 1;

    #[tokio::test]
    async fn sessions_that_begin_at_once_share_one_look_up() {
        let World {
            host,
            clock,
            mut versions,
        } = world(Some(NEWER));
        versions.deadline = DEADLINE;
        let asking = (0..100).map(|_| versions.current());
        for version in futures::future::join_all(asking).await {
            assert_eq!(version.expect("known"), (2, 3_000, NEWER));
        }
        assert_eq!(host.asked(), 1);
        clock.advance(TERM - TimeDelta::seconds(1));
        versions.current().await.expect("known");
        assert_eq!(host.asked(), 1, "its term is not over");
        host.set(Some(NEWER + 1));
        clock.advance(TimeDelta::seconds(1));
        assert_eq!(versions.current().await.expect("known"), (2, 3_000, NEWER + 1));
        assert_eq!(host.asked(), 2);
    }

    #[tokio::test]
    async fn a_host_that_does_not_answer_keeps_no_session_from_beginning() {
        let World {
            host,
            clock,
            versions,
        } = world(None);
        for _ in 0..3 {
            assert_eq!(versions.current().await.expect("the library's own"), built_in());
        }
        assert_eq!(host.asked(), 1, "nobody waits for it again at once");
        host.set(Some(NEWER));
        clock.advance(PAUSE);
        assert_eq!(versions.current().await.expect("known"), (2, 3_000, NEWER));
        host.set(None);
        clock.advance(TERM);
        assert_eq!(
            versions.current().await.expect("the last known"),
            (2, 3_000, NEWER)
        );
        host.set(Some(0));
        clock.advance(PAUSE);
        assert_eq!(
            versions.current().await.expect("the last known"),
            (2, 3_000, NEWER),
            "no number"
        );
        assert_eq!(host.asked(), 4);
    }

    #[tokio::test]
    async fn a_version_that_was_refused_is_looked_up_anew() {
        let World { host, versions, .. } = world(Some(NEWER));
        let old = versions.current().await.expect("known");
        assert_eq!(versions.refused(old).await, Refused::IsCurrent);
        assert_eq!(host.asked(), 2, "the look-up is a fresh one");
        assert_eq!(
            versions.current().await.expect("known"),
            old,
            "whoever asks again may try"
        );
        host.set(Some(NEWER + 1));
        assert_eq!(versions.refused(old).await, Refused::Superseded);
        let asked = host.asked();
        assert_eq!(versions.refused(old).await, Refused::Superseded);
        assert_eq!(versions.current().await.expect("known"), (2, 3_000, NEWER + 1));
        assert_eq!(
            host.asked(),
            asked,
            "one look-up for all sessions that were refused"
        );
    }

    #[tokio::test]
    async fn a_version_that_nobody_has_named_is_not_announced_twice() {
        let World {
            host,
            clock,
            versions,
        } = world(None);
        let announced = versions.current().await.expect("the library's own");
        assert_eq!(versions.refused(announced).await, Refused::Unknown);
        versions.current().await.expect_err("WhatsApp would refuse it");
        host.set(Some(NEWER));
        clock.advance(PAUSE);
        assert_eq!(versions.current().await.expect("known"), (2, 3_000, NEWER));
    }

    #[tokio::test]
    async fn a_fixed_version_is_the_current_one() {
        let versions = Versions::fixed((1, 2, 3), Arc::new(SteppedClock::at(DateTime::UNIX_EPOCH)));
        assert_eq!(versions.current().await.expect("fixed"), (1, 2, 3));
        assert_eq!(versions.refused((1, 2, 3)).await, Refused::IsCurrent);
    }
}
