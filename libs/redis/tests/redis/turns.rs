//! Lines that share a lane: whose turn it is, against a model of the rules.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reeve_redis::{Charge, Line, Popped, Ready, ReadyQueues, place};

use crate::support::{Server, ids, rebuilt};

const LONG: Duration = Duration::from_secs(600);
/// What a task is taken to need while none of its lane has ended.
const USUAL: f64 = 1_000.0;

fn keyed(key: &str, weight: f32) -> Line {
    Line::Keyed {
        key: key.into(),
        weight,
    }
}

fn task(line: &Line, id: impl Into<String>, score: f64) -> Ready {
    Ready::new("a", id, score).in_line(line.clone())
}

async fn queues() -> (Server, ReadyQueues) {
    let server = Server::start().await;
    let queues = server.handle().await.ready_queues(0);
    rebuilt(&queues, &[]).await;
    (server, queues)
}

async fn pop(queues: &ReadyQueues, limit: usize) -> Vec<Popped> {
    queues.pop(&["a"], limit, LONG).await.unwrap()
}

#[tokio::test]
async fn one_that_floods_does_not_keep_another_waiting() {
    let (_server, queues) = queues().await;
    let (noisy, quiet) = (keyed("noisy", 1.0), keyed("quiet", 1.0));
    let flood = (0..500_u32).map(|n| task(&noisy, format!("n{n}"), f64::from(n)));
    queues.push(&flood.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(pop(&queues, 100).await.len(), 100);
    let late = (0..3_u32).map(|n| task(&quiet, format!("q{n}"), 1e9 + f64::from(n)));
    queues.push(&late.collect::<Vec<_>>()).await.unwrap();
    let next = pop(&queues, 6).await;
    let quiet = next.iter().filter(|one| one.id.starts_with('q')).count();
    assert_eq!(quiet, 3, "{:?}", ids(&next, |one| &one.id));
}

#[tokio::test]
async fn work_is_shared_by_weight() {
    let (_server, queues) = queues().await;
    let (one, three) = (keyed("one", 1.0), keyed("three", 3.0));
    let all = (0..200_u32).flat_map(|n| {
        [
            task(&one, format!("o{n}"), f64::from(n)),
            task(&three, format!("t{n}"), f64::from(n)),
        ]
    });
    queues.push(&all.collect::<Vec<_>>()).await.unwrap();
    let popped = pop(&queues, 100).await;
    let share = popped.iter().filter(|one| one.id.starts_with('t')).count();
    assert_eq!(share, 75);
}

#[tokio::test]
async fn long_work_counts_for_more_than_short_work() {
    let (_server, queues) = queues().await;
    let (long, short) = (keyed("long", 1.0), keyed("short", 1.0));
    let all = (0..2_000_u32).flat_map(|n| {
        [
            task(&long, format!("l{n}"), f64::from(n)),
            task(&short, format!("s{n}"), f64::from(n)),
        ]
    });
    queues.push(&all.collect::<Vec<_>>()).await.unwrap();
    // One agent, which has a task of the one for nine seconds and one of the other for one.
    let mut seconds = BTreeMap::from([('l', 0), ('s', 0)]);
    for _ in 0..400 {
        let popped = pop(&queues, 1).await;
        let mark = popped[0].id.chars().next().unwrap();
        let took = if mark == 'l' { 9 } else { 1 };
        *seconds.entry(mark).or_default() += took;
        queues.confirm(&popped).await.unwrap();
        let work = Duration::from_secs(took);
        let (lane, line) = (popped[0].lane.clone(), popped[0].line.clone());
        queues.charge(&[Charge { lane, line, work }]).await.unwrap();
    }
    let share = f64::from(u32::try_from(seconds[&'l']).unwrap())
        / f64::from(u32::try_from(seconds[&'s']).unwrap());
    assert!((0.8..1.25).contains(&share), "{seconds:?}");
}

#[tokio::test]
async fn urgent_tasks_wait_for_nobodys_turn_and_old_ones_not_for_them() {
    let (_server, queues) = queues().await;
    let tasks = [
        task(&keyed("k", 1.0), "old", 10.0),
        task(&keyed("k", 1.0), "young", 30.0),
        task(&Line::Common, "common", 30.0),
        task(&Line::Urgent, "urgent", 20.0),
    ];
    queues.push(&tasks).await.unwrap();
    let popped = pop(&queues, 2).await;
    let first = ids(&popped, |one| &one.id);
    assert!(
        first == ["old", "urgent"] || first == ["urgent", "old"] || first == ["urgent", "common"],
        "{first:?}"
    );
    // Without keys it is the score alone.
    let tasks = [
        Ready::new("b", "older", 10.0),
        Ready::new("b", "younger", 30.0),
        Ready::new("b", "urgent", 20.0).in_line(Line::Urgent),
    ];
    queues.push(&tasks).await.unwrap();
    let popped = queues.pop(&["b"], 9, LONG).await.unwrap();
    assert_eq!(ids(&popped, |one| &one.id), ["older", "urgent", "younger"]);
}

#[tokio::test]
async fn tasks_without_a_key_take_turns_as_one() {
    let (_server, queues) = queues().await;
    let all = (0..50_u32).flat_map(|n| {
        [Line::Common, keyed("x", 1.0), keyed("y", 1.0)]
            .map(|line| task(&line, format!("{}{n}", line.mark()), f64::from(n)))
    });
    queues.push(&all.collect::<Vec<_>>()).await.unwrap();
    let popped = pop(&queues, 30).await;
    let common = popped.iter().filter(|one| one.line == Line::Common).count();
    assert_eq!(common, 10);
}

#[tokio::test]
async fn a_task_given_back_costs_its_line_nothing() {
    let (_server, queues) = queues().await;
    let (x, y) = (keyed("x", 0.5), keyed("y", 0.5));
    queues
        .push(&[task(&x, "x", 1.0), task(&y, "y", 1.0)])
        .await
        .unwrap();
    let first = pop(&queues, 1).await;
    for _ in 0..5 {
        queues.give_back(&first).await.unwrap();
        let again = pop(&queues, 1).await;
        assert_eq!(again[0].id, first[0].id, "it keeps its turn");
        assert_eq!(again[0].line, first[0].line);
    }
    queues.give_back(&first).await.unwrap();
    assert_eq!(queues.len(&place("a", &first[0].line)).await.unwrap(), 1);
}

#[tokio::test]
async fn who_was_away_has_saved_nothing_up() {
    let (_server, queues) = queues().await;
    let (busy, away) = (keyed("busy", 1.0), keyed("away", 1.0));
    queues.push(&[task(&away, "before", 0.0)]).await.unwrap();
    let many = (0..400_u32).map(|n| task(&busy, format!("b{n}"), f64::from(n)));
    queues.push(&many.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(pop(&queues, 201).await.len(), 201);
    let back = (0..100_u32).map(|n| task(&away, format!("a{n}"), f64::from(n)));
    queues.push(&back.collect::<Vec<_>>()).await.unwrap();
    let popped = pop(&queues, 40).await;
    let away = popped.iter().filter(|one| one.id.starts_with('a')).count();
    assert!((19..=21).contains(&away), "{away} of 40");
}

#[tokio::test]
async fn what_is_empty_leaves_nothing_behind_but_what_ends_by_itself() {
    let (server, queues) = queues().await;
    for round in 0..20_u32 {
        let all = (0..50_u32).map(|n| {
            task(
                &keyed(&format!("k{round}.{n}"), 2.0),
                format!("{round}.{n}"),
                0.0,
            )
        });
        queues.push(&all.collect::<Vec<_>>()).await.unwrap();
        let popped = pop(&queues, 256).await;
        assert_eq!(popped.len(), 50);
        queues.confirm(&popped).await.unwrap();
    }
    assert_eq!(pop(&queues, 1).await, []);
    let keys: Vec<String> = redis::FromRedisValue::from_redis_value(
        server.command(&["KEYS", "*lane:*"]).await.unwrap(),
    )
    .unwrap();
    for key in &keys {
        let ends: i64 =
            redis::FromRedisValue::from_redis_value(server.command(&["TTL", key]).await.unwrap())
                .unwrap();
        assert!(ends > 0, "{key} stays for ever");
    }
}

/// One step of a run.
#[derive(Debug, Clone)]
enum Step {
    /// A task of a line.
    Push(usize),
    /// So many tasks are taken.
    Pop(usize),
    /// The oldest task that is out ends after so many ms.
    End(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_usize).prop_map(Step::Push),
        2 => (1..4_usize).prop_map(Step::Pop),
        2 => (0..20_000_u64).prop_map(Step::End),
    ];
    prop::collection::vec(step, 1..120)
}

/// The rules once more, without Redis.
#[derive(Default)]
struct Model {
    waiting: [Vec<usize>; 4],
    /// What each line that is or was not long ago in the lane has had.
    had: [Option<f64>; 4],
    clock: f64,
    usual: Option<f64>,
}

const WEIGHTS: [f32; 4] = [1.0, 0.5, 2.0, 4.0];

impl Model {
    fn usual(&self) -> f64 {
        self.usual.unwrap_or(USUAL)
    }

    fn push(&mut self, line: usize, id: usize) {
        if self.waiting[line].is_empty() {
            self.had[line] = Some(told(self.had[line].unwrap_or(0.0).max(self.clock)));
        }
        self.waiting[line].push(id);
    }

    fn pop(&mut self) -> Option<usize> {
        let had = |line: &usize| self.had[*line].unwrap_or(0.0);
        let line = (0..4)
            .filter(|line| !self.waiting[*line].is_empty())
            .min_by(|left, right| had(left).total_cmp(&had(right)))?;
        let had = self.had[line].unwrap_or(0.0);
        self.clock = self.clock.max(told(had));
        self.had[line] = Some(had + told(self.usual() / f64::from(WEIGHTS[line])));
        Some(self.waiting[line].remove(0))
    }

    fn end(&mut self, line: usize, took: f64) {
        let more = (took - self.usual()) / f64::from(WEIGHTS[line]);
        let mut had = self.had[line].unwrap_or(0.0);
        if self.waiting[line].is_empty() {
            had = told(had.max(self.clock) + more);
        } else {
            had += told(more);
        }
        self.had[line] = Some(had);
        self.usual = Some(told(self.usual() + (took - self.usual()) / 10.0));
    }
}

/// To thousandths, as Redis is told.
fn told(number: f64) -> f64 {
    format!("{number:.3}").parse().unwrap()
}

fn line(number: usize) -> Line {
    keyed(&format!("k{number}"), WEIGHTS[number])
}

/// Redis and the model take the same tasks.
async fn compare(queues: &ReadyQueues, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut lines = Vec::new();
    let mut out = Vec::<(usize, Popped)>::new();
    for step in steps {
        match step {
            Step::Push(number) => {
                let id = lines.len();
                lines.push(*number);
                model.push(*number, id);
                let ready = task(
                    &line(*number),
                    format!("{id}"),
                    f64::from(u32::try_from(id).unwrap()),
                );
                queues.push(&[ready]).await.unwrap();
            }
            Step::Pop(count) => {
                for popped in pop(queues, *count).await {
                    let id: usize = popped.id.parse().unwrap();
                    let expected = model.pop();
                    prop_assert_eq!(Some(id), expected);
                    out.push((lines[id], popped));
                }
            }
            Step::End(took) => {
                let Some((number, popped)) = (!out.is_empty()).then(|| out.remove(0)) else {
                    continue;
                };
                queues.confirm(std::slice::from_ref(&popped)).await.unwrap();
                model.end(number, f64::from(u32::try_from(*took).unwrap()));
                let work = Duration::from_millis(*took);
                let (lane, line) = (popped.lane, popped.line);
                queues.charge(&[Charge { lane, line, work }]).await.unwrap();
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_as_the_model_says() {
    let server = Server::start().await;
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let shards = std::cell::Cell::new(0);
        TestRunner::new(Config::with_cases(64))
            .run(&steps(), |steps| {
                let shard = shards.get() + 1;
                shards.set(shard);
                handle.block_on(async {
                    let queues = server.handle().await.ready_queues(shard);
                    rebuilt(&queues, &[]).await;
                    compare(&queues, &steps).await
                })
            })
            .unwrap();
    });
}
