//! The ready queues: order, reversibility, and what a crash between pop and confirm leaves.

use std::time::Duration;

use reeve_redis::{Error, POP_LIMIT, Ready, ReadyQueues};

use crate::support::{Server, eventually, ids, rebuilt};

const LONG: Duration = Duration::from_secs(600);

async fn queues(tasks: &[Ready]) -> (Server, ReadyQueues) {
    let server = Server::start().await;
    let queues = server.handle().await.ready_queues(0);
    rebuilt(&queues, tasks).await;
    (server, queues)
}

#[tokio::test]
async fn the_lowest_score_goes_first_and_lanes_in_the_order_asked_for() {
    let tasks = [
        Ready::new("b", "b1", 1.0),
        Ready::new("a", "a2", 20.0),
        Ready::new("a", "a1", -10.0),
        Ready::new("c", "c1", 0.0),
    ];
    let (_server, queues) = queues(&tasks).await;
    let popped = queues.pop(&["a", "b"], 10, LONG).await.unwrap();
    assert_eq!(ids(&popped, |one| &one.id), ["a1", "a2", "b1"]);
    assert_eq!(popped[0].score, -10.0);
    assert_eq!(&*popped[2].lane, "b");
    assert_eq!(queues.lens(&["a", "b", "c"]).await.unwrap(), [0, 0, 1]);
    assert_eq!(queues.granting_len().await.unwrap(), 3);
    queues.confirm(&popped).await.unwrap();
    assert_eq!(queues.granting_len().await.unwrap(), 0);
}

#[tokio::test]
async fn a_pop_takes_no_more_than_asked_for() {
    let tasks: Vec<_> = (0..400_u32)
        .map(|n| Ready::new("a", n.to_string(), f64::from(n)))
        .collect();
    let (_server, queues) = queues(&tasks).await;
    assert_eq!(queues.pop(&["a", "b"], 3, LONG).await.unwrap().len(), 3);
    assert_eq!(
        queues
            .pop(&["a", "b"], usize::MAX, LONG)
            .await
            .unwrap()
            .len(),
        POP_LIMIT
    );
    assert_eq!(queues.pop(&["a", "b"], 0, LONG).await.unwrap().len(), 0);
    assert_eq!(queues.len("a").await.unwrap(), 400 - 3 - POP_LIMIT);
}

#[tokio::test]
async fn given_back_tasks_have_exactly_the_score_that_they_had() {
    let scores = [
        1_795_000_000_123.0,
        0.1 + 0.2,
        -86_400_000.5,
        1e17,
        f64::MIN_POSITIVE,
    ];
    let named = scores.iter().enumerate();
    let tasks: Vec<_> = named
        .map(|(n, score)| Ready::new("lane {x}", n.to_string(), *score))
        .collect();
    let (_server, queues) = queues(&tasks).await;
    let first = queues.pop(&["lane {x}"], 10, LONG).await.unwrap();
    assert_eq!(queues.give_back(&first).await.unwrap(), 5);
    assert_eq!(queues.granting_len().await.unwrap(), 0);
    let second = queues.pop(&["lane {x}"], 10, LONG).await.unwrap();
    assert_eq!(first, second);
    for popped in second {
        let number: usize = popped.id.parse().unwrap();
        assert_eq!(popped.score.to_bits(), scores[number].to_bits());
    }
}

#[tokio::test]
async fn what_nobody_confirms_comes_back_to_its_lane() {
    let tasks = [
        Ready::new("a", "1", 5.0),
        Ready::new("b", "2", 6.0),
        Ready::new("b", "3", 7.0),
    ];
    let (server, queues) = queues(&tasks).await;
    let held = queues.pop(&["a"], 1, LONG).await.unwrap();
    // This dispatcher dies after its pop: another one, on another connection, sweeps.
    drop(queues.pop(&["b"], 2, Duration::ZERO).await.unwrap());
    let other = server.handle().await.ready_queues(0);
    let mut returned = 0;
    eventually(async || {
        returned += other.sweep_granting(1).await.unwrap().len();
        returned == 2
    })
    .await;
    assert_eq!(
        other.sweep_granting(100).await.unwrap(),
        [],
        "the deadline of 1 has not passed"
    );
    let again = other.pop(&["a", "b"], 10, LONG).await.unwrap();
    assert_eq!(ids(&again, |one| &one.id), ["2", "3"]);
    assert_eq!(again[1].score, 7.0);
    other.confirm(&held).await.unwrap();
    assert_eq!(other.granting_len().await.unwrap(), 2);
}

