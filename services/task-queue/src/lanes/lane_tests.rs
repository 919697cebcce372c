use std::sync::Mutex;

use super::*;

/// Doubles numbers. Fails every batch that holds 13; `held` keeps the first flush from ending.
struct Doubler {
    batches: Arc<Mutex<Vec<Vec<u32>>>>,
    held: Arc<tokio::sync::Semaphore>,
}

impl Flush for Doubler {
    type Item = u32;
    type Output = u32;
    const NAME: &'static str = "doubler";

    fn tenant(_: &u32) -> TenantId {
        TenantId::from_uuid(reeve_ids::Uuid::nil())
    }

    async fn flush(&self, items: &[u32]) -> Result<Vec<Result<u32, Error>>, Error> {
        self.batches
            .lock()
            .expect("not poisoned")
            .push(items.to_vec());
        let _permit = self.held.acquire().await;
        if items.contains(&13) {
            return Err(Error::Corrupt {
                task_id: reeve_ids::TaskId::new(),
                what: "13".into(),
            });
        }
        Ok(items.iter().map(|item| Ok(item * 2)).collect())
    }
}

type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

fn doubler(
    permits: usize,
    capacity: Capacity,
) -> (Lane<Doubler>, Batches, Arc<tokio::sync::Semaphore>) {
    let batches = Arc::new(Mutex::default());
    let held = Arc::new(tokio::sync::Semaphore::new(permits));
    let flush = Doubler {
        batches: Arc::clone(&batches),
        held: Arc::clone(&held),
    };
    (Lane::start(flush, capacity), batches, held)
}

#[tokio::test]
async fn what_gathers_during_a_flush_shares_the_next() {
    let (lane, batches, held) = doubler(
        0,
        Capacity {
            waiting: 100,
            flush: 100,
        },
    );
    let calls: Vec<_> = (0..10).map(|n| Box::pin(submit(lane.clone(), n))).collect();
    let calls = futures::future::join_all(calls);
    let release = async {
        // All calls are queued before the flusher gets its permit: join_all polls them first.
        tokio::task::yield_now().await;
        held.add_permits(1);
    };
    let (answers, ()) = futures::join!(calls, release);
    let doubled: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(doubled, (0..10).map(|n| n * 2).collect::<Vec<_>>());
    assert!(
        batches.lock().expect("not poisoned").len() <= 2,
        "ten calls, at most two commits"
    );
}

async fn submit(lane: Lane<Doubler>, n: u32) -> Result<u32, Fault> {
    lane.submit(n).await
}

#[tokio::test]
async fn one_bad_item_fails_alone() {
    let (lane, _, _) = doubler(
        1,
        Capacity {
            waiting: 100,
            flush: 100,
        },
    );
    let answers = lane
        .submit_all((10..20).collect())
        .await
        .expect("the lane has room");
    for (n, answer) in (10..20).zip(answers) {
        if n == 13 {
            assert!(answer.is_err());
        } else {
            assert_eq!(answer.expect("not at fault"), n * 2);
        }
    }
}

#[tokio::test]
async fn a_full_lane_says_when_to_come_back() {
    let (lane, batches, held) = doubler(
        0,
        Capacity {
            waiting: 1,
            flush: 1,
        },
    );
    let first = reeve_runtime::spawn("first", submit(lane.clone(), 1));
    reeve_testkit::eventually(|| {
        // The flusher has taken the first job, so exactly one more fits.
        let taken = batches.lock().expect("not poisoned").len() == 1;
        async move { taken }
    })
    .await;
    let second = reeve_runtime::spawn("second", submit(lane.clone(), 2));
    reeve_testkit::eventually(|| {
        let waits = lane.door.inbox.len() == 1;
        async move { waits }
    })
    .await;
    let fault = lane.submit(3).await.expect_err("full");
    assert_eq!(fault.reason(), reeve_status::Reason::Overloaded);
    assert!(fault.retry_after().is_some());
    held.add_permits(1);
    let written = |ended: Option<Result<u32, Fault>>| ended.expect("no panic").expect("written");
    assert_eq!(written(first.await.expect("nobody aborts it")), 2);
    assert_eq!(written(second.await.expect("nobody aborts it")), 4);
}
