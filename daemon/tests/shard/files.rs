//! Files that the API has put into the bucket for messages.

use std::convert::Infallible;

use bytes::Bytes;
use chrono::TimeDelta;
use daemon::connection::SendError;
use futures::stream;
use shared::bucket::{Area, Bucket, Length, ObjectName};
use shared::domain::instance::Instance;
use shared::domain::job::{Job, PutOff, SendJob};
use shared::domain::message::{Change, FailureCode, State};
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::ids::InstanceId;
use shared::storage::instances::Deleted;
use shared::storage::schedule::{Entry, QueuedLater, Schedule};
use testbed::wait::{in_time, until};

use crate::world::{NETWORK, World};

const ALICE: &str = "15550100001";

async fn put(bucket: &Bucket, name: &ObjectName) {
    let piece = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"hello"))]);
    bucket.put(name, piece, Length::Exactly(5)).await.expect("put");
}

async fn is_there(bucket: &Bucket, name: &ObjectName) -> bool {
    bucket.size(name).await.expect("read").is_some()
}

async fn until_deleted(bucket: &Bucket, name: &ObjectName) {
    until(&format!("the end of {name}"), async || {
        (!is_there(bucket, name).await).then_some(())
    })
    .await;
}

/// A job of a message with a file in the bucket.
async fn job(world: &World, bucket: &Bucket, instance: &Instance) -> (SendJob, ObjectName) {
    let job = world.job(instance, ALICE, "beside a file").await;
    let name = ObjectName::new(Area::Outgoing, instance.id, job.message);
    put(bucket, &name).await;
    let file = Some(name.clone());
    (SendJob { file, ..job }, name)
}

#[tokio::test]
async fn a_file_goes_when_its_messages_state_is_final_and_not_before() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let bucket = daemon.deps.bucket.clone();
    let (sent, name) = job(&world, &bucket, &instance).await;
    world.record(&sent).await;
    world.enqueue(&instance, &sent).await;
    session.sent().await;
    assert!(is_there(&bucket, &name).await, "it may be needed again");
    session.acknowledge(sent.message, None).await;
    until_deleted(&bucket, &name).await;
    world.until_state(&instance, sent.message, State::Sent).await;

    session.refuse_next(SendError::Refused(FailureCode::RecipientNotOnWhatsapp));
    let (failed, name) = job(&world, &bucket, &instance).await;
    world.record(&failed).await;
    world.enqueue(&instance, &failed).await;
    until_deleted(&bucket, &name).await;
    world.until_state(&instance, failed.message, State::Failed).await;

    let (expired, name) = job(&world, &bucket, &instance).await;
    let expired = SendJob {
        expires_at: world.now() - TimeDelta::seconds(1),
        ..expired
    };
    world.record(&expired).await;
    world.enqueue(&instance, &expired).await;
    until_deleted(&bucket, &name).await;

    // The process that stored the state has ended before it deleted the file.
    let (cancelled, name) = job(&world, &bucket, &instance).await;
    world.record(&cancelled).await;
    let change = Change {
        state: State::Cancelled,
        at: world.now(),
        failure: None,
    };
    let changed = world
        .messages
        .change(instance.id, cancelled.message, &change)
        .await;
    changed.expect("stored");
    world.enqueue(&instance, &cancelled).await;
    until_deleted(&bucket, &name).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
}

/// A job cannot name what is not its instance's.
#[tokio::test]
async fn a_job_deletes_no_other_instances_file() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let bucket = daemon.deps.bucket.clone();
    let (wrong, _) = job(&world, &bucket, &instance).await;
    let others = ObjectName::new(Area::Outgoing, InstanceId::from_bytes([3; 16]), "msg_1");
    let sealer = &world.sealer;
    let purpose = shared::seal::Purpose::Content;
    sealer
        .seal(others.instance(), purpose, b"x", b"x")
        .await
        .expect("a key of its own");
    put(&bucket, &others).await;
    let wrong = SendJob {
        file: Some(others.clone()),
        ..wrong
    };
    world.record(&wrong).await;
    world.enqueue(&instance, &wrong).await;
    session.sent().await;
    session.acknowledge(wrong.message, None).await;
    world.until_no_sends().await;
    assert!(is_there(&bucket, &others).await);
}

/// What waits until the account may begin chats again is found by nobody's record.
#[tokio::test]
async fn a_deleted_instance_takes_its_files_and_what_was_put_off_along() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.linked(&mut daemon).await;
    let stays = world.instance("stays").await;
    let bucket = daemon.deps.bucket.clone();
    let schedule = Schedule::new(world.table.clone());
    let at = world.now() + TimeDelta::hours(3);
    for instance in [&instance, &stays] {
        for area in Area::ALL {
            put(&bucket, &ObjectName::new(area, instance.id, "msg_1")).await;
        }
        let put_off = SendJob {
            put_off: Some(PutOff {
                code: "REACHOUT_RESTRICTED".to_owned(),
                until: None,
                may_be_out: false,
                times: 0,
            }),
            ..world.job(instance, ALICE, "later").await
        };
        world.record(&put_off).await;
        let entry = Entry {
            at,
            message: put_off.message,
            instance: instance.id,
            subscription: None,
            expires_at: put_off.expires_at,
            job: Some(QueuedLater {
                group: "a lane".to_owned(),
                body: payload::encode(&Job::Send(put_off)),
            }),
        };
        let putting = schedule.put(NETWORK, Shard(0), &entry);
        putting.await.expect("stored");
    }
    let loaded = world.load(&instance).await;
    let deleted = world.instances.delete(&loaded, world.now()).await;
    assert_eq!(deleted.expect("stored"), Deleted::Done);
    world.nudge(&instance).await;
    in_time("the logout", session.line.logged_out.cancelled()).await;
    for area in Area::ALL {
        until_deleted(&bucket, &ObjectName::new(area, instance.id, "msg_1")).await;
        let others = ObjectName::new(area, stays.id, "msg_1");
        assert!(is_there(&bucket, &others).await, "{others}");
    }
    let due = schedule.due(NETWORK, Shard(0), at, 10).await.expect("read");
    let owners: Vec<_> = due
        .iter()
        .map(|found| found.entry.as_ref().expect("sound").instance)
        .collect();
    assert_eq!(owners, [stays.id]);
}
