use std::collections::{HashMap, VecDeque};

use crypto_intel_schemas::Address;

use super::{
    config::LookAlikeConfig,
    mark::Mark,
    touch::{How, Touch},
};

/// With whom watched wallets dealt: bounded, and the same for the same touches in the same order.
#[derive(Debug, Default)]
pub(super) struct State {
    wallets: HashMap<Address, Wallet>,
    /// In the order in which they began.
    order: VecDeque<Address>,
}

#[derive(Debug, Default)]
struct Wallet {
    /// Whom it sent something, the last one last.
    counterparties: VecDeque<Address>,
    /// What imitated these. They never become counterparties, so that none takes the place of the address that it imitates.
    imitators: VecDeque<Address>,
}

impl State {
    /// Learns from what happened, in order, and says which of it are imitations.
    pub(super) fn judge(&mut self, config: &LookAlikeConfig, touches: &[Touch]) -> Vec<Mark> {
        let mut marks = Vec::new();
        for touch in touches {
            let Some(wallet) = self.wallet(config, touch) else { continue };
            if let Some(imitated) = wallet.imitated_by(config, &touch.other) {
                marks.push(Mark { event: touch.event, side: touch.side, imitated });
                remember(&mut wallet.imitators, touch.other, config.counterparties);
            } else if touch.how == How::Sent && !wallet.imitators.contains(&touch.other) {
                remember(&mut wallet.counterparties, touch.other, config.counterparties);
            }
        }
        marks
    }

    /// What is known of the wallet; a wallet begins with what it sends.
    fn wallet(&mut self, config: &LookAlikeConfig, touch: &Touch) -> Option<&mut Wallet> {
        if touch.how == How::Sent && !self.wallets.contains_key(&touch.wallet) {
            while self.wallets.len() >= config.wallets
                && let Some(first) = self.order.pop_front()
            {
                self.wallets.remove(&first);
            }
            self.order.push_back(touch.wallet);
            self.wallets.insert(touch.wallet, Wallet::default());
        }
        self.wallets.get_mut(&touch.wallet)
    }
}

impl Wallet {
    /// The counterparty that an address imitates.
    fn imitated_by(&self, config: &LookAlikeConfig, address: &Address) -> Option<Address> {
        if self.counterparties.contains(address) {
            return None;
        }
        // The last one first: it is what people find in their history.
        let mut known = self.counterparties.iter().rev();
        known.find(|known| are_alike(config, known, address)).copied()
    }
}

/// Adds an address as the last one of so many.
fn remember(list: &mut VecDeque<Address>, address: Address, most: usize) {
    if let Some(at) = list.iter().position(|known| *known == address) {
        list.remove(at);
    }
    list.push_back(address);
    while list.len() > most {
        list.pop_front();
    }
}

fn are_alike(config: &LookAlikeConfig, one: &Address, two: &Address) -> bool {
    let first = usize::from(config.first_digits);
    let last = usize::from(config.last_digits);
    let mut begin = 0..first;
    let mut end = 40_usize.saturating_sub(last)..40;
    begin.all(|at| digit(one, at) == digit(two, at))
        && end.all(|at| digit(one, at) == digit(two, at))
}

fn digit(address: &Address, at: usize) -> Option<u8> {
    let byte = address.get(at / 2)?;
    Some(if at.is_multiple_of(2) { byte >> 4 } else { byte & 0xf })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::look_alikes::touch::Side;

    const WALLET: Address = Address::repeat_byte(7);

    /// An address that begins and ends as all of these do.
    fn alike(middle: u8) -> Address {
        let mut bytes = [middle; 20];
        bytes[..2].copy_from_slice(&[0xab, 0xc1]);
        bytes[18..].copy_from_slice(&[0x9f, 0x3d]);
        bytes.into()
    }

    fn touch(event: u32, other: Address, how: How) -> Touch {
        Touch { event, wallet: WALLET, other, side: Side::From, how }
    }

    fn events(marks: &[Mark]) -> Vec<(u32, Address)> {
        marks.iter().map(|mark| (mark.event, mark.imitated)).collect()
    }

    #[test]
    fn what_imitates_a_counterparty_is_found_and_never_takes_its_place() {
        let (config, mut state) = (LookAlikeConfig::default(), State::default());
        let (real, fake) = (alike(1), alike(2));
        // Nothing is known of the wallet yet.
        assert_eq!(state.judge(&config, &[touch(0, fake, How::Weak)]), []);
        let found = state.judge(
            &config,
            &[
                touch(1, real, How::Sent),
                touch(2, real, How::Weak),
                touch(3, fake, How::Weak),
                touch(4, Address::repeat_byte(9), How::Weak),
                // It fell for it.
                touch(5, fake, How::Sent),
                touch(6, real, How::Sent),
                touch(7, fake, How::Weak),
            ],
        );
        assert_eq!(events(&found), [(3, real), (5, real), (7, real)]);
        // The block is looked at again.
        assert_eq!(state.judge(&config, &[touch(3, fake, How::Weak)]).len(), 1);
    }

    #[test]
    fn only_so_many_digits_at_both_ends_are_an_imitation() {
        let real = alike(1);
        let nearly = {
            let mut bytes: [u8; 20] = alike(2).into();
            // The fourth digit differs.
            bytes[1] ^= 1;
            Address::from(bytes)
        };
        let sent = [touch(0, real, How::Sent), touch(1, nearly, How::Weak)];
        let found = |first_digits: u8| {
            let config = LookAlikeConfig { first_digits, ..LookAlikeConfig::default() };
            State::default().judge(&config, &sent).len()
        };
        assert_eq!((found(4), found(3)), (0, 1));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten() {
        let config =
            LookAlikeConfig { counterparties: 3, wallets: 2, ..LookAlikeConfig::default() };
        let mut state = State::default();
        state.judge(&config, &[touch(0, alike(1), How::Sent)]);
        let others = (0..3).map(|number| touch(1, Address::repeat_byte(number), How::Sent));
        state.judge(&config, &others.collect::<Vec<_>>());
        assert_eq!(state.judge(&config, &[touch(2, alike(2), How::Weak)]), []);
        for wallet in 0..9 {
            let wallet = Address::repeat_byte(wallet);
            state.judge(&config, &[Touch { wallet, ..touch(3, alike(1), How::Sent) }]);
        }
        assert_eq!((state.wallets.len(), state.order.len()), (2, 2));
    }
}