#[tokio::test]
async fn giving_back_twice_or_after_confirming_does_nothing() {
    let (_server, queues) = queues(&[Ready::new("a", "1", 1.0), Ready::new("a", "2", 2.0)]).await;
    let popped = queues.pop(&["a"], 2, LONG).await.unwrap();
    queues.confirm(&popped[..1]).await.unwrap();
    assert_eq!(queues.give_back(&popped).await.unwrap(), 1);
    assert_eq!(queues.give_back(&popped).await.unwrap(), 0);
    assert_eq!(queues.len("a").await.unwrap(), 1);
}

#[tokio::test]
async fn a_task_pushed_anew_keeps_its_new_place_when_the_old_pop_is_given_back() {
    let (_server, queues) = queues(&[Ready::new("a", "1", 1.0)]).await;
    let popped = queues.pop(&["a"], 1, LONG).await.unwrap();
    queues.push(&[Ready::new("a", "1", 99.0)]).await.unwrap();
    queues.give_back(&popped).await.unwrap();
    assert_eq!(queues.pop(&["a"], 9, LONG).await.unwrap()[0].score, 99.0);
}

#[tokio::test]
async fn removed_tasks_are_gone_and_missing_ones_are_named() {
    let (_server, queues) = queues(&[Ready::new("a", "1", 1.0), Ready::new("a", "2", 2.0)]).await;
    assert_eq!(queues.remove("a", &["1", "7"]).await.unwrap(), 1);
    assert_eq!(
        queues.missing("a", &["1", "2", "7"]).await.unwrap(),
        [&"1", &"7"]
    );
    assert_eq!(queues.missing("nowhere", &["1"]).await.unwrap(), [&"1"]);
}

#[tokio::test]
async fn the_score_at_a_place_is_told_for_each_lane() {
    let tasks = [
        Ready::new("a", "1", 5.0),
        Ready::new("a", "2", 7.0),
        Ready::new("b", "3", 9.0),
    ];
    let (_server, queues) = queues(&tasks).await;
    let scores = queues.scores_at(&["a", "b", "c"], 1).await.unwrap();
    assert_eq!(scores, [Some(7.0), None, None]);
    let scores = queues.scores_at(&["a", "b"], 0).await.unwrap();
    assert_eq!(scores, [Some(5.0), Some(9.0)]);
}

#[tokio::test]
async fn pushing_again_moves_and_never_doubles() {
    let (_server, queues) = queues(&[Ready::new("a", "1", 1.0)]).await;
    queues
        .push(&[Ready::new("a", "1", 3.0), Ready::new("a", "2", 2.0)])
        .await
        .unwrap();
    let popped = queues.pop(&["a"], 9, LONG).await.unwrap();
    assert_eq!(ids(&popped, |one| &one.id), ["2", "1"]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_whole() {
    let (_server, queues) = queues(&[]).await;
    for bad in [Ready::new("a", "1", f64::NAN), Ready::new("a\n", "1", 1.0)] {
        let answer = queues.push(&[Ready::new("a", "good", 1.0), bad]).await;
        assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
    }
    assert_eq!(queues.len("a").await.unwrap(), 0);
}

#[tokio::test]
async fn shards_do_not_see_each_other() {
    let (server, queues) = queues(&[Ready::new("a", "1", 1.0)]).await;
    let other = server.handle().await.ready_queues(1);
    assert!(matches!(
        other.pop(&["a"], 1, LONG).await,
        Err(Error::Rebuild)
    ));
    rebuilt(&other, &[]).await;
    assert!(other.pop(&["a"], 1, LONG).await.unwrap().is_empty());
    assert_eq!(queues.len("a").await.unwrap(), 1);
}

#[tokio::test]
async fn concurrent_pops_share_the_tasks_without_overlap() {
    let tasks: Vec<_> = (0..2_000_u32)
        .map(|n| Ready::new("a", n.to_string(), f64::from(n)))
        .collect();
    let (_server, queues) = queues(&tasks).await;
    let workers = (0..8).map(|_| {
        let queues = queues.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let popped = queues.pop(&["a"], 37, LONG).await.unwrap();
                if popped.is_empty() {
                    return mine;
                }
                queues.confirm(&popped).await.unwrap();
                mine.extend(popped.into_iter().map(|one| one.id));
            }
        })
    });
    let taken = futures::future::join_all(workers).await;
    let mut all: Vec<String> = taken.into_iter().flat_map(Result::unwrap).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2_000);
}

#[tokio::test]
async fn a_hundred_thousand_tasks_are_loaded_whole() {
    let tasks: Vec<_> = (0..100_000_u32)
        .map(|n| {
            Ready::new(
                format!("lane-{}", n % 20),
                format!("task-{n}"),
                f64::from(n),
            )
        })
        .collect();
    let server = Server::start().await;
    let queues = server.handle().await.ready_queues(0);
    rebuilt(&queues, &tasks).await;
    assert_eq!(queues.len("lane-7").await.unwrap(), 5_000);
}
