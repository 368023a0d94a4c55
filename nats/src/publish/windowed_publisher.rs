use std::collections::VecDeque;

use async_nats::Subscriber;
use futures::StreamExt as _;

use crate::client::api::Nats;
use crate::client::refusals::Refused;
use crate::error::PublishError;
use crate::message::OutMessage;
use crate::publish::messages::{check_size, parse_ack, split, unique_id};

/// Publishes single messages without awaiting each acknowledgement, for streams whose messages are no batch.
///
/// Messages are stored in the order in which they were pushed. All that was pushed before a [`flush`](Self::flush)
/// that returned `Ok` is on disk. After an error the outcome of everything since the last `Ok` flush is open: publish
/// it again with the same message ids.
#[derive(Debug)]
pub struct WindowedPublisher {
    nats: Nats,
    size: usize,
    inbox: String,
    acks: Option<Subscriber>,
    refused: Refused,
    waiting: VecDeque<Waiting>,
    next_number: u64,
    acknowledged: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    subject: String,
    bytes: usize,
    done: bool,
}

impl Nats {
    /// A publisher that keeps up to `size` messages unacknowledged, for streams without batches.
    #[must_use]
    pub fn window(&self, size: usize) -> WindowedPublisher {
        WindowedPublisher::new(self.clone(), size)
    }
}

impl WindowedPublisher {
    fn new(nats: Nats, size: usize) -> Self {
        let inbox = nats.client().new_inbox();
        let refused = nats.refused(None);
        Self {
            nats,
            refused,
            size: size.max(1),
            inbox,
            acks: None,
            waiting: VecDeque::new(),
            next_number: 0,
            acknowledged: 0,
        }
    }

    /// Sends a message; waits while `size` messages are unacknowledged.
    ///
    /// # Errors
    /// That of the oldest message that failed, which may be an earlier one.
    pub async fn push(&mut self, message: OutMessage) -> Result<(), PublishError> {
        check_size(&message, self.nats.client().max_payload())?;
        self.nats.wait_connected().await?;
        if self.acks.is_none() {
            let acks = self.nats.client().subscribe(format!("{}.*", self.inbox)).await;
            self.acks = Some(acks.map_err(|_| PublishError::Disconnected)?);
        }
        while self.waiting.len() >= self.size {
            self.receive_one().await?;
        }
        let number = self.next_number;
        self.next_number += 1;
        let bytes = message.payload.len();
        let (subject, headers, payload) = split(message);
        self.waiting.push_back(Waiting { number, subject: subject.clone(), bytes, done: false });
        let reply = format!("{}.{number}", self.inbox);
        let client = self.nats.client();
        let send = client.publish_with_reply_and_headers(subject, reply, headers, payload);
        match tokio::time::timeout(self.nats.request_timeout(), send).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.give_up(error.to_string())),
            Err(_) => Err(self.give_up("cannot send, connection is stuck".to_owned())),
        }
    }

    /// Waits until everything pushed is acknowledged; returns how many messages were acknowledged so far.
    ///
    /// # Errors
    /// That of the oldest message that failed.
    pub async fn flush(&mut self) -> Result<u64, PublishError> {
        while !self.waiting.is_empty() {
            self.receive_one().await?;
        }
        Ok(self.acknowledged)
    }

    /// How many messages wait for their acknowledgement.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.waiting.len()
    }

    async fn receive_one(&mut self) -> Result<(), PublishError> {
        let timeout = self.nats.request_timeout();
        let Some(acks) = self.acks.as_mut() else {
            return Err(PublishError::Disconnected);
        };
        let waiting = &self.waiting;
        let is_own = |subject: &String| waiting.iter().any(|waiting| waiting.subject == *subject);
        let answer = tokio::select! {
            answer = tokio::time::timeout(timeout, acks.next()) => answer,
            subject = own_refusal(&mut self.refused, is_own) => {
                self.start_anew();
                return Err(self.nats.publish_forbidden(subject));
            }
        };
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => return Err(self.give_up("nats connection is closed".to_owned())),
            Err(_) => {
                let reason = format!("no acknowledgement within {} ms", timeout.as_millis());
                return Err(self.give_up(reason));
            }
        };
        let number = answer.subject.rsplit('.').next().and_then(|token| token.parse::<u64>().ok());
        let Some(entry) = number.and_then(|number| self.entry(number)) else {
            return Ok(());
        };
        let outcome = parse_ack(&answer, &entry.subject, entry.bytes, 1);
        entry.done = true;
        if let Err(error) = outcome {
            self.start_anew();
            return Err(error);
        }
        self.acknowledged += 1;
        while self.waiting.front().is_some_and(|oldest| oldest.done) {
            self.waiting.pop_front();
        }
        Ok(())
    }

    fn entry(&mut self, number: u64) -> Option<&mut Waiting> {
        let oldest = self.waiting.front()?.number;
        let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
        self.waiting.get_mut(index)
    }

    fn give_up(&mut self, reason: String) -> PublishError {
        self.start_anew();
        PublishError::UnknownOutcome { reason }
    }

    /// Late answers to what is given up must not be taken for answers to what comes next.
    fn start_anew(&mut self) {
        self.waiting.clear();
        self.acks = None;
        self.inbox = format!("{}{}", self.nats.client().new_inbox(), unique_id(&self.nats));
    }
}

/// The next refusal of a message that waits.
async fn own_refusal(refused: &mut Refused, is_own: impl Fn(&String) -> bool) -> String {
    loop {
        let subject = refused.next().await;
        if is_own(&subject) {
            return subject;
        }
    }
}
