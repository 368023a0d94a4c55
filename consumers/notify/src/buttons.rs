//! What people press below messages: acknowledgements and silences. One instance asks for all destinations of a bot.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{hex, keccak256};
use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term, write_audit};
use crypto_intel_schemas::{Audit, Event};
use crypto_intel_service::{Context, Probe, RecordingRetry, now_us};

use crate::{
    channel::{Action, Buttons, Clients, Outcome, Press},
    config::Config,
    pacing::gate::SendGate,
    records::record::Records,
    render::Voice,
    routing::{
        matcher::Matcher,
        silences::{NewSilence, Silences, acknowledge},
    },
};

/// How long the button silences.
const SILENCE: Duration = Duration::from_secs(3_600);
/// Between two questions after a failure, doubled up to the other.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// After the service said that another program asks, or that it does not know the bot.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// A destination whose messages have buttons.
#[derive(Debug)]
struct Place {
    name: String,
    buttons: Box<dyn Buttons>,
    gate: Arc<SendGate>,
    voice: Voice,
}

/// What a press did, for the audit.
struct Told {
    action: &'static str,
    target: String,
    /// What there is now, as JSON.
    after: Option<String>,
}

/// A bot, and the destinations that it writes to.
#[derive(Debug)]
pub(crate) struct Bot {
    /// Fingerprint of its address and secret.
    id: String,
    places: Vec<Place>,
    nats: Nats,
}

impl Bot {
    /// The bots of all destinations that have buttons.
    pub(crate) fn all(
        config: &Config,
        clients: &Clients,
        gates: &BTreeMap<String, Arc<SendGate>>,
        nats: &Nats,
    ) -> Vec<Self> {
        let mut bots: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for (name, destination) in &config.destinations {
            let Some(buttons) = destination.settings().buttons(clients) else { continue };
            let Some(gate) = gates.get(name).cloned() else { continue };
            let voice = Voice::of(destination.policy());
            let id = hex::encode(&keccak256(buttons.bot())[..8]);
            let place = Place { name: name.clone(), buttons, gate, voice };
            bots.entry(id).or_default().push(place);
        }
        let bots = bots.into_iter();
        bots.map(|(id, places)| Self { id, places, nats: nats.clone() }).collect()
    }

    /// Name of its task: that of its first destination, because the fingerprint says nothing to people.
    pub(crate) fn task(&self) -> String {
        let name = self.places.first().map_or("", |place| place.name.as_str());
        format!("notify.buttons.{name}")
    }
}

/// Asks whenever this instance holds the bot's lease, until the process stops.
pub(crate) async fn run(bot: Arc<Bot>, context: Context) -> anyhow::Result<()> {
    let probe = Arc::new(context.health.advisory_probe(bot.task(), None));
    let lease = format!("notify.bot.{}", bot.id);
    let leadership =
        Leadership::new(lease, &bot.nats, &context, probe).context("register metrics")?;
    leadership.run(async |term| ask(&bot, &context, leadership.probe(), term).await).await
}

