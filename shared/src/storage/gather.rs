//! Requests for one item that wait at the same time share a write, as in a group commit.
//!
//! A request for an item that is not being written goes at once. While it is written, further requests for this item
//! gather, and the next write has all of them. Each caller waits for the write that has its request, so nothing is
//! answered before it is stored. An idle process makes one write for each request, a busy one makes a fraction of that.
//! Items do not wait for each other.
//!
//! A task writes an item for as long as requests for it come, and nothing stays of an item that is idle. What a caller
//! asked for is written though the caller goes away, and nobody waits for a caller. Where the task is cut short, those
//! who wait are told that the outcome is not known.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::error::StorageError;

/// The most requests that share a write. Further ones wait for the write after it.
const MOST: usize = 1_000;

/// Writes what has gathered for an item.
pub(super) trait Write: Send + Sync + 'static {
    /// Which item. Requests for items that are equal may share a write.
    type Item: Clone + Eq + Hash + Send + Sync + 'static;
    /// What a caller asks for.
    type Request: Send + 'static;
    /// What a caller is told.
    type Answer: Send + 'static;

    /// Writes these requests for an item, in their order: one at least, a thousand at most. Answers each of them, in the
    /// same order.
    fn write(
        &self,
        item: &Self::Item,
        requests: Vec<Self::Request>,
    ) -> impl Future<Output = Vec<Result<Self::Answer, StorageError>>> + Send;
}

/// A request, and where its answer goes.
type Waiting<W> = (
    <W as Write>::Request,
    oneshot::Sender<Result<<W as Write>::Answer, StorageError>>,
);

/// What waits for the next write of each item that is being written.
type Items<W> = HashMap<<W as Write>::Item, VecDeque<Waiting<W>>>;

/// The requests that wait for a write, by their items.
pub(super) struct Gathering<W: Write> {
    writer: W,
    items: Mutex<Items<W>>,
}

impl<W: Write> Gathering<W> {
    /// Has this write.
    pub(super) fn new(writer: W) -> Arc<Self> {
        Arc::new(Self {
            writer,
            items: Mutex::default(),
        })
    }

    /// Has a request written. It waits for the write of this item that is under way, if one is, and for its own.
    pub(super) async fn ask(
        self: &Arc<Self>,
        item: W::Item,
        request: W::Request,
    ) -> Result<W::Answer, StorageError> {
        let (caller, answer) = oneshot::channel();
        if let Some(turn) = self.join(item, (request, caller)) {
            tokio::spawn(turn.run());
        }
        let answer = answer.await;
        answer.unwrap_or_else(|_| Err(StorageError::Unavailable("its write was cut short".into())))
    }

