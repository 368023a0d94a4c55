use crypto_intel_labels::{Label, SourceInfo, pack, shipped};
use crypto_intel_nats::{Bucket, Kv};
use crypto_intel_schemas::{Address, WatchChain};
use crypto_intel_testkit::eventually;

use crate::harness::Servers;

fn label(address: Address, category: &str, name: &str) -> Label {
    Label {
        chain: WatchChain::All,
        address: address.into(),
        category: category.to_owned(),
        name: name.to_owned(),
        detail: String::new(),
        confidence: None,
    }
}

async fn import(bucket: &Kv, source: &str, labels: &[Label]) {
    let info = SourceInfo {
        name: source.to_owned(),
        licence: "our own".to_owned(),
        confidence: 80,
        labels: labels.len() as u64,
        imported_at_us: crypto_intel_service::now_us(),
        ..SourceInfo::default()
    };
    let revision = bucket.get(source).await.unwrap().map_or(0, |entry| entry.revision);
    let about = serde_json::to_value(&info).unwrap();
    bucket.put_large(source, about, &pack(labels).unwrap().into(), revision).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_of_labels_follow_what_is_imported() {
    let servers = Servers::start().await;
    let bucket = servers.nats.kv(Bucket::Labels).await.unwrap();
    let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
    import(&bucket, "desk", &[label(one, "customer", "desk one"), label(two, "customer", "")])
        .await;
    let persist = servers.persist("one").await;
    let total = || servers.number("SELECT count(*) FROM labels");
    let shipped: i64 = shipped().iter().map(|source| source.info.labels as i64).sum();
    // A few addresses of the lists of exchanges are on them twice.
    eventually(async || (shipped * 9 / 10..=shipped + 2).contains(&total().await)).await;
    let known = async |address: Address| {
        let sql = format!(
            "SELECT coalesce(label_of('base', a), '') || ' ' || array_to_string(tags_of('base', a), ',') \
             FROM (SELECT '\\x{address:x}'::bytea AS a) AS asked"
        );
        servers.query(&sql).await[0].get::<_, String>(0)
    };
    assert_eq!(known(one).await, "desk one customer");

    // The list of sanctions is replaced: what is shipped of it goes.
    import(&bucket, "ofac", &[label(one, "sanctioned", "SOMEBODY")]).await;
    import(&bucket, "desk", &[label(one, "customer", "renamed")]).await;
    eventually(async || known(one).await == "renamed sanctioned,customer").await;
    eventually(async || known(two).await == " ").await;
    let sanctioned = "SELECT count(*) FROM labels WHERE source = 'ofac'";
    eventually(async || servers.number(sanctioned).await == 1).await;
    bucket.delete_large("ofac").await.unwrap();
    eventually(async || servers.number(sanctioned).await > 100).await;
    assert!(persist.is_ready());
    persist.stop().await;
}
