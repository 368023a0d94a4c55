//! Trades in DEX pools. Amounts are the pool's: above 0 paid in, below 0 paid out.

use crypto_intel_schemas::{DexProtocol, Event, I256, Int256, Swap, U256, Uint256};

use super::{Decoding, abi, body, logs::Odd};
use crate::block::LogRecord;

const FORM: Odd = Odd("swap with other topics or data");
const RANGE: Odd = Odd("swap with a number beyond its type");

impl Decoding<'_> {
    pub(super) fn swap_v2(&self, log: &LogRecord) -> Result<Event, Odd> {
        let [_, sender, to] = log.topics() else { return Err(FORM) };
        let data = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        let [in0, in1, out0, out1] = data;
        let change = |paid_in: U256, paid_out: U256| {
            let paid_in = I256::try_from(paid_in).ok()?;
            paid_in.checked_sub(I256::try_from(paid_out).ok()?)
        };
        Ok(Event::Swap(Swap {
            recipient: Some(abi::address(to)),
            amount0: Int256(change(in0, out0).ok_or(RANGE)?),
            amount1: Int256(change(in1, out1).ok_or(RANGE)?),
            ..self.swap(log, DexProtocol::UniswapV2, abi::address(sender))
        }))
    }

    pub(super) fn swap_v3(&self, log: &LogRecord) -> Result<Event, Odd> {
        let [_, sender, recipient] = log.topics() else { return Err(FORM) };
        let [amount0, amount1, price, liquidity, tick] =
            abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Swap(Swap {
            recipient: Some(abi::address(recipient)),
            amount0: Int256(abi::signed(amount0)),
            amount1: Int256(abi::signed(amount1)),
            ..self.priced(
                log,
                DexProtocol::UniswapV3,
                abi::address(sender),
                [price, liquidity, tick],
            )?
        }))
    }

    pub(super) fn swap_pancake_v3(&self, log: &LogRecord) -> Result<Event, Odd> {
        let [_, sender, recipient] = log.topics() else { return Err(FORM) };
        let [amount0, amount1, price, liquidity, tick, fee0, fee1] =
            abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        let fee = |word| abi::unsigned_of(word, 128).map(Uint256).ok_or(RANGE);
        Ok(Event::Swap(Swap {
            recipient: Some(abi::address(recipient)),
            amount0: Int256(abi::signed(amount0)),
            amount1: Int256(abi::signed(amount1)),
            protocol_fee0: Some(fee(fee0)?),
            protocol_fee1: Some(fee(fee1)?),
            ..self.priced(
                log,
                DexProtocol::PancakeV3,
                abi::address(sender),
                [price, liquidity, tick],
            )?
        }))
    }

    pub(super) fn swap_v4(&self, log: &LogRecord) -> Result<Event, Odd> {
        let [_, pool_id, sender] = log.topics() else { return Err(FORM) };
        let [amount0, amount1, price, liquidity, tick, fee] =
            abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        // V4 reports the change of the swapper's balance: the opposite of the pool's. 128 bits can always be negated in
        // 256.
        let change = |word| abi::signed_of(word, 128).map(|amount| Int256(-amount)).ok_or(RANGE);
        Ok(Event::Swap(Swap {
            pool_id: Some(*pool_id),
            amount0: change(amount0)?,
            amount1: change(amount1)?,
            fee: Some(abi::uint24(fee).ok_or(RANGE)?),
            ..self.priced(
                log,
                DexProtocol::UniswapV4,
                abi::address(sender),
                [price, liquidity, tick],
            )?
        }))
    }

    /// With price, liquidity and tick after the swap.
    fn priced(
        &self,
        log: &LogRecord,
        protocol: DexProtocol,
        sender: crypto_intel_schemas::Address,
        [price, liquidity, tick]: [U256; 3],
    ) -> Result<Swap, Odd> {
        Ok(Swap {
            sqrt_price_x96: Some(Uint256(abi::unsigned_of(price, 160).ok_or(RANGE)?)),
            liquidity: Some(Uint256(abi::unsigned_of(liquidity, 128).ok_or(RANGE)?)),
            tick: Some(abi::int24(tick).ok_or(RANGE)?),
            ..self.swap(log, protocol, sender)
        })
    }

    fn swap(
        &self,
        log: &LogRecord,
        protocol: DexProtocol,
        sender: crypto_intel_schemas::Address,
    ) -> Swap {
        body!(log between self, log, None, Swap {
            protocol,
            sender,
            ..Swap::empty()
        })
    }
}
