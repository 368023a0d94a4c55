use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

/// Values that are bounded in number and forgotten one by one.
const MAX_KEYS: usize = 1_000;

/// Answers that are kept for a short time. A caller that comes while one is being made waits for it: a hundred clients at once are one
/// question to the database.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    fresh: Duration,
    slots: parking_lot::Mutex<HashMap<K, Slot<V>>>,
}

type Slot<V> = Arc<tokio::sync::Mutex<Option<(Instant, Arc<V>)>>>;

impl<K: Hash + Eq + Clone, V> Memo<K, V> {
    pub(crate) fn new(fresh: Duration) -> Self {
        Self { fresh, slots: parking_lot::Mutex::default() }
    }

    /// The value of a key: the one that is kept, or what `make` makes. A failure is not kept.
    pub(crate) async fn get<E, F>(&self, key: K, make: impl FnOnce() -> F) -> Result<Arc<V>, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if let Some((since, value)) = kept.as_ref()
            && since.elapsed() < self.fresh
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make().await?);
        *kept = Some((Instant::now(), Arc::clone(&value)));
        Ok(value)
    }

    fn slot(&self, key: K) -> Slot<V> {
        let mut slots = self.slots.lock();
        if slots.len() >= MAX_KEYS && !slots.contains_key(&key) {
            let fresh = self.fresh;
            slots.retain(|_, slot| {
                // One that is locked is being made.
                slot.try_lock().map_or(true, |kept| {
                    kept.as_ref().is_some_and(|(since, _)| since.elapsed() < fresh)
                })
            });
            if slots.len() >= MAX_KEYS {
                slots.clear();
            }
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_are_one_question() {
        let memo: Memo<u32, u32> = Memo::new(Duration::from_secs(60));
        let made = AtomicU32::new(0);
        let make = || async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, ()>(made.fetch_add(1, Ordering::Relaxed))
        };
        let asked = (0..100).map(|_| memo.get(7, make));
        let answers = futures::future::join_all(asked).await;
        assert!(answers.iter().all(|answer| answer.as_deref() == Ok(&0)));
        assert_eq!(memo.get(8, make).await.as_deref(), Ok(&1), "another key is another question");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept_and_keys_are_bounded() {
        let memo: Memo<usize, usize> = Memo::new(Duration::from_secs(60));
        assert_eq!(memo.get(0, || async { Err("down") }).await, Err("down"));
        for key in 0..3 * MAX_KEYS {
            memo.get(key, || async { Ok::<_, ()>(key) }).await.unwrap();
        }
        assert!(memo.slots.lock().len() <= MAX_KEYS);
    }
}
