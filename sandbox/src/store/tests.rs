use std::sync::{Arc, Mutex};

use super::*;
use crate::clock::SystemClock;

#[tokio::test]
async fn a_failed_unit_leaves_nothing_and_no_effects() {
    let woken = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&woken);
    let store = Store::open(None, Arc::new(SystemClock), move |effects| {
        *seen.lock().unwrap() += effects.wake.len();
    })
    .unwrap();
    let failed: Result<()> = store
        .run(|unit| {
            unit.set_meta("a", b"1")?;
            unit.wake(&Address::primary("155501000001"));
            Err(Error::Conflict("no".into()))
        })
        .await;
    assert!(matches!(failed, Err(Error::Conflict(_))));
    assert_eq!(store.run(|unit| unit.meta("a")).await.unwrap(), None);
    assert_eq!(*woken.lock().unwrap(), 0);
    store.close().await;
    assert!(matches!(store.run(|_| Ok(())).await, Err(Error::Stopped)));
}

#[tokio::test]
async fn every_unit_of_a_crowd_is_answered_and_only_the_good_are_stored() {
    let store = Store::open(None, Arc::new(SystemClock), |_| ()).unwrap();
    let units = (0..5 * SHARED_COMMIT).map(|n| {
        store.run(move |unit| {
            unit.set_meta(&format!("crowd-{n}"), b"x")?;
            if n % 3 == 0 {
                Err(Error::Conflict("no".into()))
            } else {
                Ok(n)
            }
        })
    });
    let answers = futures::future::join_all(units).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.ok(), (n % 3 != 0).then_some(n));
        let stored = store
            .run(move |unit| unit.meta(&format!("crowd-{n}")))
            .await
            .unwrap();
        assert_eq!(stored.is_some(), n % 3 != 0, "unit {n}");
    }
    store.close().await;
}

/// Occupies the store's thread; answers once it does. What is submitted until the sender is used or dropped shares a
/// commit, which is the next one.
async fn occupy(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (begun, begins) = oneshot::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let wait = move |_: &mut Unit<'_>| {
        let _ = begun.send(());
        let _ = goes_on.recv();
        Ok(())
    };
    drop(store.submit(wait).await.expect("it runs"));
    begins.await.expect("it begins");
    go_on
}

#[tokio::test]
async fn an_answer_comes_after_the_commit_that_units_share_and_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(Some(directory.path()), Arc::new(SystemClock), |_| ()).unwrap();
    let reader = Connection::open(directory.path().join("sandbox.sqlite3")).unwrap();
    let stored = || {
        let sql = "SELECT COUNT(*) FROM meta WHERE key LIKE 'shared-%'";
        reader.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let before = occupy(&store).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut answers = Vec::new();
    for n in 0..3_u8 {
        let answer = store
            .submit(move |unit| unit.set_meta(&format!("shared-{n}"), &[n]))
            .await
            .unwrap();
        answers.push(Box::pin(answer));
    }
    let (begun, begins) = oneshot::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
    let last = store.submit(move |_| {
        let _ = begun.send(());
        let _ = goes_on.recv();
        Ok(())
    });
    let last = last.await.unwrap();
    drop(before);
    begins.await.unwrap();
    // The three have run, and wait for the commit with the one that runs.
    for answer in &mut answers {
        assert!(futures::poll!(answer).is_pending());
    }
    assert_eq!(stored(), 0);
    drop(go_on);
    let waits = answers.into_iter().enumerate().map(|(n, answer)| {
        let told = Arc::clone(&told);
        async move {
            answer.await.unwrap();
            told.lock().unwrap().push(n);
        }
    });
    futures::future::join_all(waits).await;
    assert_eq!(stored(), 3);
    assert_eq!(*told.lock().unwrap(), [0, 1, 2]);
    last.await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_those_who_shared_it_and_hurts_no_other() {
    let hooked = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&hooked);
    let store = Store::open(None, Arc::new(SystemClock), move |effects| {
        *seen.lock().unwrap() += effects.wake.len();
    })
    .unwrap();
    let before = occupy(&store).await;
    let good = store
        .submit(|unit| {
            unit.wake(&Address::primary("155501000001"));
            unit.set_meta("good", b"1")
        })
        .await
        .unwrap();
    // A phone that is not there shows at the commit alone.
    let bad = store
        .submit(|unit| {
            unit.execute("PRAGMA defer_foreign_keys = ON", [])?;
            unit.execute(
                "INSERT INTO reachout_locks (phone, until) VALUES ('nobody', 1)",
                [],
            )?;
            Ok(())
        })
        .await
        .unwrap();
    drop(before);
    assert!(matches!(good.await, Err(Error::Commit(_))));
    assert!(matches!(bad.await, Err(Error::Commit(_))));
    assert_eq!(*hooked.lock().unwrap(), 0);
    assert_eq!(store.run(|unit| unit.meta("good")).await.unwrap(), None);
    store.run(|unit| unit.set_meta("next", b"1")).await.unwrap();
    assert!(store.run(|unit| unit.meta("next")).await.unwrap().is_some());
    store.close().await;
}

