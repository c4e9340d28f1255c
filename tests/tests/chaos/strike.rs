//! Lets the troubles of a round happen.

use futures::future::join_all;
use testbed::relay::Relay;
use tests::daemon_process::DaemonProcess;
use tests::deployment::Stores;
use tokio::time::Instant;

use crate::plan::{Strike, Trouble};
use crate::restarting_sandbox::RestartingSandbox;
use crate::world::World;

/// Prints what happens, and when.
#[derive(Debug, Clone, Copy)]
pub struct Log(Instant);

impl Log {
    /// Begins now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Prints this.
    pub fn say(self, what: &str) {
        println!("{:7.1} s  {what}", self.0.elapsed().as_secs_f64());
    }
}

/// A daemon that is in trouble, with its place.
type Taken = Option<(usize, DaemonProcess)>;

impl World {
    /// Lets these troubles happen side by side. When they are over all places have a daemon again.
    pub async fn strike(&mut self, log: Log, strikes: &[Strike]) {
        let Self {
            stores,
            keys,
            sandbox,
            daemons,
            starter,
            clocks,
            ..
        } = self;
        let on = (&*stores, &*keys, &**sandbox);
        let mut befalling = Vec::new();
        for strike in strikes {
            let place = strike.trouble.daemon();
            let taken = place.and_then(|place| Some((place, daemons[place].take()?)));
            befalling.push(befall(log, on, *strike, taken));
        }
        for (place, mut daemon) in join_all(befalling).await.into_iter().flatten() {
            match daemon.has_ended() {
                None => daemons[place] = Some(daemon),
                Some(status) => log.say(&format!("daemon {place} has ended by itself: {status}")),
            }
        }
        for (place, daemon) in daemons.iter_mut().enumerate() {
            if daemon.is_none() {
                let clock = clocks.next(place);
                *daemon = Some(starter.start_wrong_by(clock.time()).await);
                log.say(&format!(
                    "there is another daemon {place}, whose clock is {clock}"
                ));
            }
        }
    }
}

/// Lets one trouble happen, and answers when it is over: the daemon that it has left.
async fn befall(
    log: Log,
    (stores, keys, sandbox): (&Stores, &Relay, &RestartingSandbox),
    strike: Strike,
    taken: Taken,
) -> Taken {
    tokio::time::sleep(strike.at).await;
    log.say(&strike.trouble.to_string());
    match strike.trouble {
        Trouble::Kill { .. } => {
            if let Some((_, daemon)) = taken {
                daemon.kill().await;
            }
            return None;
        }
        Trouble::StandStill { time, .. } => {
            if let Some((_, daemon)) = &taken {
                daemon.stand_still().await;
                tokio::time::sleep(time).await;
                daemon.go_on().await;
            }
        }
        Trouble::DropSockets { percent, seed } => {
            let dropped = sandbox.drop_sockets(percent, seed).await;
            log.say(&format!("{dropped} sockets were dropped"));
        }
        Trouble::Table { how, time } => stores.table.away_for(how, time).await,
        Trouble::Queue { how, time } => stores.queue.away_for(how, time).await,
        Trouble::Keys { how, time } => keys.away_for(how, time).await,
        Trouble::RestartSandbox { time } => sandbox.restart(time).await,
    }
    log.say(&format!("it is over that {}", strike.trouble));
    taken
}
