//! The token bucket.

use std::time::Duration;

use reeve_redis::{Error, Limit, Verdict};

use crate::support::{Server, eventually};

#[tokio::test]
async fn a_bucket_empties_and_says_when_to_come_back() {
    let server = Server::start().await;
    let limiter = server.handle().await.rate_limiter();
    // Ten minutes a token: nothing refills while the test runs.
    let limit = Limit {
        capacity: 3.0,
        refill_per_second: 1.0 / 600.0,
    };
    for _ in 0..3 {
        assert_eq!(
            limiter.take("k", limit, 1.0).await.unwrap(),
            Verdict::Allowed
        );
    }
    let Verdict::RetryAfter(wait) = limiter.take("k", limit, 1.0).await.unwrap() else {
        panic!("the bucket is empty");
    };
    assert!(
        (Duration::from_secs(540)..=Duration::from_secs(600)).contains(&wait),
        "{wait:?}"
    );
    assert_eq!(
        limiter.take("another", limit, 3.0).await.unwrap(),
        Verdict::Allowed
    );
    assert_eq!(
        limiter.take("k", limit, 0.0).await.unwrap(),
        Verdict::Allowed
    );
}

#[tokio::test]
async fn a_bucket_refills_and_a_full_one_is_forgotten() {
    let server = Server::start().await;
    let limiter = server.handle().await.rate_limiter();
    let limit = Limit {
        capacity: 2.0,
        refill_per_second: 50.0,
    };
    assert_eq!(
        limiter.take("k", limit, 2.0).await.unwrap(),
        Verdict::Allowed
    );
    eventually(async || limiter.take("k", limit, 2.0).await.unwrap() == Verdict::Allowed).await;
    eventually(async || server.command(&["DBSIZE"]).await.unwrap() == redis::Value::Int(0)).await;
}

#[tokio::test]
async fn many_callers_get_no_more_than_the_bucket_holds() {
    let server = Server::start().await;
    let limiter = server.handle().await.rate_limiter();
    let limit = Limit {
        capacity: 25.0,
        refill_per_second: 0.001,
    };
    let calls = (0..100).map(|_| limiter.take("k", limit, 1.0));
    let verdicts = futures::future::try_join_all(calls).await.unwrap();
    let allowed = verdicts
        .iter()
        .filter(|verdict| **verdict == Verdict::Allowed)
        .count();
    assert_eq!(allowed, 25);
}

#[tokio::test]
async fn a_cost_that_no_bucket_can_bear_is_refused() {
    let server = Server::start().await;
    let limiter = server.handle().await.rate_limiter();
    let limit = Limit {
        capacity: 2.0,
        refill_per_second: 1.0,
    };
    assert!(matches!(
        limiter.take("k", limit, 2.5).await,
        Err(Error::Invalid(_))
    ));
    assert!(matches!(
        limiter.take("k", limit, f64::NAN).await,
        Err(Error::Invalid(_))
    ));
    let never = Limit {
        capacity: 2.0,
        refill_per_second: 0.0,
    };
    assert!(matches!(
        limiter.take("k", never, 1.0).await,
        Err(Error::Invalid(_))
    ));
}
