//! Events of DEX pools other than trades.

use crypto_intel_schemas::{
    DexProtocol, Event, I256, Int256, Liquidity, LiquidityAction, U256, Uint256,
};

use super::{Decoding, abi, body, logs::Odd};
use crate::block::LogRecord;

const RANGE: Odd = Odd("liquidity event with a number beyond its type");

impl Decoding<'_> {
    pub(super) fn pair_created(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("pair creation with other topics or data");
        let [_, token0, token1] = log.topics() else { return Err(FORM) };
        let [pair, _count] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            pool: Some(abi::address(&pair.into())),
            token0: Some(abi::address(token0)),
            token1: Some(abi::address(token1)),
            ..self.liquidity(log, DexProtocol::UniswapV2, LiquidityAction::PoolCreated)
        }))
    }

    pub(super) fn sync(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("sync with other topics or data");
        let [_] = log.topics() else { return Err(FORM) };
        let [reserve0, reserve1] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        let reserve = |word| abi::unsigned_of(word, 112).map(Uint256).ok_or(RANGE);
        Ok(Event::Liquidity(Liquidity {
            reserve0: Some(reserve(reserve0)?),
            reserve1: Some(reserve(reserve1)?),
            ..self.liquidity(log, DexProtocol::UniswapV2, LiquidityAction::Sync)
        }))
    }

    pub(super) fn mint_v2(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("mint with other topics or data");
        let [_, sender] = log.topics() else { return Err(FORM) };
        let amounts = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            sender: Some(abi::address(sender)),
            ..self.moved(log, DexProtocol::UniswapV2, LiquidityAction::Mint, amounts)
        }))
    }

    pub(super) fn burn_v2(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("burn with other topics or data");
        let [_, sender, to] = log.topics() else { return Err(FORM) };
        let amounts = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            sender: Some(abi::address(sender)),
            recipient: Some(abi::address(to)),
            ..self.moved(log, DexProtocol::UniswapV2, LiquidityAction::Burn, amounts)
        }))
    }

    pub(super) fn pool_created(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("pool creation with other topics or data");
        let [_, token0, token1, fee] = log.topics() else { return Err(FORM) };
        let [spacing, pool] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            pool: Some(abi::address(&pool.into())),
            token0: Some(abi::address(token0)),
            token1: Some(abi::address(token1)),
            fee: Some(abi::uint24(abi::number(fee)).ok_or(RANGE)?),
            tick_spacing: Some(abi::int24(spacing).ok_or(RANGE)?),
            ..self.liquidity(log, DexProtocol::UniswapV3, LiquidityAction::PoolCreated)
        }))
    }

    pub(super) fn initialize_v3(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("pool initialisation with other topics or data");
        let [_] = log.topics() else { return Err(FORM) };
        let [price, tick] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            sqrt_price_x96: Some(Uint256(abi::unsigned_of(price, 160).ok_or(RANGE)?)),
            tick: Some(abi::int24(tick).ok_or(RANGE)?),
            ..self.liquidity(log, DexProtocol::UniswapV3, LiquidityAction::Initialize)
        }))
    }

    pub(super) fn mint_v3(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("mint with other topics or data");
        let [_, owner, lower, upper] = log.topics() else { return Err(FORM) };
        let [sender, liquidity, amount0, amount1] =
            abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            sender: Some(abi::address(&sender.into())),
            owner: Some(abi::address(owner)),
            liquidity_delta: Some(Int256(liquidity_of(liquidity)?)),
            tick_lower: Some(abi::int24(abi::number(lower)).ok_or(RANGE)?),
            tick_upper: Some(abi::int24(abi::number(upper)).ok_or(RANGE)?),
            ..self.moved(log, DexProtocol::UniswapV3, LiquidityAction::Mint, [amount0, amount1])
        }))
    }

    pub(super) fn burn_v3(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("burn with other topics or data");
        let [_, owner, lower, upper] = log.topics() else { return Err(FORM) };
        let [liquidity, amount0, amount1] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            owner: Some(abi::address(owner)),
            // 128 bits can always be negated in 256.
            liquidity_delta: Some(Int256(-liquidity_of(liquidity)?)),
            tick_lower: Some(abi::int24(abi::number(lower)).ok_or(RANGE)?),
            tick_upper: Some(abi::int24(abi::number(upper)).ok_or(RANGE)?),
            ..self.moved(log, DexProtocol::UniswapV3, LiquidityAction::Burn, [amount0, amount1])
        }))
    }

    pub(super) fn collect_v3(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("collect with other topics or data");
        let [_, owner, lower, upper] = log.topics() else { return Err(FORM) };
        let [recipient, amount0, amount1] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            owner: Some(abi::address(owner)),
            recipient: Some(abi::address(&recipient.into())),
            tick_lower: Some(abi::int24(abi::number(lower)).ok_or(RANGE)?),
            tick_upper: Some(abi::int24(abi::number(upper)).ok_or(RANGE)?),
            ..self.moved(log, DexProtocol::UniswapV3, LiquidityAction::Collect, [amount0, amount1])
        }))
    }

    pub(super) fn initialize_v4(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("pool initialisation with other topics or data");
        let [_, pool_id, token0, token1] = log.topics() else { return Err(FORM) };
        let [fee, spacing, hooks, price, tick] =
            abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            pool_id: Some(*pool_id),
            token0: Some(abi::address(token0)),
            token1: Some(abi::address(token1)),
            fee: Some(abi::uint24(fee).ok_or(RANGE)?),
            tick_spacing: Some(abi::int24(spacing).ok_or(RANGE)?),
            hooks: Some(abi::address(&hooks.into())),
            sqrt_price_x96: Some(Uint256(abi::unsigned_of(price, 160).ok_or(RANGE)?)),
            tick: Some(abi::int24(tick).ok_or(RANGE)?),
            ..self.liquidity(log, DexProtocol::UniswapV4, LiquidityAction::Initialize)
        }))
    }

    pub(super) fn modify_v4(&self, log: &LogRecord) -> Result<Event, Odd> {
        const FORM: Odd = Odd("liquidity change with other topics or data");
        let [_, pool_id, sender] = log.topics() else { return Err(FORM) };
        let [lower, upper, delta, _salt] = abi::exactly(self.block.log_data(log)).ok_or(FORM)?;
        Ok(Event::Liquidity(Liquidity {
            pool_id: Some(*pool_id),
            sender: Some(abi::address(sender)),
            liquidity_delta: Some(Int256(abi::signed(delta))),
            tick_lower: Some(abi::int24(lower).ok_or(RANGE)?),
            tick_upper: Some(abi::int24(upper).ok_or(RANGE)?),
            ..self.liquidity(log, DexProtocol::UniswapV4, LiquidityAction::Modify)
        }))
    }

    /// With the amounts that moved.
    fn moved(
        &self,
        log: &LogRecord,
        protocol: DexProtocol,
        action: LiquidityAction,
        [amount0, amount1]: [U256; 2],
    ) -> Liquidity {
        Liquidity {
            amount0: Some(Uint256(amount0)),
            amount1: Some(Uint256(amount1)),
            ..self.liquidity(log, protocol, action)
        }
    }

    fn liquidity(
        &self,
        log: &LogRecord,
        protocol: DexProtocol,
        action: LiquidityAction,
    ) -> Liquidity {
        body!(log self, log, None, Liquidity {
            protocol,
            action,
            ..Liquidity::empty()
        })
    }
}

/// `uint128` as a signed number.
fn liquidity_of(word: U256) -> Result<I256, Odd> {
    let number = abi::unsigned_of(word, 128).ok_or(RANGE)?;
    I256::try_from(number).map_err(|_| RANGE)
}
