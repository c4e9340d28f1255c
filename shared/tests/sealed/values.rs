//! Values as sealed texts.

use serde::{Deserialize, Serialize};
use shared::ids::{EventId, InstanceId, MessageId};
use shared::seal::{Purpose, SealError};
use shared::sealed::{self, OpenError};

use crate::support::World;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    text: String,
}

fn note() -> Note {
    Note {
        text: "for nobody else".to_owned(),
    }
}

#[tokio::test]
async fn a_value_comes_back_as_what_it_was_sealed_as_alone() {
    let world = World::new().await;
    let sealer = world.sealer();
    let (message, other) = (MessageId::from_bytes([3; 16]), MessageId::from_bytes([4; 16]));
    let text = sealed::seal(&sealer, world.instance, &message, &note())
        .await
        .expect("sealed");
    assert!(!text.contains("nobody"));
    let opened = sealed::open::<Note>(&world.sealer(), world.instance, &message, &text).await;
    assert_eq!(opened.expect("ours"), note());

    let strange = InstanceId::from_bytes([2; 16]);
    let opened = [
        sealed::open::<Note>(&sealer, world.instance, &other, &text).await,
        sealed::open::<Note>(&sealer, world.instance, &EventId::from_bytes([3; 16]), &text).await,
        sealed::open::<Note>(&sealer, strange, &message, &text).await,
    ];
    for opened in opened {
        let error = opened.expect_err("it is of something else");
        assert!(
            matches!(error, OpenError::Seal(SealError::DoesNotOpen)),
            "{error}"
        );
        assert!(error.nature().is_permanent());
    }
}

#[tokio::test]
async fn a_text_that_holds_no_such_value_says_so_and_quotes_nothing() {
    let world = World::new().await;
    let sealer = world.sealer();
    let message = MessageId::from_bytes([3; 16]);
    let text = sealed::seal(&sealer, world.instance, &message, &"a secret")
        .await
        .expect("sealed");
    let error = sealed::open::<Note>(&sealer, world.instance, &message, &text).await;
    let error = error.expect_err("not a note");
    assert!(matches!(error, OpenError::Value) && error.nature().is_permanent());
    assert!(!format!("{error:?} {error}").contains("secret"));
    let error = sealed::open::<Note>(&sealer, world.instance, &message, "*").await;
    let error = error.expect_err("no base64");
    assert!(matches!(error, OpenError::Encoding(_)) && error.nature().is_permanent());
}

/// It waits: somebody may give the permission, or the key.
#[tokio::test]
async fn a_key_that_is_out_of_reach_is_no_fault_of_the_value() {
    let world = World::new().await;
    let message = MessageId::from_bytes([3; 16]);
    let function = world.sealer().making_no_keys();
    let sealing = sealed::seal(&function, world.instance, &message, &note()).await;
    let error = sealing.expect_err("nobody has made a key");
    assert!(matches!(error, SealError::NoKey(Purpose::Content)));
    let error = OpenError::from(error);
    assert!(!error.nature().is_permanent());
}
