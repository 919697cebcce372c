//! WatchAgents: the current state, then every change, from a cursor on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use reeve_events::Event;
use reeve_ids::{AgentId, TenantId, Uuid};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::agents::Query;
use super::{Context, View, agents};
use crate::error::Error;
use crate::storage;

/// Agents that one read brings, at most: what each watch keeps in memory.
const PAGE: usize = 50;

/// Where a watch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last event that was sent.
    pub sequence: i64,
    /// While the current state is still being sent: the last agent of it, or nil before the first.
    pub after: Option<Uuid>,
}

/// What a watch follows.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Whose agents.
    pub tenant: TenantId,
    /// Only these; all when empty.
    pub agents: HashSet<AgentId>,
    /// Silence after which a bookmark is sent.
    pub bookmark_period: Duration,
}

/// One message of a watch.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where to go on after it.
    pub cursor: Cursor,
    /// What it tells.
    pub news: News,
}

/// What a message tells.
#[derive(Debug, Clone)]
pub enum News {
    /// An agent as it was when the watch began.
    Current(Box<View>),
    /// A change, and the agent as it is now; nothing of an agent that has been deleted since.
    Changed(AgentId, Option<Box<View>>, Arc<Event>),
    /// The agent was deleted.
    Deleted(AgentId, Arc<Event>),
    /// Nothing: all up to the cursor was told.
    Bookmark,
}

/// Follows the agents from a cursor on, or from their current state.
pub fn follow(
    context: Arc<Context>,
    watch: Watch,
    cursor: Option<Cursor>,
) -> impl Stream<Item = Result<Message, Error>> + Send {
    let start = Follower {
        context,
        watch,
        cursor,
        queue: VecDeque::new(),
        is_checked: false,
        last_message: Instant::now(),
    };
    futures::stream::try_unfold(start, |mut follower| async move {
        let message = follower.next().await?;
        follower.last_message = Instant::now();
        Ok(Some((message, follower)))
    })
}

struct Follower {
    context: Arc<Context>,
    watch: Watch,
    cursor: Option<Cursor>,
    queue: VecDeque<Message>,
    is_checked: bool,
    last_message: Instant,
}

impl Follower {
    async fn next(&mut self) -> Result<Message, Error> {
        if let Some(cursor) = self.cursor.filter(|_| !self.is_checked) {
            self.context.tail.check(cursor.sequence).await?;
        }
        self.is_checked = true;
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Ok(message);
            }
            match self.cursor {
                // The position is taken before the state is read: what happens in between is told
                // twice rather than not at all.
                None => {
                    let sequence = self.context.tail.head().await;
                    self.cursor = Some(Cursor {
                        sequence,
                        after: Some(Uuid::nil()),
                    });
                }
                Some(Cursor {
                    sequence,
                    after: Some(after),
                }) => {
                    self.read_state(sequence, after).await?;
                }
                Some(Cursor {
                    sequence,
                    after: None,
                }) => self.read_events(sequence).await?,
            }
        }
    }

    async fn read_state(&mut self, sequence: i64, after: Uuid) -> Result<(), Error> {
        let query = Query {
            selection: self.selection(&self.watch.agents),
            versions: None,
        };
        let tenant = self.watch.tenant;
        let page = agents::list(&self.context, tenant, &query, Some(after), PAGE).await?;
        for view in page.views {
            let cursor = Cursor {
                sequence,
                after: Some(view.agent.id.uuid()),
            };
            self.queue.push_back(Message {
                cursor,
                news: News::Current(Box::new(view)),
            });
        }
        let cursor = Cursor {
            sequence,
            after: page.next,
        };
        if page.next.is_none() {
            self.queue.push_back(Message {
                cursor,
                news: News::Bookmark,
            });
        }
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Tells of the next events, or, when nothing was told for a while, of the position alone: events
    /// of others move it too.
    async fn read_events(&mut self, sequence: i64) -> Result<(), Error> {
        let due = self.last_message + self.watch.bookmark_period;
        let mut last = sequence;
        if timeout_at(due, self.context.tail.beyond(sequence))
            .await
            .is_ok()
        {
            last = self.tell_events(sequence).await?;
        }
        let cursor = Cursor {
            sequence: last,
            after: None,
        };
        if self.queue.is_empty() && Instant::now() >= due {
            self.queue.push_back(Message {
                cursor,
                news: News::Bookmark,
            });
        }
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Queues what happened after a sequence; the last sequence that was looked at.
    async fn tell_events(&mut self, sequence: i64) -> Result<i64, Error> {
        let mut ours = Vec::new();
        let mut last = sequence;
        for event in self.context.tail.read_after(sequence).await? {
            last = event.sequence;
            ours.extend(self.about(&event).map(|id| (id, event)));
            if ours.len() >= PAGE {
                break;
            }
        }
        let mut now = self
            .read_agents(ours.iter().map(|(id, _)| *id).collect())
            .await?;
        for (id, event) in ours {
            let cursor = Cursor {
                sequence: event.sequence,
                after: None,
            };
            let news = if event.r#type == "agent.deleted" {
                News::Deleted(id, event)
            } else {
                News::Changed(id, now.get_mut(&id).cloned(), event)
            };
            self.queue.push_back(Message { cursor, news });
        }
        Ok(last)
    }

    /// The agent that an event is about, if this watch follows it.
    fn about(&self, event: &Event) -> Option<AgentId> {
        let ours =
            event.resource_type == "agent" && event.tenant_id.parse() == Ok(self.watch.tenant);
        let id = event.resource_id.parse().ok().filter(|_| ours)?;
        (self.watch.agents.is_empty() || self.watch.agents.contains(&id)).then_some(id)
    }

    async fn read_agents(
        &self,
        ids: HashSet<AgentId>,
    ) -> Result<HashMap<AgentId, Box<View>>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let query = Query {
            selection: self.selection(&ids),
            versions: None,
        };
        let (mut found, mut after) = (HashMap::new(), None);
        loop {
            let tenant = self.watch.tenant;
            let page = agents::list(&self.context, tenant, &query, after, ids.len()).await?;
            let views = page.views.into_iter();
            found.extend(views.map(|view| (view.agent.id, Box::new(view))));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    fn selection(&self, ids: &HashSet<AgentId>) -> storage::agents::Selection {
        let ids = (!ids.is_empty()).then(|| ids.iter().map(|id| id.uuid()).collect());
        storage::agents::Selection {
            ids,
            ..Default::default()
        }
    }
}
