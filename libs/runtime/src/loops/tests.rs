//! Loops under a clock that the test moves.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

fn counted(ticks: &Arc<AtomicU32>) -> u32 {
    ticks.fetch_add(1, Ordering::SeqCst) + 1
}

async fn finished(running: tokio::task::JoinHandle<Option<()>>) {
    tokio::time::timeout(Duration::from_secs(60), running)
        .await
        .expect("the loop stops")
        .expect("the loop is not aborted")
        .expect("the loop does not panic");
}

fn start(
    looped: Loop,
    stop: &CancellationToken,
    metrics: &Metrics,
) -> tokio::task::JoinHandle<Option<()>> {
    crate::spawn("test", looped.run(stop.clone(), metrics.clone()))
}

#[tokio::test(start_paused = true)]
async fn an_error_and_a_panic_are_counted_and_survived() {
    let (ticks, stop, metrics) = (
        Arc::new(AtomicU32::new(0)),
        CancellationToken::new(),
        Metrics::new("test"),
    );
    let (seen, end) = (ticks.clone(), stop.clone());
    let looped = Loop::new("fragile", Duration::from_secs(1), move || {
        let (tick, end) = (counted(&seen), end.clone());
        async move {
            match tick {
                1 => Err(BoxError::from("first")),
                2 => panic!("second"),
                3 => Ok(()),
                _ => {
                    end.cancel();
                    Ok(())
                }
            }
        }
    });
    finished(start(looped, &stop, &metrics)).await;
    assert_eq!(ticks.load(Ordering::SeqCst), 4);
    let page = metrics.render();
    for line in [
        r#"reeve_loop_ticks_total{loop="fragile",outcome="error"} 1"#,
        r#"reeve_loop_ticks_total{loop="fragile",outcome="panic"} 1"#,
        r#"reeve_loop_ticks_total{loop="fragile",outcome="ok"} 2"#,
    ] {
        assert!(page.contains(line), "{line} is missing from\n{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_comes_before_the_period() {
    let (wake, stop, metrics) = (
        Arc::new(Notify::new()),
        CancellationToken::new(),
        Metrics::new("test"),
    );
    let ticks = Arc::new(AtomicU32::new(0));
    let seen = ticks.clone();
    let looped = Loop::new("woken", Duration::from_secs(3600), move || {
        counted(&seen);
        async { Ok::<(), BoxError>(()) }
    });
    let running = start(looped.woken_by(wake.clone()), &stop, &metrics);
    let began = tokio::time::Instant::now();
    for expected in 1..=3 {
        while ticks.load(Ordering::SeqCst) < expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        wake.notify_one();
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    stop.cancel();
    finished(running).await;
}

#[tokio::test(start_paused = true)]
async fn more_work_is_done_without_a_pause_and_stop_ends_a_rest() {
    let (stop, metrics, ticks) = (
        CancellationToken::new(),
        Metrics::new("test"),
        Arc::new(AtomicU32::new(0)),
    );
    let seen = ticks.clone();
    let looped = Loop::new("busy", Duration::from_secs(3600), move || {
        let more = counted(&seen) < 5;
        async move { Ok::<bool, BoxError>(more) }
    });
    let running = start(looped, &stop, &metrics);
    let began = tokio::time::Instant::now();
    while ticks.load(Ordering::SeqCst) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    stop.cancel();
    finished(running).await;
    assert_eq!(ticks.load(Ordering::SeqCst), 5);
}

#[test]
fn what_is_jittered_is_spread_and_stays_near() {
    let age = Duration::from_secs(300);
    let ages: Vec<_> = (0..1_000).map(|_| jittered(age, 0.1)).collect();
    let (least, most) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
    assert!(*least >= age.mul_f64(0.899) && *most <= age.mul_f64(1.101));
    assert!(*most - *least > age.mul_f64(0.1), "{least:?} to {most:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_loop_goes_on_until_nothing_is_left() {
    let (stop, metrics, ticks) = (
        CancellationToken::new(),
        Metrics::new("test"),
        Arc::new(AtomicU32::new(0)),
    );
    for last in [false, true] {
        let seen = ticks.clone();
        let looped = Loop::new("relay", Duration::from_secs(3600), move || {
            let more = counted(&seen) < 5;
            async move { Ok::<bool, BoxError>(more) }
        });
        let looped = if last { looped.last() } else { looped };
        stop.cancel();
        finished(start(looped, &stop, &metrics)).await;
        let expected = if last { 5 } else { 0 };
        assert_eq!(ticks.load(Ordering::SeqCst), expected);
    }
}

#[test]
fn the_pause_after_failures_grows_to_a_limit() {
    assert!(backoff(1) <= FIRST_PAUSE.mul_f64(1.21));
    assert!(backoff(4) >= FIRST_PAUSE * 6);
    assert!(backoff(u32::MAX) <= LONGEST_PAUSE.mul_f64(1.21));
}

#[tokio::test]
async fn only_one_replica_ticks_at_a_time() {
    let postgres = reeve_testkit::TestDatabase::new(&[]).await;
    let config = reeve_postgres::DatabaseConfig::with_url(postgres.admin_url());
    let (stop, metrics) = (CancellationToken::new(), Metrics::new("test"));
    let [ticking, most, ticks] = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
    let replicas: Vec<_> = (0..3)
        .map(|_| {
            let (ticking, most, ticks) = (ticking.clone(), most.clone(), ticks.clone());
            let looped = Loop::new("swept", Duration::from_millis(1), move || {
                let (ticking, most, ticks) = (ticking.clone(), most.clone(), ticks.clone());
                async move {
                    most.fetch_max(counted(&ticking), Ordering::SeqCst);
                    // Long enough for another to try meanwhile.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    ticking.fetch_sub(1, Ordering::SeqCst);
                    counted(&ticks);
                    Ok::<(), BoxError>(())
                }
            });
            let database = reeve_postgres::Database::connect(&config, "public").expect("a URL");
            start(looped.alone(database, "public"), &stop, &metrics)
        })
        .collect();
    reeve_testkit::eventually(async || ticks.load(Ordering::SeqCst) >= 10).await;
    stop.cancel();
    for replica in replicas {
        finished(replica).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert!(
        !metrics.render().contains(r#"outcome="error""#),
        "{}",
        metrics.render()
    );
}
