//! Reproducible randomness.

use std::{
    ops::{Deref, DerefMut, Range},
    time::Duration,
};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A random generator whose seed was printed; `CRYPTO_INTEL_SEED` (a number) sets it.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    random: StdRng,
}

impl SeededRandom {
    /// Takes the seed from `CRYPTO_INTEL_SEED`, or a new one, and prints it to standard error.
    ///
    /// # Panics
    /// When `CRYPTO_INTEL_SEED` is no number.
    #[must_use]
    #[allow(clippy::print_stderr)]
    pub fn from_environment() -> Self {
        let seed = match std::env::var("CRYPTO_INTEL_SEED") {
            Ok(text) => match text.trim().parse() {
                Ok(seed) => seed,
                Err(error) => panic!("CRYPTO_INTEL_SEED is {text:?}: {error}"),
            },
            Err(_) => rand::random(),
        };
        eprintln!("seed: CRYPTO_INTEL_SEED={seed}");
        Self::with_seed(seed)
    }

    /// A generator with a fixed seed.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self { seed, random: StdRng::seed_from_u64(seed) }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sleeps for a random time, before a crash or during an outage. No test may depend on how much happens meanwhile:
    /// use [`eventually`](crate::eventually) to wait for something.
    pub async fn pause_ms(&mut self, range: Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.random.random_range(range))).await;
    }
}

impl Deref for SeededRandom {
    type Target = StdRng;

    fn deref(&self) -> &StdRng {
        &self.random
    }
}

impl DerefMut for SeededRandom {
    fn deref_mut(&mut self) -> &mut StdRng {
        &mut self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let mut first = SeededRandom::with_seed(5);
        let mut second = SeededRandom::with_seed(5);
        let numbers: Vec<u64> = (0..4).map(|_| first.random()).collect();
        assert_eq!(numbers, (0..4).map(|_| second.random()).collect::<Vec<u64>>());
    }
}
