//! What one client subscribed to, and what it is sent: the same for websockets and server-sent events.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crypto_intel_service::now_us;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use super::{
    format::{Format, Recipient},
    hub::Hub,
    message::{
        client::{MAX_ADDRESSES, Subscribe, Unsubscribe, Wish},
        server::{
            Answer, ChainTold, Heartbeat, Hello, LimitsTold, Listed, PROTOCOL, StreamTold,
            Subscribed,
        },
    },
    position::SlotSet,
    service::{Service, scope_of},
    subscription::{Outgoing, Subscription},
};
use crate::{
    auth::Caller,
    problem::{Problem, ProblemKind},
};

/// Maximum number of subscriptions of a client.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 64;
/// Time between heartbeats.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages that a client may send each second, on average.
pub(crate) const MESSAGES_PER_SECOND: u32 = 10;
/// Largest message of a client.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// How long a client waits for a stream that is not read yet.
const FOLLOWED_TIMEOUT: Duration = Duration::from_secs(10);

/// One client.
#[derive(Debug)]
pub(crate) struct Session {
    hub: Arc<Hub>,
    format: Format,
    /// Who it is; `None` until it said so.
    caller: Option<Caller>,
    /// Whether the client chooses ids; else it has the one subscription of its request.
    has_ids: bool,
    waker: Arc<Notify>,
    subscriptions: Vec<Subscription>,
    /// Whether there ever was one.
    has_subscribed: bool,
    /// Which subscription is looked at next: none waits for another.
    turn: usize,
    answers: VecDeque<Message>,
    beats: u64,
}

impl Session {
    pub(crate) fn new(
        hub: Arc<Hub>,
        format: Format,
        caller: Option<Caller>,
        has_ids: bool,
    ) -> Self {
        Self {
            hub,
            format,
            caller,
            has_ids,
            waker: Arc::new(Notify::new()),
            subscriptions: Vec::new(),
            has_subscribed: false,
            turn: 0,
            answers: VecDeque::new(),
            beats: 0,
        }
    }

