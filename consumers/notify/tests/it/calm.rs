//! Who is told and when: routes, silences, inhibition, groups, quiet hours, escalation.

use std::{path::PathBuf, time::Duration};

use alloy_primitives::B256;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_notify::{Config, Matcher, NewSilence, Silences, acknowledge};
use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{
    Alert, AlertState, Delivery, DeliveryState, Event, Labels, Severity, Silence, Tick,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{RunningRole, eventually};

use crate::{
    harness::{Servers, alert},
    replica::empty_replica,
};

/// Servers, and a file of routes that tests change.
pub(crate) struct Calm {
    pub(crate) servers: Servers,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Calm {
    pub(crate) async fn start(routes: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        let calm =
            Self { servers: Servers::start(ChatLimits::Relaxed).await, file, _folder: folder };
        calm.write(routes);
        calm
    }

    pub(crate) fn write(&self, routes: &str) {
        // At once: a half-written file would be a wrong one.
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, routes).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        Config { routes: Some(self.file.clone()), ..self.servers.config("", "") }
    }

    pub(crate) async fn notify(&self) -> RunningRole {
        let role = self.servers.notify(self.config()).await;
        role.until_healthy("notify.router").await;
        role
    }

    pub(crate) fn nats(&self) -> &Nats {
        &self.servers.broker.nats
    }

    pub(crate) async fn silences(&self) -> Silences {
        Silences::open(self.nats()).await.unwrap()
    }

    /// A silence that is in force, as far as it can be seen from outside: an alert that it matches is kept back.
    pub(crate) async fn silence(&self, matcher: &str) -> Silence {
        let matchers = vec![Matcher::parse(matcher).unwrap()];
        let new = NewSilence::lasting(matchers, Duration::from_secs(3_600), "ana", "upgrade");
        self.silences().await.add(new).await.unwrap()
    }

    /// The clock of the rules goes.
    pub(crate) async fn tick(&self) {
        let now = now_us();
        let tick = Tick { stream: "evm".into(), ..Tick::at("alerts", now, now) };
        self.servers.broker.publish([Event::from(tick)]).await;
    }

    pub(crate) async fn until_open(&self, count: usize) {
        let routing = self.nats().kv(Bucket::Routing).await.unwrap();
        eventually(async || routing.keys("open.").await.unwrap().len() == count).await;
    }
}

/// One that names no destination.
pub(crate) fn placed(number: usize, rule: &str, severity: Severity) -> Alert {
    Alert { routes: Vec::new(), rule: rule.into(), severity, ..alert(number) }
}

pub(crate) fn lasting(number: usize, rule: &str, severity: Severity) -> Alert {
    Alert { ongoing: true, ..placed(number, rule, severity) }
}

fn resolved(alert: &Alert) -> Alert {
    Alert {
        state: AlertState::Resolved,
        n: alert.n + 1,
        id: format!("{}-r", alert.id),
        ..alert.clone()
    }
}

fn state_of(deliveries: &[Delivery], alert: &Alert, destination: &str) -> Option<DeliveryState> {
    let id = crypto_intel_notify::delivery_id(alert, destination);
    deliveries.iter().find(|one| one.delivery == id).map(|one| one.state)
}

pub(crate) const PLAIN: &str = "[root]\ndestinations = [\"ops\"]\n";

#[tokio::test]
async fn the_tree_places_what_names_no_destination_and_a_changed_file_needs_no_restart() {
    let calm = Calm::start(
        "[root]\ndestinations = [\"ops\"]\n[[route]]\nmatch = [\"rule=depeg\"]\ndestinations = [\"desk\"]\n",
    )
    .await;
    let role = calm.notify().await;
    calm.servers.publish(placed(1, "depeg", Severity::Critical)).await;
    calm.servers.publish(placed(2, "whale", Severity::Critical)).await;
    // Its own routes come before the tree.
    calm.servers.publish(Alert { rule: "depeg".into(), ..alert(3) }).await;
    calm.servers.ended(3).await;
    assert!(calm.servers.texts("42")[0].contains("C0001"));
    assert_eq!(calm.servers.texts("-1001").len(), 2);
    // A wrong file changes nothing, and says so.
    calm.write("[root]\ndestinations = [\"opps\"]\n");
    eventually(async || role.detail("notify.routes").contains("did you mean ops?")).await;
    assert!(!role.is_healthy("notify.routes"));
    calm.servers.publish(placed(4, "depeg", Severity::Critical)).await;
    calm.servers.ended(4).await;
    assert!(calm.servers.texts("42")[1].contains("C0004"));
    // Nor does one that was cut to nothing.
    calm.write("");
    eventually(async || role.detail("notify.routes").contains("nothing in it")).await;
    // It also stays in force over a restart.
    role.kill().await;
    let role = calm.servers.notify(calm.config()).await;
    role.until_healthy("notify.router").await;
    calm.servers.publish(placed(5, "depeg", Severity::Critical)).await;
    calm.servers.ended(5).await;
    assert!(calm.servers.texts("42")[2].contains("C0005"));
    calm.write(PLAIN);
    role.until_healthy("notify.routes").await;
    eventually(async || role.detail("notify.routes").contains("in force")).await;
    calm.servers.publish(placed(6, "depeg", Severity::Critical)).await;
    calm.servers.ended(6).await;
    assert!(calm.servers.texts("-1001")[2].contains("C0006"));
    calm.servers.no_violations();
}

#[tokio::test]
async fn alerts_wait_for_the_first_good_file_of_routes() {
    let calm = Calm::start("[root]\ndestinations = [\"opps\"]\n").await;
    calm.servers.publish(placed(1, "depeg", Severity::Critical)).await;
    let role = calm.notify().await;
    eventually(async || role.detail("notify.routes").contains("alerts wait")).await;
    calm.write("[root]\ndestinations = [\"desk\"]\n");
    calm.servers.ended(1).await;
    assert!(calm.servers.texts("42")[0].contains("C0001"));
    role.until_healthy("notify.routes").await;
    calm.servers.no_violations();
}

#[tokio::test]
async fn a_silence_keeps_back_counts_and_tells_at_its_end_what_still_lasts() {
    let calm = Calm::start(PLAIN).await;
    let silence = calm.silence("rule=depeg").await;
    let role = calm.notify().await;
    let lasts = lasting(1, "depeg", Severity::Critical);
    let over = lasting(2, "depeg", Severity::Critical);
    for alert in [lasts.clone(), over.clone(), resolved(&over), placed(3, "depeg", Severity::Info)]
    {
        calm.servers.publish(alert).await;
    }
    calm.servers.publish(placed(4, "whale", Severity::Info)).await;
    let deliveries = calm.servers.ended(5).await;
    let silenced: Vec<_> =
        deliveries.iter().filter(|one| one.state == DeliveryState::Silenced).collect();
    assert_eq!(silenced.len(), 4, "{deliveries:#?}");
    assert!(silenced.iter().all(|one| one.cause.as_ref() == Some(&silence.id)));
    assert_eq!(role.metric("crypto_intel_notify_deliveries_total", &["ops", "silenced"]), 4.0);
    assert_eq!(calm.servers.texts("-1001").len(), 1);
    // A restart in between counts nothing twice.
    role.kill().await;
    let _role = calm.notify().await;
    calm.silences().await.end(&silence.id, "luis").await.unwrap().unwrap();
    calm.servers.ended(6).await;
    let texts = calm.servers.texts("-1001");
    assert!(texts[1].contains("4 messages kept back, 1 alert still lasts"), "{texts:#?}");
    assert!(texts[1].contains("C0001") && !texts[1].contains("C0002"), "{texts:#?}");
    // Who was told that it lasts is told when it ends.
    calm.servers.publish(resolved(&lasts)).await;
    let deliveries = calm.servers.ended(7).await;
    assert_eq!(state_of(&deliveries, &resolved(&lasts), "ops"), Some(DeliveryState::Sent));
    calm.servers.no_violations();
}

#[tokio::test]
async fn people_hear_the_end_of_what_they_heard_of_also_under_a_silence() {
    let calm = Calm::start(PLAIN).await;
    let _role = calm.notify().await;
    let told = lasting(1, "depeg", Severity::Critical);
    calm.servers.publish(told.clone()).await;
    calm.servers.ended(1).await;
    calm.silence("rule=depeg").await;
    // Seen to be in force.
    let mut number = 2;
    eventually(async || {
        calm.servers.publish(placed(number, "depeg", Severity::Critical)).await;
        let deliveries = calm.servers.ended(number).await;
        number += 1;
        deliveries.iter().any(|one| one.state == DeliveryState::Silenced)
    })
    .await;
    calm.servers.publish(resolved(&told)).await;
    let deliveries = calm.servers.ended(number).await;
    assert_eq!(state_of(&deliveries, &resolved(&told), "ops"), Some(DeliveryState::Sent));
}

#[tokio::test]
async fn an_alert_that_explains_others_keeps_them_back_while_it_lasts() {
    let calm = Calm::start(&format!(
        "{PLAIN}[[inhibit]]\nsource = [\"rule=chain-stale\"]\ntarget = [\"severity!=critical\"]\nequal = [\"chain\"]\n"
    ))
    .await;
    let role = calm.notify().await;
    let on =
        |chain: &str, alert: Alert| Alert { labels: Labels::from([("chain", chain)]), ..alert };
    let stale = on("base", lasting(1, "chain-stale", Severity::Critical));
    let same = on("base", lasting(2, "gas", Severity::Warning));
    let other = on("ethereum", lasting(3, "gas", Severity::Warning));
    let none = lasting(4, "gas", Severity::Warning);
    let critical = on("base", lasting(5, "depeg", Severity::Critical));
    calm.servers.publish(stale.clone()).await;
    calm.servers.ended(1).await;
    // What lasts is known after a restart.
    role.kill().await;
    let _role = calm.notify().await;
    for alert in [&same, &other, &none, &critical] {
        calm.servers.publish(alert.clone()).await;
    }
    let deliveries = calm.servers.ended(5).await;
    assert_eq!(state_of(&deliveries, &same, "ops"), Some(DeliveryState::Inhibited));
    for alert in [&other, &none, &critical] {
        assert_eq!(state_of(&deliveries, alert, "ops"), Some(DeliveryState::Sent), "{alert:?}");
    }
    let kept = deliveries.iter().find(|one| one.state == DeliveryState::Inhibited).unwrap();
    assert_eq!(kept.cause.as_ref(), Some(&stale.code));
    calm.servers.publish(resolved(&stale)).await;
    calm.servers.ended(7).await;
    let texts = calm.servers.texts("-1001");
    let summary = texts.last().unwrap();
    assert!(summary.contains("chain-stale is over") && summary.contains("C0002"), "{texts:#?}");
    calm.servers.publish(on("base", placed(6, "gas", Severity::Info))).await;
    let deliveries = calm.servers.ended(8).await;
    assert_eq!(deliveries.iter().filter(|one| one.state == DeliveryState::Inhibited).count(), 1);
}

#[tokio::test]
async fn a_group_is_one_message_and_critical_alerts_do_not_wait_for_it() {
    let calm = Calm::start(&format!("{PLAIN}group_by = [\"rule\"]\ncollect = \"2s\"\n")).await;
    let _role = calm.notify().await;
    for number in 0..6 {
        calm.servers.publish(placed(number, "whale", Severity::Info)).await;
    }
    calm.servers.publish(placed(6, "whale", Severity::Critical)).await;
    calm.servers.publish(placed(7, "depeg", Severity::Info)).await;
    let deliveries = calm.servers.ended(8).await;
    assert!(deliveries.iter().all(|one| one.state == DeliveryState::Sent), "{deliveries:#?}");
    let texts = calm.servers.texts("-1001");
    assert_eq!(texts.len(), 3, "{texts:#?}");
    assert!(texts[0].contains("C0006"));
    let group = texts.iter().find(|text| text.contains("C0000")).unwrap();
    assert!((0..6).all(|number| group.contains(&format!("C000{number}"))), "{group}");
    calm.servers.no_violations();
}

#[tokio::test]
async fn others_are_told_when_no_one_acknowledges_and_not_when_someone_does() {
    let calm =
        Calm::start(&format!("{PLAIN}escalate = {{ after = \"3s\", to = [\"desk\"] }}\n")).await;
    let role = calm.notify().await;
    let (taken, open) =
        (placed(1, "depeg", Severity::Critical), lasting(2, "depeg", Severity::Critical));
    calm.servers.publish(taken.clone()).await;
    calm.servers.publish(open.clone()).await;
    calm.servers.ended(2).await;
    assert_eq!(acknowledge(calm.nats(), &taken.alert, "ana").await.unwrap(), None);
    let first = acknowledge(calm.nats(), &taken.alert, "luis").await.unwrap().unwrap();
    assert_eq!(first.by, "ana");
    // The time goes on while no instance runs.
    role.kill().await;
    let _role = calm.notify().await;
    let deliveries = calm.servers.ended(3).await;
    assert_eq!(state_of(&deliveries, &open, "desk"), Some(DeliveryState::Sent));
    assert!(calm.servers.texts("42")[0].contains("not acknowledged within 3 s"));
    assert!(calm.servers.texts("42")[0].contains("C0002"), "the other one is taken");
    // Who was told hears the end, too.
    calm.servers.publish(resolved(&open)).await;
    let deliveries = calm.servers.ended(5).await;
    assert_eq!(state_of(&deliveries, &resolved(&open), "desk"), Some(DeliveryState::Sent));
    let texts = calm.servers.texts("42");
    assert!(texts.iter().any(|text| text.starts_with('✅')), "{texts:#?}");
    assert!(texts.iter().all(|text| !text.contains("C0001")), "{texts:#?}");
    calm.until_open(2).await;
    calm.servers.no_violations();
}

#[tokio::test]
async fn an_alert_that_only_moves_to_another_block_is_still_escalated() {
    let calm =
        Calm::start(&format!("{PLAIN}escalate = {{ after = \"2s\", to = [\"desk\"] }}\n")).await;
    let _role = calm.notify().await;
    let block = |byte| Some(B256::repeat_byte(byte));
    let fired =
        |number| Alert { block_hash: block(1), ..placed(number, "whale", Severity::Critical) };
    let corrected = |of: &Alert, to: u8, line: &str| Alert {
        state: AlertState::Corrected,
        n: 2,
        id: format!("{}-c", of.id),
        block_hash: block(to),
        lines: vec![line.to_owned()],
        ..of.clone()
    };
    let (stays, gone) = (fired(1), fired(2));
    calm.servers.publish(stays.clone()).await;
    calm.servers.publish(gone.clone()).await;
    let moved = corrected(&stays, 2, "Moved to block 7 after a reorganisation, was in block 5.");
    calm.servers.publish(moved).await;
    calm.servers.publish(corrected(&gone, 1, "No longer on chain: block 5 was replaced.")).await;
    calm.servers.ended(5).await;
    let texts = calm.servers.texts("42");
    assert_eq!(texts.len(), 1, "what is gone wakes no one: {texts:#?}");
    for part in ["🚨", "C0001", "from 0x28c6…1d60", "Moved to block 7", "not acknowledged"] {
        assert!(texts[0].contains(part), "{part}: {texts:#?}");
    }
    calm.servers.no_violations();
}

#[tokio::test]
async fn what_an_escalation_says_is_in_the_language_of_who_is_told() {
    let calm =
        Calm::start(&format!("{PLAIN}escalate = {{ after = \"1s\", to = [\"desk\"] }}\n")).await;
    let config =
        Config { routes: calm.config().routes, ..calm.servers.config("", "language = \"es\"") };
    let _role = calm.servers.notify(config).await;
    calm.servers.publish(placed(1, "depeg", Severity::Critical)).await;
    calm.servers.ended(2).await;
    let texts = calm.servers.texts("42");
    assert!(texts[0].contains("nadie la ha aceptado en 1 s"), "{texts:#?}");
}

#[tokio::test]
async fn what_a_replica_lacks_is_neither_lost_nor_forgotten() {
    let calm = Calm::start(&format!("{PLAIN}group_by = [\"rule\"]\ncollect = \"1s\"\n")).await;
    let _replica = empty_replica(&calm.servers.broker, "ALERT").await;
    let role = calm.notify().await;
    calm.servers.publish(lasting(1, "depeg", Severity::Warning)).await;
    let deliveries = calm.servers.ended(1).await;
    assert_eq!(deliveries[0].state, DeliveryState::Sent, "it waited for its group");
    calm.until_open(1).await;
    role.stop().await;
    let role = calm.notify().await;
    calm.servers.publish(resolved(&lasting(1, "depeg", Severity::Warning))).await;
    calm.servers.ended(2).await;
    calm.until_open(1).await;
    role.stop().await;
}

#[tokio::test]
async fn a_silence_of_the_file_keeps_back_and_its_end_is_told_once() {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let at = |minutes: i64| {
        let time = now.checked_add(jiff::Span::new().minutes(minutes)).unwrap();
        format!(
            "{} {:02}:{:02}",
            time.strftime("%a").to_string().to_lowercase(),
            time.hour(),
            time.minute()
        )
    };
    let silence = |from: i64, to: i64| {
        format!(
            "{PLAIN}[[silence]]\nname = \"upgrade\"\nmatch = [\"rule=depeg\"]\nreason = \"of nodes\"\n\
             when = {{ from = \"{}\", to = \"{}\", zone = \"UTC\" }}\n",
            at(from),
            at(to)
        )
    };
    let calm = Calm::start(&silence(-10, 10)).await;
    let role = calm.notify().await;
    calm.servers.publish(lasting(1, "depeg", Severity::Warning)).await;
    let deliveries = calm.servers.ended(1).await;
    let day = now.checked_sub(jiff::Span::new().minutes(10)).unwrap().date();
    assert_eq!(deliveries[0].state, DeliveryState::Silenced);
    assert_eq!(deliveries[0].cause, Some(format!("upgrade {day}")));
    // As if its window had been over for a while.
    calm.write(&silence(-10, -2));
    calm.servers.ended(2).await;
    assert!(calm.servers.texts("-1001")[0].contains("1 message kept back, 1 alert still lasts"));
    role.stop().await;
    let _role = calm.notify().await;
    calm.servers.publish(placed(2, "depeg", Severity::Warning)).await;
    calm.servers.ended(3).await;
    assert_eq!(calm.servers.texts("-1001").len(), 2, "the end is told once");
}
