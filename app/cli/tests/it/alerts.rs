//! Alerts by the binary: listed, shown, taken, silenced, and who would be told.

use crypto_intel_schemas::{Alert, AlertState, Event, Labels, Severity, short_code};
use crypto_intel_service::now_us;

use crate::bus::Bus;

const SETTINGS: &str = "[notify]\nroutes = \"routes.toml\"\n\
    [notify.destinations.ops]\nchannel = \"telegram\"\ntoken = \"100:test\"\nchat_id = 42\n\
    [notify.destinations.desk]\nchannel = \"telegram\"\ntoken = \"100:test\"\nchat_id = 43\n";

const ROUTES: &str = "[root]\ndestinations = [\"ops\"]\n\
    [[route]]\nname = \"trading\"\nmatch = [\"team=trading\"]\ndestinations = [\"desk\"]\n\
    [[route]]\nname = \"tests\"\nmatch = [\"rule=~test-.*\"]\ndestinations = []\n";

fn alert(key: &str, rule: &str, severity: Severity) -> Alert {
    let now = now_us();
    Alert {
        id: format!("{key}:fired:1"),
        alert: key.to_owned(),
        code: short_code(key),
        rule: rule.to_owned(),
        severity,
        state: AlertState::Fired,
        n: 1,
        title: format!("{rule} told"),
        lines: vec!["a line".to_owned()],
        labels: Labels::from([("team", "trading")]),
        chain: Some("base".to_owned()),
        seen_at_us: now,
        ..Alert::at("alerts", now, now)
    }
}

