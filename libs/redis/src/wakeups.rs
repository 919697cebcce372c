//! Wakes whoever waits for a change, in this process at once and in the other replicas through
//! Redis. A wake-up carries nothing and may be lost or come for nothing: who waits looks at the
//! truth when woken, and now and then when not.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::link::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use crate::{Error, Redis};

/// Topics in one message.
const MESSAGE_TOPICS: usize = 256;
/// Topics that wait for Redis to come back; more are dropped, as all replicas then look anyway.
const UNSENT_TOPICS: usize = 10_000;
/// How often a silent connection is asked whether it lives.
const PING_PERIOD: Duration = Duration::from_secs(10);
/// Between attempts to connect, with jitter.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// Publishes and receives wake-ups. Clone it; the background tasks end with the last clone.
#[derive(Debug, Clone)]
pub struct Wakeups {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

/// One waiter on one topic.
#[derive(Debug)]
pub struct Wakeup {
    topic: String,
    changes: watch::Receiver<()>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    redis: Redis,
    channel: String,
    /// Our name on the channel: what we sent ourselves has already been delivered.
    origin: String,
    waiting: Mutex<HashMap<String, watch::Sender<()>>>,
    unsent: Mutex<HashSet<String>>,
    send: Notify,
}

#[derive(Debug)]
struct Tasks([JoinHandle<()>; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Wakeups {
    #[expect(
        clippy::disallowed_methods,
        reason = "below the runtime; both loops report and outlive every error, and end with `Tasks`"
    )]
    pub(crate) fn new(redis: Redis, name: &str) -> Self {
        let shared = Arc::new(Shared {
            channel: redis.keys().wake_channel(name),
            redis,
            origin: format!("{:016x}", rand::random::<u64>()),
            waiting: Mutex::default(),
            unsent: Mutex::default(),
            send: Notify::new(),
        });
        let sender = tokio::spawn(Arc::clone(&shared).send_forever());
        let receiver = tokio::spawn(Arc::clone(&shared).receive_forever());
        Self {
            shared,
            _tasks: Arc::new(Tasks([sender, receiver])),
        }
    }

    /// Wakes everyone who waits for `topic`: here before this returns, elsewhere soon. Never waits
    /// and never fails. Many calls for one topic in a short time travel as one. A topic is any
    /// string without line breaks.
    pub fn publish(&self, topic: &str) {
        self.shared.wake(topic);
        self.shared.keep_unsent(&[topic.to_owned()]);
    }

    /// Begins to listen to `topic`. Subscribe first, then look at the truth, then wait: a change
    /// in between is not missed.
    pub fn subscribe(&self, topic: &str) -> Wakeup {
        let mut waiting = lock(&self.shared.waiting);
        let sender = waiting
            .entry(topic.to_owned())
            .or_insert_with(|| watch::Sender::new(()));
        let changes = sender.subscribe();
        Wakeup {
            topic: topic.to_owned(),
            changes,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Begins to listen to several topics.
    pub fn subscribe_all<T: AsRef<str>>(&self, topics: &[T]) -> Vec<Wakeup> {
        topics
            .iter()
            .map(|topic| self.subscribe(topic.as_ref()))
            .collect()
    }
}

impl Wakeup {
    /// What it listens to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns when the topic was published since the last return or since the subscription, at
    /// once if that has happened. May be dropped at any time without losing a wake-up.
    pub async fn woken(&mut self) {
        // The sender lives in the map for as long as a waiter does, so this is never an error.
        let _ = self.changes.changed().await;
    }

    /// Returns when any of them was woken, with its index; never for an empty list.
    pub async fn any_woken(wakeups: &mut [Self]) -> usize {
        if wakeups.is_empty() {
            return std::future::pending().await;
        }
        let waits = wakeups.iter_mut().map(|wakeup| Box::pin(wakeup.woken()));
        futures::future::select_all(waits).await.1
    }

    /// A second receiver of the topic as a plain watch, for example for a `select!` in a loop.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changes.clone()
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        let mut waiting = lock(&self.shared.waiting);
        // Our own receiver is still counted.
        if waiting
            .get(&self.topic)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            waiting.remove(&self.topic);
        }
    }
}

impl Shared {
    fn wake(&self, topic: &str) {
        if let Some(sender) = lock(&self.waiting).get(topic) {
            sender.send_replace(());
        }
    }

    /// After a gap in the connection nobody knows what was missed.
    fn wake_all(&self) {
        for sender in lock(&self.waiting).values() {
            sender.send_replace(());
        }
    }

    /// Sends what has gathered. There is no timer: the message under way is the timer.
    async fn send_forever(self: Arc<Self>) {
        loop {
            self.send.notified().await;
            let topics: Vec<String> = lock(&self.unsent).drain().collect();
            for chunk in topics.chunks(MESSAGE_TOPICS) {
                if let Err(error) = self.send(chunk).await {
                    // Often the message itself finds out that the connection was lost.
                    tracing::debug!(%error, "wake-ups were not sent; they are sent again");
                    self.keep_unsent(chunk);
                    sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    async fn send(&self, topics: &[String]) -> Result<(), Error> {
        let message = format!("{}\n{}", self.origin, topics.join("\n"));
        self.redis
            .query(redis::cmd("PUBLISH").arg(&self.channel).arg(message))
            .await
    }

    fn keep_unsent(&self, topics: &[String]) {
        let mut unsent = lock(&self.unsent);
        if unsent.len() < UNSENT_TOPICS {
            unsent.extend(topics.iter().cloned());
        }
        self.send.notify_one();
    }

    async fn receive_forever(self: Arc<Self>) {
        loop {
            // While there is no connection nobody is woken: that would make every waiter look at
            // the database four times a second, just when Redis is away.
            match self.connect().await {
                Ok((sink, messages)) => {
                    self.wake_all();
                    let ended = self.receive(sink, messages).await;
                    tracing::debug!(
                        error = ended.err().map(tracing::field::display),
                        "lost Redis"
                    );
                    self.wake_all();
                }
                Err(error) => tracing::debug!(%error, "wake-ups are not received"),
            }
            sleep(RECONNECT_PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), Error> {
        let connecting = timeout(CONNECT_TIMEOUT, self.redis.client().get_async_pubsub());
        let (mut sink, messages) = connecting.await.map_err(|_| Error::Timeout)??.split();
        let subscribing = timeout(RESPONSE_TIMEOUT, sink.subscribe(self.channel.as_str()));
        subscribing.await.map_err(|_| Error::Timeout)??;
        Ok((sink, messages))
    }

    /// Receives until the connection ends.
    async fn receive(&self, mut sink: PubSubSink, mut messages: PubSubStream) -> Result<(), Error> {
        let mut pings = interval(PING_PERIOD);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = self.deliver_next(&mut messages) => if ended { return Ok(()) },
                _ = pings.tick() => {
                    let pong = timeout(RESPONSE_TIMEOUT, sink.ping::<redis::Value>()).await;
                    pong.map_err(|_| Error::Timeout)??;
                }
            }
        }
    }

    async fn deliver_next(&self, messages: &mut PubSubStream) -> bool {
        let Some(message) = messages.next().await else {
            return true;
        };
        if let Ok(text) = message.get_payload::<String>() {
            let mut lines = text.split('\n');
            if lines.next() != Some(self.origin.as_str()) {
                lines.for_each(|topic| self.wake(topic));
            }
        }
        false
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