    /// What is notified when there may be something to send.
    pub(crate) fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.waker)
    }

    pub(crate) const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    pub(crate) const fn has_never_subscribed(&self) -> bool {
        !self.has_subscribed
    }

    /// The client said who it is.
    pub(crate) fn authenticate(&mut self, caller: Caller) {
        self.answer(&Answer::Authenticated { name: &caller.name, role: caller.role });
        self.caller = Some(caller);
    }

    pub(crate) fn answer(&mut self, answer: &Answer<'_>) {
        let message = self.write(answer);
        self.answers.push_back(message);
    }

    fn write(&self, answer: &Answer<'_>) -> Message {
        match (self.has_ids, self.format.write(answer)) {
            // A name of their own: what has none is events.
            (false, Message::Text(json)) => {
                Message::Text(format!("event: {}\ndata: {json}\n\n", answer.name()).into())
            }
            (_, message) => message,
        }
    }

    /// The next answer, before any events.
    pub(crate) fn next_answer(&mut self) -> Option<Outgoing> {
        self.answers.pop_front().map(Outgoing::from)
    }

    pub(crate) fn refuse(&mut self, id: Option<&str>, problem: &Problem) {
        let reason = problem.type_uri.rsplit('/').next().unwrap_or_default();
        self.hub.metrics.refused.with_label_values(&[reason]).inc();
        self.answer(&Answer::Error { id, problem });
    }

    /// The first message.
    pub(crate) fn greet(&mut self) {
        let role = self.caller.as_ref().map(|caller| caller.role);
        let may_see = |service: &&Service| {
            let Some(caller) = &self.caller else { return true };
            service.kinds().iter().filter_map(scope_of).any(|scope| caller.may(scope))
        };
        let services =
            Service::ALL.iter().filter(may_see).map(|service| service.as_str()).collect();
        let limits = LimitsTold {
            subscriptions: MAX_SUBSCRIPTIONS,
            addresses: MAX_ADDRESSES,
            messages_per_second: MESSAGES_PER_SECOND,
            message_bytes: MAX_MESSAGE_BYTES,
            frame_bytes: super::frame::MAX_FRAME_BYTES,
        };
        let hello = Hello {
            protocol: PROTOCOL,
            server: env!("CARGO_PKG_VERSION"),
            heartbeat_seconds: HEARTBEAT.as_secs(),
            role,
            services,
            limits,
        };
        self.answer(&Answer::Hello(hello));
    }

    /// Subscribes, or says why not.
    pub(crate) async fn subscribe(&mut self, request: &Subscribe) {
        if let Err(problem) = self.try_subscribe(request).await {
            self.refuse(request.id.as_deref().or(request.service.as_deref()), &problem);
        }
    }

    /// Subscribes.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn try_subscribe(&mut self, request: &Subscribe) -> Result<(), Problem> {
        let Some(caller) = &self.caller else {
            let detail = "say who you are first: {\"action\":\"auth\",\"token\":\"ci_…\"}";
            return Err(Problem::new(ProblemKind::Unauthenticated, detail));
        };
        let wish = request.understand(caller)?;
        if self.subscriptions.iter().any(|known| known.id == wish.id) {
            let detail = format!("the id {:?} is in use: unsubscribe it, or give another", wish.id);
            return Err(Problem::parameter("id", detail));
        }
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            let detail = format!("{MAX_SUBSCRIPTIONS} subscriptions are the most of a connection");
            return Err(Problem::new(ProblemKind::QuotaExceeded, detail));
        }
        let streams = wish.filter.streams();
        let followed = self.hub.until_followed(streams);
        if tokio::time::timeout(FOLLOWED_TIMEOUT, followed).await.is_err() {
            let detail = format!("the streams of {} cannot be read at present", wish.service);
            return Err(Problem::new(ProblemKind::Unavailable, detail).after(FOLLOWED_TIMEOUT));
        }
        let subscription = self.begin(&wish, streams).await?;
        self.tell_subscribed(&subscription);
        // Most clients have one, and room for four is a tenth of what a connection holds.
        self.subscriptions.reserve_exact(1);
        self.subscriptions.push(subscription);
        self.has_subscribed = true;
        Ok(())
    }

    async fn begin(&self, wish: &Wish, streams: SlotSet) -> Result<Subscription, Problem> {
        let mut reset = Vec::new();
        for slot in streams.iter() {
            let place = wish.resume.as_ref().and_then(|token| token.at(slot));
            if let Some(place) = place
                && self.hub.is_beyond(slot, place).await
            {
                reset.push(slot);
            }
        }
        let joined = self.hub.join(wish.filter.clone(), self.format, Arc::clone(&self.waker));
        let membership = joined.ok_or_else(|| {
            let detail = "all clients together name too many addresses: name fewer, or try later";
            Problem::new(ProblemKind::Busy, detail).after(Duration::from_secs(60))
        })?;
        let recipient = match self.has_ids {
            true => Recipient::Socket { id: Arc::clone(&wish.id) },
            false => Recipient::Stream,
        };
        let is_reset = |slot| reset.contains(&slot);
        Ok(Subscription::begin(&self.hub, wish, membership, recipient, &self.waker, is_reset))
    }

    fn tell_subscribed(&mut self, subscription: &Subscription) {
        let cohort = &subscription.membership.cohort;
        let floors = self.hub.floors();
        let oldest =
            cohort.streams.iter().map(|slot| (slot.stream().name(), floors.at(slot).sequence + 1));
        let subscribed = Subscribed {
            id: &subscription.id,
            service: subscription.service,
            filters: (&*cohort.filter).into(),
            resume: subscription.position().token(cohort.streams),
            oldest: oldest.collect(),
        };
        self.answer(&Answer::Subscribed(subscribed));
    }

    /// Ends subscriptions, or says that there are none.
    pub(crate) fn unsubscribe(&mut self, request: &Unsubscribe) {
        let service = request.service.as_deref().map(str::parse::<Service>);
        let is_meant = |known: &Subscription| {
            request.id.as_deref().is_some_and(|id| *known.id == *id)
                || matches!(&service, Some(Ok(service)) if known.service == *service)
        };
        let ended: Vec<Subscription> =
            self.subscriptions.extract_if(.., |known| is_meant(known)).collect();
        if ended.is_empty() {
            let detail = "there is no such subscription: `list` tells what there is";
            let id = request.id.as_deref().or(request.service.as_deref());
            self.refuse(id, &Problem::not_found(detail));
        }
        for subscription in ended {
            self.answer(&Answer::Unsubscribed { id: &subscription.id });
        }
    }

    /// Tells what the client subscribed to.
    pub(crate) fn list(&mut self) {
        let listed = self.subscriptions.iter().map(|known| Listed {
            id: &known.id,
            service: known.service,
            resume: known.position().token(known.membership.cohort.streams),
        });
        let subscriptions = listed.collect();
        let message = self.write(&Answer::Subscriptions { subscriptions });
        self.answers.push_back(message);
    }

    /// What is to be sent next; `None` while there is nothing.
    pub(crate) fn next_message(&mut self) -> Option<Outgoing> {
        if let Some(answer) = self.next_answer() {
            return Some(answer);
        }
        for _ in 0..self.subscriptions.len() {
            let turn = self.turn % self.subscriptions.len();
            self.turn = turn + 1;
            if let Some(outgoing) = self.subscriptions[turn].next_message() {
                return Some(outgoing);
            }
        }
        None
    }

    /// From where every subscription can be resumed, and the streams that count.
    pub(crate) fn resume(&self) -> (String, SlotSet) {
        // First where the hub is, then whether all of that was told.
        let hub = self.hub.positions();
        let streams = self
            .subscriptions
            .iter()
            .fold(SlotSet::default(), |all, one| all.or(one.membership.cohort.streams));
        let mut earliest = hub;
        for subscription in &self.subscriptions {
            let own = subscription.membership.cohort.streams;
            let seen = subscription.seen(&hub).only(own, &hub);
            earliest = earliest.earlier(&seen);
        }
        (earliest.token(streams), streams)
    }

    /// Says that the connection lives, and how current it is.
    pub(crate) fn beat(&mut self) {
        self.beats += 1;
        let (resume, streams) = self.resume();
        let positions = self.hub.positions();
        let now = now_us();
        let heads = self.hub.heads();
        let sees = |chain: &str| {
            let chains = self.caller.as_ref().and_then(|caller| caller.chains.as_ref());
            chains.is_none_or(|chains| chains.iter().any(|one| one == chain))
        };
        let chains = heads.iter().filter(|head| sees(&head.chain)).map(|head| {
            let age_ms = (now - head.block_time_us).max(0) / 1_000;
            (
                head.chain.as_str(),
                ChainTold { number: head.number, age_ms, finalized: head.finalized_number },
            )
        });
        let told = streams.iter().map(|slot| {
            let told = StreamTold {
                sequence: positions.at(slot).sequence,
                lag: self.hub.lag(slot),
                followed: self.hub.is_followed(slot),
            };
            (slot.stream().name(), told)
        });
        let heartbeat = Heartbeat {
            counter: self.beats,
            time_us: now,
            resume: &resume,
            chains: chains.collect(),
            streams: told.collect(),
        };
        let message = self.write(&Answer::Heartbeat(heartbeat));
        self.answers.push_back(message);
    }
}