async fn ask(bot: &Bot, context: &Context, probe: &Probe, term: Term) -> anyhow::Result<()> {
    let retry = RecordingRetry::until(&context.shutdown);
    let records = Records::open(&bot.nats, retry).await.context("open bucket deliveries")?;
    let silences = Silences::open(&bot.nats).await?;
    let Some(first) = bot.places.first() else { return Ok(()) };
    let mut next = records.offset(&bot.id).await?;
    let mut pause = FIRST_PAUSE;
    probe.healthy("waiting for buttons");
    loop {
        match term.until_over(async { Ok(first.buttons.presses(next).await) }).await? {
            Ok(presses) => {
                for press in &presses.all {
                    bot.handle(press, &records, &silences).await;
                }
                if presses.next != next {
                    next = presses.next;
                    // What is lost with this is handled again, which changes nothing.
                    records.set_offset(&bot.id, next).await?;
                }
                pause = FIRST_PAUSE;
                probe.healthy("waiting for buttons");
            }
            Err(outcome) => {
                let (why, wait) = failure(&outcome, pause);
                tracing::warn!(
                    destination = first.name,
                    why,
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "buttons cannot be read, asking again"
                );
                probe.unhealthy(why);
                term.until_over(async {
                    tokio::time::sleep(wait).await;
                    Ok(())
                })
                .await?;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

/// What is wrong, and how long to wait.
fn failure(outcome: &Outcome, pause: Duration) -> (String, Duration) {
    match outcome {
        Outcome::Wait { after, why, .. } => (why.clone(), *after),
        Outcome::Refused { why } => {
            let hint = "another program asks this bot, or it has a webhook: use a bot of its own";
            (format!("{why}: {hint}"), REFUSED_PAUSE)
        }
        Outcome::Closed { why, hint, .. } => (format!("{why}: {hint}"), REFUSED_PAUSE),
        other => (format!("{other:?}"), pause),
    }
}

impl Bot {
    /// Does what a press asks for. A press that fails is answered so; the person presses again.
    async fn handle(&self, press: &Press, records: &Records, silences: &Silences) {
        let Some(place) = self.place_of(press, records).await else { return };
        let words = place.voice.words;
        if !place.buttons.allows(press.user) {
            tracing::warn!(
                destination = place.name,
                user = press.user,
                "a button was pressed by a person who is not in allowed_users"
            );
            self.answer(place, press, words.not_allowed).await;
            return;
        }
        let done = match press.action {
            Action::Acknowledge => self.acknowledge(place, press).await,
            Action::Silence => silence(place, press, records, silences).await,
        };
        match done {
            Ok((text, told)) => {
                self.tell(place, press, told).await;
                self.answer(place, press, &text).await;
                // It counts as a message.
                let slots = place.gate.pass(true).await;
                if let Err(outcome) = place.buttons.show(press, &text).await {
                    tracing::warn!(destination = place.name, ?outcome, "button not changed");
                }
                drop(slots);
            }
            Err(error) => {
                tracing::error!(destination = place.name, error = %format!("{error:#}"), "button without effect");
                self.answer(place, press, words.failed).await;
            }
        }
    }

    /// Whose message was pressed: that of the nearest destination, of those that are equally near the one that told of the
    /// alert there.
    async fn place_of(&self, press: &Press, records: &Records) -> Option<&Place> {
        let mut near = self.near(press);
        if near.is_empty() {
            // A group that has become a supergroup has another number since.
            for place in &self.places {
                match records.learnt(&place.name).await {
                    Ok(Some(learnt)) => place.buttons.recall(&learnt),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(destination = place.name, error = %format!("{error:#}"), "what is known of its address cannot be read");
                    }
                }
            }
            near = self.near(press);
        }
        if near.is_empty() {
            tracing::warn!(
                room = press.room,
                "a button was pressed in a chat that is not configured"
            );
        }
        for place in near.iter().filter(|_| near.len() > 1) {
            let anchor = records.anchor(&place.name, &press.alert).await.ok().flatten();
            if anchor.is_some_and(|anchor| anchor.message_id == press.message_id) {
                return Some(place);
            }
        }
        near.first().copied()
    }

    /// The destinations in whose room it is, the nearest ones first.
    fn near(&self, press: &Press) -> Vec<&Place> {
        let near = self.places.iter();
        let near = near.filter_map(|place| Some((place.buttons.nearness(press)?, place)));
        let mut near: Vec<_> = near.collect();
        near.sort_by_key(|(nearness, _)| std::cmp::Reverse(*nearness));
        near.into_iter().map(|(_, place)| place).collect()
    }

    async fn answer(&self, place: &Place, press: &Press, text: &str) {
        let mut outcome = place.buttons.answer(press, text).await;
        if matches!(outcome, Err(Outcome::NotSent { .. } | Outcome::Uncertain { .. })) {
            // A second answer to the same press changes nothing.
            outcome = place.buttons.answer(press, text).await;
        }
        if let Err(outcome) = outcome {
            // Too late for an answer, for example.
            tracing::warn!(destination = place.name, ?outcome, "press not answered");
        }
    }

    /// Writes what a press did into the audit, as the API and commands do. It is done all the same where that fails.
    async fn tell(&self, place: &Place, press: &Press, told: Told) {
        let now = now_us();
        let audit = Audit {
            // A press that is handled again is the same one.
            id: format!("audit:press:{}", press.id),
            actor: press.who.clone(),
            action: told.action.to_owned(),
            target: Some(told.target),
            via: "chat".to_owned(),
            origin: format!("{} {}", place.name, press.user),
            after: told.after,
            ..Audit::at("notify", now, now)
        };
        if let Err(error) = write_audit(&self.nats, &audit).await {
            let line = Event::from(audit).to_json();
            tracing::error!(%error, audit = %line, "a button's change is not in the audit");
        }
    }

    async fn acknowledge(&self, place: &Place, press: &Press) -> anyhow::Result<(String, Told)> {
        let earlier = acknowledge(&self.nats, &press.alert, &press.who).await?;
        let is_new = earlier.is_none();
        let who = earlier.map_or_else(|| press.who.clone(), |earlier| earlier.by);
        tracing::info!(destination = place.name, alert = press.alert, who, "alert acknowledged");
        let after = serde_json::json!({ "alert": press.alert, "by": who, "new": is_new });
        let told = Told {
            action: "alert.acknowledge",
            target: press.alert.clone(),
            after: Some(after.to_string()),
        };
        Ok((format!("{} {who}", place.voice.words.acknowledged), told))
    }
}

/// Silences what the alert tells of: its rule, and its labels.
async fn silence(
    place: &Place,
    press: &Press,
    records: &Records,
    silences: &Silences,
) -> anyhow::Result<(String, Told)> {
    let anchor = records.anchor(&place.name, &press.alert).await?;
    let anchor = anchor.context("nothing is known of the alert any more")?;
    let mut matchers = vec![Matcher::exact("rule", &anchor.rule)];
    matchers.extend(anchor.labels.0.iter().map(|(name, value)| Matcher::exact(name, value)));
    let reason = format!("button below #{}", anchor.code);
    let new = NewSilence::lasting(matchers, SILENCE, &press.who, &reason);
    let made = silences.add(new).await?;
    tracing::info!(destination = place.name, silence = made.id, who = press.who, "silence made");
    let text = format!("{} {} (1 h, {})", place.voice.words.silenced, press.who, made.id);
    let after = serde_json::to_string(&made).ok();
    Ok((text, Told { action: "silence.add", target: made.id, after }))
}
