//! Callers who race for the same thing, over a table that is calm and over one that throttles, conflicts and loses
//! answers. The same must hold over both; over the second a caller may also get a 503 that says when to come again.

mod accounts;
mod answers;
mod instances;
mod keys;
mod quota;
mod rates;
mod retries;
mod sessions;

use futures::future::join_all;
use serde_json::json;

use crate::support::{Answer, World};

/// Runs a race over a calm table, then over faulty ones.
async fn everywhere(race: impl AsyncFn(&World)) {
    race(&World::new().await).await;
    for seed in 1..=3 {
        race(&World::faulty(seed).await).await;
    }
}

/// All at once while the faults rage. What comes back is an answer, or a 503 with the time to come again.
async fn storm(
    world: &World,
    requests: impl IntoIterator<Item = impl Future<Output = Answer>>,
) -> Vec<Answer> {
    let rage = |rage| {
        if let Some(faults) = &world.faults {
            faults.rage(rage);
        }
    };
    rage(true);
    let answers = join_all(requests).await;
    rage(false);
    assert!(world.faults.as_ref().is_none_or(|faults| faults.failed() > 0));
    for answer in &answers {
        if answer.status == 503 {
            assert!(world.faults.is_some(), "a calm table refuses nobody: {answer:?}");
            assert_eq!(answer.json()["error"]["code"], json!("UNAVAILABLE"));
            assert!(
                answer
                    .header("retry-after")
                    .parse::<u32>()
                    .is_ok_and(|seconds| seconds > 0)
            );
        } else {
            assert!(answer.status < 500, "{answer:?}");
        }
    }
    answers
}

/// The answers with this status, with their places. All others have `otherwise` as their error's code, or are 503.
fn with_status<'a>(answers: &'a [Answer], status: u16, otherwise: &[&str]) -> Vec<(usize, &'a Answer)> {
    let (found, others): (Vec<_>, Vec<_>) = answers
        .iter()
        .enumerate()
        .partition(|(_, answer)| answer.status == status);
    for (_, answer) in others {
        let code = answer.json()["error"]["code"].clone();
        let is_known = otherwise.iter().any(|known| code == *known);
        assert!(answer.status == 503 || is_known, "{answer:?}");
    }
    found
}
