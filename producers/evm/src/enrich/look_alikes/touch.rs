use crypto_intel_schemas::{Address, Decimal, Event, U256};

/// Without a price, at most so many millionths of a whole coin are dust.
const DUST_MILLIONTHS: f64 = 100.0;

/// What counts as nearly nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dust {
    pub(crate) usd: f64,
}

/// Which side of an event the other one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    From,
    To,
}

/// How a watched wallet and another address met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// The wallet itself sent something.
    Sent,
    /// Nothing, dust, or something that anybody can make moved between them.
    Weak,
}

/// A watched wallet and another address in one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touch {
    /// Which event of its block.
    pub(super) event: u32,
    pub(super) wallet: Address,
    pub(super) other: Address,
    /// Which side of the event `other` is.
    pub(super) side: Side,
    pub(super) how: How,
}

/// What moved from whom to whom.
struct Moved {
    from: Address,
    to: Address,
    /// Whether `from` signed the transaction.
    is_signed: bool,
    is_weak: bool,
    is_nothing: bool,
}

/// Adds where watched wallets meet others in an event.
pub(crate) fn touches_of(
    event: &Event,
    number: u32,
    dust: Dust,
    is_watched: impl Fn(&Address) -> bool,
    touches: &mut Vec<Touch>,
) {
    let Some(moved) = moved_by(event, dust) else { return };
    let Moved { from, to, is_signed, is_weak, is_nothing } = moved;
    if from == to || from.is_zero() || to.is_zero() {
        return;
    }
    let sent = is_signed && !is_nothing;
    if sent && is_watched(&from) {
        let touch =
            Touch { event: number, wallet: from, other: to, side: Side::To, how: How::Sent };
        touches.push(touch);
    } else if is_weak && is_watched(&from) {
        // Anybody can emit a transfer of nothing from whom he likes.
        let touch =
            Touch { event: number, wallet: from, other: to, side: Side::To, how: How::Weak };
        touches.push(touch);
    }
    if is_weak && is_watched(&to) {
        let touch =
            Touch { event: number, wallet: to, other: from, side: Side::From, how: How::Weak };
        touches.push(touch);
    }
}

fn moved_by(event: &Event, dust: Dust) -> Option<Moved> {
    let signer = event.transaction_fields().and_then(|transaction| transaction.tx_from);
    let moved = |from: Address, to: Address, is_weak: bool, is_nothing: bool| Moved {
        from,
        to,
        is_signed: signer == Some(from),
        is_weak,
        is_nothing,
    };
    let is_dust = |usd: &Option<Decimal>| usd.as_ref().is_some_and(|usd| usd.to_f64() <= dust.usd);
    let is_coin_dust = |usd: &Option<Decimal>, amount: &Option<Decimal>| match (usd, amount) {
        (None, Some(amount)) => amount.to_f64() * 1e6 <= DUST_MILLIONTHS,
        (usd, _) => is_dust(usd),
    };
    match event {
        Event::Erc20Transfer(body) => {
            let is_nothing = body.value.0 == U256::ZERO;
            let is_weak = is_nothing || !body.token_verified || is_dust(&body.usd);
            Some(moved(body.from, body.to, is_weak, is_nothing))
        }
        Event::NativeTransfer(body) => {
            Some(moved(body.from, body.to, is_coin_dust(&body.usd, &body.amount), false))
        }
        Event::InternalTransfer(body) => {
            Some(moved(body.from, body.to, is_coin_dust(&body.usd, &body.amount), false))
        }
        Event::Erc721Transfer(body) => Some(moved(body.from, body.to, true, false)),
        Event::Erc1155Transfer(body) => {
            let is_nothing = body.value.0 == U256::ZERO;
            Some(moved(body.from, body.to, true, is_nothing))
        }
        _ => None,
    }
}
