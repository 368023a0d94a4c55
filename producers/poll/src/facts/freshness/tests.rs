#![allow(clippy::unwrap_used)]

use crypto_intel_service::prometheus::Registry;

use super::*;

const LONG: Duration = Duration::from_secs(60);
const BITCOIN: &str = "price of bitcoin/usd";

fn all(used: &[&str]) -> Freshness {
    let used = used.iter().map(|fact| (*fact).to_owned()).collect();
    let metrics = FactMetrics::new(&Registry::new()).unwrap();
    Freshness::new(used, PriceSettings::default(), metrics)
}

fn state(label: &str, facts: &[&str]) -> State {
    let provider = label.split('.').next().unwrap();
    State::new(provider, facts.iter().map(|fact| (*fact).to_owned()).collect(), LONG)
}

fn add(all: &Freshness, label: &str, facts: &[&str]) -> EndpointFreshness {
    all.poll_here(label, state(label, facts))
}

#[tokio::test(start_paused = true)]
async fn one_failing_endpoint_is_healthy_while_others_provide_its_facts() {
    let all = all(&[BITCOIN]);
    assert!(all.judge().unwrap_err().ends_with("(no endpoint that is polled here gives them)"));
    let one = add(&all, "a.prices", &[BITCOIN]);
    let two = add(&all, "b.prices", &[BITCOIN]);
    assert!(all.judge().unwrap_err().contains("no endpoint is fresh for price of bitcoin/usd"));
    one.fresh();
    two.fresh();
    assert_eq!(all.judge().unwrap(), "2 endpoints are fresh");
    two.failed("status 503");
    assert!(all.judge().unwrap().contains("b.prices: status 503"));
    one.failed("status 503");
    assert!(all.judge().is_err());
    one.fresh();
    assert!(all.judge().is_ok());
    tokio::time::advance(LONG + Duration::from_secs(1)).await;
    assert!(all.judge().is_err(), "an answer that is too old is not fresh");
}

#[tokio::test(start_paused = true)]
async fn one_of_eighty_may_fail_unless_someone_uses_what_it_alone_gives() {
    for (used, is_ready) in [(&[][..], true), (&["index of mood"][..], false)] {
        let all = all(used);
        let endpoints: Vec<EndpointFreshness> = (0..80)
            .map(|index| {
                add(
                    &all,
                    &format!("p{index}.one"),
                    &[if index == 0 { "index of mood" } else { BITCOIN }],
                )
            })
            .collect();
        endpoints.iter().for_each(EndpointFreshness::fresh);
        assert!(all.judge().is_ok());
        endpoints[0].failed("status 403");
        assert_eq!(all.judge().is_ok(), is_ready, "{used:?}: {:?}", all.judge());
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_half_is_unhealthy_and_endpoints_of_other_instances_do_not_count() {
    let all = all(&[]);
    let endpoints: Vec<EndpointFreshness> =
        ["a", "b", "c"].iter().map(|label| add(&all, label, &[])).collect();
    endpoints.iter().for_each(EndpointFreshness::fresh);
    endpoints[0].failed("x");
    assert!(all.judge().is_ok());
    endpoints[1].failed("x");
    assert!(all.judge().unwrap_err().contains("2 of 3 endpoints fail"));
    drop(endpoints);
    assert!(all.judge().is_ok(), "another instance polls them");
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_another_instance_keeps_fresh_is_fresh() {
    let all = all(&[BITCOIN]);
    let here = add(&all, "a.prices", &[BITCOIN]);
    all.lock().insert("b.prices".to_owned(), state("b.prices", &[BITCOIN]));
    here.fresh();
    here.failed("status 503");
    assert!(all.judge().is_err(), "nobody has seen it");
    all.lock().get_mut("b.prices").unwrap().fresh_at = Some(Instant::now());
    // One of one endpoint here fails, which is a reason of its own.
    assert!(all.judge().unwrap_err().contains("1 of 1 endpoints fail"));
    drop(here);
    assert!(all.judge().is_ok());
    tokio::time::advance(LONG + Duration::from_secs(1)).await;
    assert!(all.judge().unwrap_err().contains(BITCOIN));
}

#[tokio::test(start_paused = true)]
async fn a_used_fact_has_an_age_and_sources() {
    const MOOD: &str = "index of mood";
    let all = all(&[MOOD]);
    let sources: Vec<EndpointFreshness> =
        ["a.mood", "b.mood", "c.mood"].iter().map(|label| add(&all, label, &[MOOD])).collect();
    sources.iter().for_each(EndpointFreshness::fresh);
    tokio::time::advance(Duration::from_secs(7)).await;
    sources[0].failed("status 503");
    all.measure();
    let metrics = &all.shared.metrics;
    assert_eq!(metrics.fresh.with_label_values(&[MOOD]).get(), 2);
    assert_eq!(metrics.age.with_label_values(&[MOOD]).get(), 7);
    sources[0].fresh();
    all.measure();
    assert_eq!(metrics.age.with_label_values(&[MOOD]).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_several_providers_give_or_someone_uses_is_compared() {
    let all = all(&["index of mood"]);
    let _endpoints = [
        add(&all, "a.gas", &["metric gas.fast of ethereum", "metric gas.slow of ethereum"]),
        add(&all, "a.more", &["metric gas.slow of ethereum", "index of mood"]),
        add(&all, "b.gas", &["metric gas.fast of ethereum"]),
    ];
    let facts = ["metric gas.fast of ethereum", "metric gas.slow of ethereum", "index of mood"];
    let compared = all.compared(&facts.map(str::to_owned).into());
    assert_eq!(compared, [facts[0], facts[2]].map(str::to_owned).into());
}

#[tokio::test(start_paused = true)]
async fn a_fact_without_an_answer_is_stale_when_its_endpoint_had_time() {
    let all = all(&[BITCOIN]);
    let endpoint = add(&all, "a.prices", &[BITCOIN]);
    let began = Instant::now();
    assert_eq!(all.standings(began).get(BITCOIN), None, "not known yet");
    tokio::time::advance(LONG).await;
    let stale = "a.prices: no valid answer in time".to_owned();
    assert_eq!(all.standings(began).get(BITCOIN), Some(&Standing::Stale(stale)));
    endpoint.fresh();
    assert_eq!(all.standings(began).get(BITCOIN), Some(&Standing::Fresh));
    endpoint.failed("status 503");
    let stale = "a.prices: status 503".to_owned();
    assert_eq!(all.standings(began).get(BITCOIN), Some(&Standing::Stale(stale)));
}