    /// Has a request wait for the next write of its item. Where none is under way, the caller is to run the turn.
    fn join(self: &Arc<Self>, item: W::Item, waiting: Waiting<W>) -> Option<Turn<W>> {
        let mut items = self.lock();
        if let Some(others) = items.get_mut(&item) {
            others.push_back(waiting);
            return None;
        }
        items.insert(item.clone(), VecDeque::from([waiting]));
        Some(Turn {
            gathering: Arc::clone(self),
            item,
            is_over: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Items<W>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests are not shown: they may be secrets.
impl<W: Write> fmt::Debug for Gathering<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering")
            .field("items", &self.lock().len())
            .finish_non_exhaustive()
    }
}

/// The writing of one item, for as long as requests for it wait.
struct Turn<W: Write> {
    gathering: Arc<Gathering<W>>,
    item: W::Item,
    is_over: bool,
}

impl<W: Write> Turn<W> {
    async fn run(mut self) {
        while let Some(waiting) = self.take() {
            let (requests, callers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            let answers = self.gathering.writer.write(&self.item, requests).await;
            for (caller, answer) in callers.into_iter().zip(answers) {
                // Whoever has gone does not want it.
                let _ = caller.send(answer);
            }
        }
    }

    /// What the next write has. The turn is over where nothing waits.
    fn take(&mut self) -> Option<Vec<Waiting<W>>> {
        let mut items = self.gathering.lock();
        let waiting = items.get_mut(&self.item)?;
        if waiting.is_empty() {
            items.remove(&self.item);
            self.is_over = true;
            return None;
        }
        let together = waiting.len().min(MOST);
        Some(waiting.drain(..together).collect())
    }
}

/// A turn may be cut short: by a panic of the writer, or by the end of its runtime. The next request begins another.
impl<W: Write> Drop for Turn<W> {
    fn drop(&mut self) {
        if !self.is_over {
            let waiting = self.gathering.lock().remove(&self.item);
            // Those who wait are told by this.
            drop(waiting);
        }
    }
}

/// The same failure for each of so many whose requests were in one call.
pub(super) fn all_failed<T>(error: StorageError, many: usize) -> Vec<Result<T, StorageError>> {
    let mut answers: Vec<_> = (1..many).map(|_| Err(error.again())).collect();
    answers.push(Err(error));
    answers
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use futures::future::{BoxFuture, join_all};
    use futures::poll;
    use tokio::sync::mpsc;

    use super::*;

    /// Writes when the test says so, and panics where the test forgets a write. Answers twice the request.
    struct Scripted(mpsc::UnboundedSender<Asked>);

    #[derive(Debug)]
    struct Asked {
        item: &'static str,
        requests: Vec<u32>,
        goes_on: oneshot::Sender<()>,
    }

    impl Asked {
        fn go_on(self) {
            self.goes_on.send(()).expect("it is waited for");
        }
    }

    impl Write for Scripted {
        type Item = &'static str;
        type Request = u32;
        type Answer = u32;

        async fn write(&self, item: &&'static str, requests: Vec<u32>) -> Vec<Result<u32, StorageError>> {
            let (goes_on, told) = oneshot::channel();
            let asked = Asked {
                item,
                requests: requests.clone(),
                goes_on,
            };
            self.0.send(asked).expect("the test listens");
            told.await.expect("the test lets it go on");
            requests.into_iter().map(|request| Ok(2 * request)).collect()
        }
    }

    struct Scene {
        gathering: Arc<Gathering<Scripted>>,
        writes: mpsc::UnboundedReceiver<Asked>,
    }

    impl Scene {
        fn new() -> Self {
            let (asked, writes) = mpsc::unbounded_channel();
            Self {
                gathering: Gathering::new(Scripted(asked)),
                writes,
            }
        }

        /// Asks, and answers when the request waits for its answer.
        async fn ask(
            &self,
            item: &'static str,
            request: u32,
        ) -> BoxFuture<'static, Result<u32, StorageError>> {
            let gathering = Arc::clone(&self.gathering);
            let mut asked = async move { gathering.ask(item, request).await }.boxed();
            assert!(poll!(&mut asked).is_pending(), "nobody has written it");
            asked
        }

        async fn next(&mut self) -> Asked {
            let next = tokio::time::timeout(Duration::from_mins(1), self.writes.recv());
            next.await.expect("a write in time").expect("the writer lives")
        }

        fn is_idle(&self) -> bool {
            self.gathering.lock().is_empty()
        }
    }

    #[tokio::test]
    async fn what_comes_while_an_item_is_written_shares_the_next_write() {
        let mut scene = Scene::new();
        let first = scene.ask("a", 1).await;
        let write = scene.next().await;
        assert_eq!((write.item, &write.requests[..]), ("a", &[1][..]));
        let (second, third) = (scene.ask("a", 2).await, scene.ask("a", 3).await);
        // Another item does not wait.
        let other = scene.ask("b", 4).await;
        let write_of_other = scene.next().await;
        assert_eq!(
            (write_of_other.item, &write_of_other.requests[..]),
            ("b", &[4][..])
        );
        write_of_other.go_on();
        assert_eq!(other.await.expect("written"), 8);
        write.go_on();
        assert_eq!(first.await.expect("written"), 2);
        let write = scene.next().await;
        assert_eq!((write.item, &write.requests[..]), ("a", &[2, 3][..]));
        write.go_on();
        assert_eq!(second.await.expect("written"), 4);
        assert_eq!(third.await.expect("written"), 6);
        assert!(scene.is_idle(), "nothing stays of an idle item");
    }

    #[tokio::test]
    async fn whoever_goes_away_takes_nothing_with_them() {
        let mut scene = Scene::new();
        let first = scene.ask("a", 1).await;
        let write = scene.next().await;
        let (second, third) = (scene.ask("a", 2).await, scene.ask("a", 3).await);
        drop((first, second));
        write.go_on();
        let write = scene.next().await;
        assert_eq!(write.requests, [2, 3]);
        write.go_on();
        assert_eq!(third.await.expect("written"), 6);
        assert!(scene.is_idle());
    }

    #[tokio::test]
    async fn a_panic_is_told_to_all_who_wait_and_the_next_begins_anew() {
        let mut scene = Scene::new();
        let first = scene.ask("a", 1).await;
        let write = scene.next().await;
        let second = scene.ask("a", 2).await;
        drop(write);
        for told in [first.await, second.await] {
            assert!(matches!(told, Err(StorageError::Unavailable(_))), "{told:?}");
        }
        assert!(scene.is_idle());
        let third = scene.ask("a", 3).await;
        scene.next().await.go_on();
        assert_eq!(third.await.expect("written"), 6);
    }

    #[tokio::test]
    async fn an_end_of_the_runtime_is_told_to_all_who_wait() {
        let scene = Scene::new();
        let (caller, first) = oneshot::channel();
        let turn = scene.gathering.join("a", (1, caller)).expect("its turn");
        let second = scene.ask("a", 2).await;
        drop(turn);
        assert!(first.await.is_err());
        assert!(matches!(second.await, Err(StorageError::Unavailable(_))));
        assert!(scene.is_idle());
    }

    #[tokio::test]
    async fn a_write_has_a_thousand_requests_at_most() {
        let mut scene = Scene::new();
        let first = scene.ask("a", 0).await;
        let write = scene.next().await;
        let mut others = Vec::new();
        for request in 1..=1_001 {
            others.push(scene.ask("a", request).await);
        }
        write.go_on();
        assert_eq!(first.await.expect("written"), 0);
        let write = scene.next().await;
        assert!(write.requests.iter().copied().eq(1..=1_000_u32));
        write.go_on();
        let write = scene.next().await;
        assert_eq!(write.requests, [1_001]);
        write.go_on();
        let answers = join_all(others).await;
        let answers = answers.into_iter().map(|answer| answer.expect("written"));
        assert!(answers.eq((1..=1_001_u32).map(|request| 2 * request)));
    }
}
