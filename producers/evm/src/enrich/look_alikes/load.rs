use anyhow::Context as _;
use crypto_intel_nats::{Nats, ReaderOptions, Start, StreamReader};
use crypto_intel_schemas::{Event, Stream, subjects};
use parking_lot::Mutex;

use super::{
    config::LookAlikeConfig,
    mark::Mark,
    state::State,
    touch::{Dust, Touch, touches_of},
};

/// Copies that are read at once.
const AT_ONCE: usize = 5_000;

/// What is known of the counterparties of watched wallets of a chain.
#[derive(Debug)]
pub(crate) struct LookAlikes {
    chain: String,
    config: LookAlikeConfig,
    nats: Nats,
    state: Mutex<Option<State>>,
}

impl LookAlikes {
    pub(crate) fn new(chain: &str, config: LookAlikeConfig, nats: Nats) -> Self {
        Self { chain: chain.to_owned(), config, nats, state: Mutex::default() }
    }

    /// What counts as nearly nothing; `None` where look-alikes are not searched for.
    pub(crate) fn dust(&self) -> Option<Dust> {
        self.config.enabled.then_some(Dust { usd: self.config.dust_usd })
    }

    /// What is known is of another term: another instance may have published meanwhile.
    pub(crate) fn forget(&self) {
        *self.state.lock() = None;
    }

    /// Reads from the stream with whom watched wallets dealt: their copies, as far back as it goes. Where it cannot be read the
    /// search begins with nothing.
    pub(crate) async fn load(&self) {
        if !self.config.enabled || self.state.lock().is_some() {
            return;
        }
        let state = self.read_stream().await.unwrap_or_else(|error| {
            tracing::warn!(
                chain = self.chain,
                error = %format!("{error:#}"),
                "earlier counterparties of watched wallets cannot be read: look-alikes of these are not found"
            );
            State::default()
        });
        *self.state.lock() = Some(state);
    }

    /// Learns from a block that is about to be published, and says what in it are imitations.
    pub(crate) fn judge(&self, touches: &[Touch]) -> Vec<Mark> {
        if touches.is_empty() {
            return Vec::new();
        }
        let mut state = self.state.lock();
        state.get_or_insert_default().judge(&self.config, touches)
    }

    async fn read_stream(&self) -> anyhow::Result<State> {
        let name = format!("evm-look-alikes-{}", self.chain);
        let filter = subjects::watch_transfers(&self.chain);
        let options = ReaderOptions::new(Stream::Evm.name(), name, Start::First).filters([filter]);
        let mut reader = StreamReader::open(&self.nats, options).await.context("read copies")?;
        let mut state = State::default();
        let dust = Dust { usd: self.config.dust_usd };
        while let Some(batch) = reader.next_until_end(AT_ONCE).await.context("read copies")? {
            for message in batch.messages {
                let Some(wallet) = subjects::watched_address(&message.subject) else { continue };
                let Ok(event) = Event::decode(&message.payload) else { continue };
                if event.block_fields().is_some_and(|block| block.removed) {
                    continue;
                }
                let mut touches = Vec::new();
                touches_of(&event, 0, dust, |address| wallet == *address, &mut touches);
                state.judge(&self.config, &touches);
            }
        }
        Ok(state)
    }
}
