use std::time::{Duration, Instant};

use crypto_intel_nats::{Bucket, LEASE_SECONDS, Lease};
use crypto_intel_testkit::{Broker, eventually, within};

#[tokio::test]
async fn only_one_instance_holds_it_and_renewal_extends_it() {
    let broker = Broker::start().await;
    let lease = Lease::try_acquire(&broker.nats, "evm.anvil", "one").await.unwrap().unwrap();
    let first = lease.revision();
    assert!(Lease::try_acquire(&broker.nats, "evm.anvil", "two").await.unwrap().is_none());
    let other = Lease::try_acquire(&broker.nats, "evm.other", "two").await.unwrap();
    assert!(other.is_some());
    let lost = lease.lost();
    let longer = Duration::from_secs(LEASE_SECONDS + 2);
    assert!(tokio::time::timeout(longer, lost.cancelled()).await.is_err());
    assert!(lease.revision() > first);
    assert!(Lease::try_acquire(&broker.nats, "evm.anvil", "two").await.unwrap().is_none());
}

#[tokio::test]
async fn released_lease_is_free_at_once() {
    let broker = Broker::start().await;
    let lease = Lease::try_acquire(&broker.nats, "persist", "one").await.unwrap().unwrap();
    lease.release().await;
    let again = Lease::try_acquire(&broker.nats, "persist", "two").await.unwrap();
    assert!(again.is_some());
}

#[tokio::test]
async fn owner_notices_that_another_instance_took_it() {
    let broker = Broker::start().await;
    let lease = Lease::try_acquire(&broker.nats, "evm.anvil", "one").await.unwrap().unwrap();
    let kv = broker.nats.kv(Bucket::Leases).await.unwrap();
    kv.put("evm.anvil", r#"{"owner":"two","token":"x"}"#).await.unwrap();
    within(lease.lost().cancelled()).await;
    assert!(!lease.is_held());
}

#[tokio::test]
async fn owner_gives_up_before_the_lease_expires() {
    let mut broker = Broker::start().await;
    let lease = Lease::try_acquire(&broker.nats, "evm.anvil", "one").await.unwrap().unwrap();
    let taken = Instant::now();
    broker.server.kill().unwrap();
    within(lease.lost().cancelled()).await;
    assert!(taken.elapsed() < Duration::from_secs(LEASE_SECONDS) + Duration::from_secs(1));
}

#[tokio::test]
async fn lease_is_held_or_free_again_after_a_server_restart() {
    let mut broker = Broker::start().await;
    let lease = Lease::try_acquire(&broker.nats, "evm.anvil", "one").await.unwrap().unwrap();
    let before = lease.revision();
    broker.server.kill().unwrap();
    broker.server.start_again().await.unwrap();
    eventually(async || lease.revision() > before || !lease.is_held()).await;
    if lease.is_held() {
        assert!(Lease::try_acquire(&broker.nats, "evm.anvil", "two").await.unwrap().is_none());
    } else {
        eventually(async || {
            matches!(Lease::try_acquire(&broker.nats, "evm.anvil", "one").await, Ok(Some(_)))
        })
        .await;
    }
}