#[tokio::test]
async fn nothing_is_stored_of_a_batch_whose_transaction_is_gone() {
    let hooked = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&hooked);
    let store = Store::open(None, Arc::new(SystemClock), move |effects| {
        *seen.lock().unwrap() += effects.wake.len();
    })
    .unwrap();
    let before = occupy(&store).await;
    let first = store.submit(|unit| unit.set_meta("first", b"1")).await.unwrap();
    // As SQLite does by itself where the disk is full.
    let full = store
        .submit(|unit| {
            unit.execute("ROLLBACK", [])?;
            Ok(())
        })
        .await
        .unwrap();
    let last = store
        .submit(|unit| {
            unit.wake(&Address::primary("155501000001"));
            unit.set_meta("last", b"1")
        })
        .await
        .unwrap();
    drop(before);
    assert!(matches!(first.await, Err(Error::Commit(_))));
    assert!(full.await.is_err());
    assert!(matches!(last.await, Err(Error::Commit(_))));
    for key in ["first", "last"] {
        assert_eq!(
            store.run(move |unit| unit.meta(key)).await.unwrap(),
            None,
            "{key}"
        );
    }
    assert_eq!(*hooked.lock().unwrap(), 0);
    store.run(|unit| unit.set_meta("next", b"1")).await.unwrap();
    assert!(store.run(|unit| unit.meta("next")).await.unwrap().is_some());
    store.close().await;
}

#[tokio::test]
async fn nothing_is_stored_of_a_batch_that_cannot_begin() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(Some(directory.path()), Arc::new(SystemClock), |_| ()).unwrap();
    let at_once = |unit: &mut Unit<'_>| {
        let mut set = unit.prepare("PRAGMA busy_timeout = 0")?;
        Ok(set.query_row([], |row| row.get::<_, i64>(0))?)
    };
    assert_eq!(store.run(at_once).await.unwrap(), 0);
    let other = Connection::open(directory.path().join("sandbox.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let late = store.run(move |unit| {
        other.execute_batch("ROLLBACK")?;
        unit.set_meta("late", b"1")
    });
    assert!(matches!(late.await, Err(Error::Commit(_))));
    assert_eq!(store.run(|unit| unit.meta("late")).await.unwrap(), None);
    store.close().await;
}

#[tokio::test]
async fn a_unit_that_panics_is_undone_alone() {
    let store = Store::open(None, Arc::new(SystemClock), |_| ()).unwrap();
    let before = occupy(&store).await;
    let good = store.submit(|unit| unit.set_meta("good", b"1")).await.unwrap();
    let bad = store
        .submit(|unit| {
            unit.set_meta("bad", b"1")?;
            assert!(unit.meta("bad")?.is_none(), "on purpose");
            Ok(())
        })
        .await
        .unwrap();
    drop(before);
    good.await.unwrap();
    assert!(matches!(bad.await, Err(Error::Panicked)));
    assert!(store.run(|unit| unit.meta("good")).await.unwrap().is_some());
    assert_eq!(store.run(|unit| unit.meta("bad")).await.unwrap(), None);
    store.close().await;
}

#[test]
fn what_is_kept_is_cut_back_at_the_first_row_and_then_once_in_many() {
    let mut bench = testing::Bench::new();
    let trims =
        |bench: &mut testing::Bench, owner: &'static str| bench.run(|unit| Ok(unit.trims("rows", owner)));
    assert!(trims(&mut bench, "a"));
    let times = (1..=2 * TRIM_EVERY).filter(|_| trims(&mut bench, "a"));
    assert_eq!(times.collect::<Vec<_>>(), [TRIM_EVERY, 2 * TRIM_EVERY]);
    assert!(trims(&mut bench, "b"));
}

#[tokio::test]
async fn the_state_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0_u8..2 {
        let store = Store::open(Some(directory.path()), Arc::new(SystemClock), |_| ()).unwrap();
        let before = store.run(|unit| unit.meta("round")).await.unwrap();
        assert_eq!(before, round.checked_sub(1).map(|last| vec![last]));
        store
            .run(move |unit| unit.set_meta("round", &[round]))
            .await
            .unwrap();
        store.close().await;
    }
}