async fn bus_with_two_alerts() -> (Bus, Alert, Alert) {
    let bus = Bus::start(SETTINGS).await;
    bus.write("routes.toml", ROUTES);
    let whale = alert("00000000000000a1", "whale", Severity::Critical);
    let depeg = alert("00000000000000b2", "depeg", Severity::Warning);
    for alert in [&whale, &depeg] {
        bus.broker.publish([Event::from(alert.clone())]).await;
    }
    (bus, whale, depeg)
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_listed_shown_and_taken() {
    let (bus, whale, depeg) = bus_with_two_alerts().await;
    let list = bus.ends_with(0, &["alerts", "list"]);
    for alert in [&whale, &depeg] {
        let line = list.lines().find(|line| line.contains(&alert.code)).unwrap();
        assert!(line.contains(&alert.title) && line.contains("no one yet"), "{list}");
    }
    let some = bus.json(0, &["alerts", "list", "rule=whale", "team=trading"]);
    assert_eq!(some.as_array().unwrap().len(), 1, "{some}");
    assert_eq!(some[0]["code"], whale.code, "{some}");
    assert!(bus.json(0, &["alerts", "list", "severity=info"]).as_array().unwrap().is_empty());
    assert_eq!(bus.json(0, &["alerts", "list", "--limit", "1"]).as_array().unwrap().len(), 1);

    let shown = bus.ends_with(0, &["alerts", "show", &whale.code.to_lowercase()]);
    for part in ["whale · critical", "team=trading", "fired 1: whale told", "  a line", "stored +"]
    {
        assert!(shown.contains(part), "{part:?} is missing in:\n{shown}");
    }
    assert_eq!(bus.json(0, &["alerts", "show", &whale.alert])["code"], whale.code);

    let taken = bus.json(0, &["alerts", "ack", &whale.code, "--by", "ana"]);
    assert_eq!((&taken["by"], &taken["new"]), (&"ana".into(), &true.into()), "{taken}");
    let again = bus.ends_with(0, &["alerts", "ack", &whale.code, "--by", "ben"]);
    assert!(again.starts_with("ana takes care of"), "{again}");
    let list = bus.ends_with(0, &["alerts", "list", "rule=whale"]);
    assert!(list.contains("taken by ana"), "{list}");

    let output = bus.command(&["alerts", "show", "NONE1"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("no alert of the last 30 days has the code NONE1"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silences_are_made_listed_and_ended_and_say_whom_they_keep_from_hearing() {
    let bus = Bus::start(SETTINGS).await;
    bus.write("routes.toml", ROUTES);
    let told = ["route", "test", "rule=depeg", "severity=warning"];
    assert!(bus.ends_with(0, &told).contains("ops"));
    let add = ["silence", "add", "rule=depeg", "--for", "2h", "--reason", "known", "--by", "ana"];
    let made = bus.json(0, &add);
    let id = made["id"].as_str().unwrap().to_owned();
    let later = ["silence", "add", "rule=whale", "--for", "1h", "--in", "30m", "--reason", "works"];
    bus.ends_with(0, &later);
    let list = bus.ends_with(0, &["silence", "list"]);
    let line = list.lines().find(|line| line.contains(&id)).unwrap();
    for part in ["in force", "rule=depeg", "ana", "known"] {
        assert!(line.contains(part), "{part:?} is missing in:\n{list}");
    }
    assert!(list.contains("to come"), "{list}");
    let explained = bus.json(1, &told);
    assert_eq!(explained["destinations"][0]["verdict"], "silenced", "{explained}");

    let recurring = "[[silence]]\nname = \"nights\"\nmatch = [\"rule=gas\"]\nreason = \"cheap\"\n\
         when = { from = \"02:00\", to = \"04:00\", zone = \"UTC\" }\n";
    bus.write("routes.toml", &format!("{ROUTES}\n{recurring}"));
    let list = bus.ends_with(0, &["silence", "list"]);
    let line = list.lines().find(|line| line.contains("nights")).unwrap();
    for part in [", recurs", "T02:00:00.000Z", "T04:00:00.000Z", "rule=gas", "routes file", "cheap"]
    {
        assert!(line.contains(part), "{part:?} is missing in:\n{list}");
    }
    let all = bus.json(0, &["silence", "list"]);
    let recurs: Vec<bool> =
        all.as_array().unwrap().iter().map(|one| one["recurring"].as_bool().unwrap()).collect();
    assert_eq!(recurs, [false, false, true], "{all}");
    bus.write("routes.toml", &recurring.replace("match", "mach"));
    let output = bus.command(&["silence", "list"]);
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success() && text.contains(&id), "{text}\n{errors}");
    assert!(errors.contains("routes.toml:3") && errors.contains("match"), "{errors}");
    bus.write("routes.toml", ROUTES);

    assert!(bus.ends_with(0, &["silence", "end", &id]).contains("ended"));
    assert!(bus.ends_with(0, &["silence", "end", &id]).contains("was over already"));
    assert!(!bus.ends_with(0, &["silence", "list"]).contains(&id));
    let all = bus.ends_with(0, &["silence", "list", "--all"]);
    let line = all.lines().find(|line| line.contains(&id)).unwrap();
    assert!(line.contains("over"), "{all}");
    assert!(bus.ends_with(0, &told).contains("ops"));
    let output = bus.command(&["silence", "add", "rule depeg", "--for", "1h", "--reason", "x"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_route_of_an_alert_is_explained() {
    let bus = Bus::start(SETTINGS).await;
    bus.write("routes.toml", ROUTES);
    let desk = bus.json(0, &["route", "test", "rule=depeg", "team=trading"]);
    let target = &desk["destinations"][0];
    assert_eq!(
        (&target["destination"], &target["verdict"]),
        (&"desk".into(), &"sent".into()),
        "{desk}"
    );
    assert!(target["by"].as_str().unwrap().contains("trading"), "{desk}");
    let none = bus.ends_with(1, &["route", "test", "rule=test-1"]);
    assert!(none.contains("no one, on purpose"), "{none}");
    let offline = bus.ends_with(0, &["route", "test", "--offline", "rule=depeg"]);
    assert!(offline.contains("ops") && offline.contains("were not looked at"), "{offline}");
    bus.ends_with(1, &["route", "test", "severity=critcal"]);
    bus.write("routes.toml", "[root]\ndestinations = [\"opps\"]\n");
    let output = bus.command(&["route", "test", "rule=depeg"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{errors}");
    assert!(errors.contains("routes.toml:2") && errors.contains("ops"), "{errors}");
}
