use crypto_intel_schemas::{Decimal, Event, U256, Uint256};

use super::{Decoding, abi, body, logs::Odd};
use crate::block::LogRecord;

impl Decoding<'_> {
    pub(super) fn transfer(
        &self,
        log: &LogRecord,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), Odd> {
        let data = self.block.log_data(log);
        match (log.topics(), data.len()) {
            ([_, from, to], 32) => {
                let value = abi::word(data, 0).unwrap_or_default();
                sink(self.erc20(log, (abi::address(from), abi::address(to)), value));
                Ok(())
            }
            ([_, from, to, token_id], 0) => {
                sink(Event::Erc721Transfer(body!(log between self, log, None, Erc721Transfer {
                    from: abi::address(from),
                    to: abi::address(to),
                    token_id: Uint256(U256::from_be_bytes(token_id.0)),
                })));
                Ok(())
            }
            ([_], _) => Err(Odd("transfer without indexed addresses")),
            ([_, _, _], _) => Err(Odd("transfer with data of another length than 32 bytes")),
            ([_, _, _, _], _) => Err(Odd("transfer with four topics and data")),
            _ => Err(Odd("transfer with another number of topics")),
        }
    }

    fn erc20(
        &self,
        log: &LogRecord,
        (from, to): (crypto_intel_schemas::Address, crypto_intel_schemas::Address),
        value: U256,
    ) -> Event {
        let asset = self.decoder.assets.of(&log.address);
        let price = asset.and_then(|asset| self.price_of(&asset.asset));
        // Self-reported metadata: anyone can call their token USDC.
        let said = match asset {
            None => self.context.tokens.of(&log.address),
            Some(_) => None,
        };
        let symbol = asset.map(|asset| asset.symbol.clone());
        let decimals =
            asset.map(|asset| asset.decimals).or_else(|| said.and_then(|token| token.decimals));
        Event::Erc20Transfer(body!(log between self, log, None, Erc20Transfer {
            from,
            to,
            value: Uint256(value),
            symbol: symbol.or_else(|| said.and_then(|token| token.symbol.clone())),
            decimals,
            amount: decimals.map(|decimals| Decimal::from_units(value, decimals)),
            usd: asset.zip(price).and_then(|(asset, price)| price.value_of(value, asset.decimals)),
            token_verified: asset.is_some_and(|asset| asset.verified),
        }))
    }

    pub(super) fn transfer_single(
        &self,
        log: &LogRecord,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), Odd> {
        let data = self.block.log_data(log);
        let [_, operator, from, to] = log.topics() else {
            return Err(Odd("transfer single without indexed addresses"));
        };
        let (Some(token_id), Some(value), 64) =
            (abi::word(data, 0), abi::word(data, 1), data.len())
        else {
            return Err(Odd("transfer single with data of another length than 64 bytes"));
        };
        sink(Event::Erc1155Transfer(body!(log between self, log, None, Erc1155Transfer {
            operator: abi::address(operator),
            from: abi::address(from),
            to: abi::address(to),
            token_id: Uint256(token_id),
            value: Uint256(value),
        })));
        Ok(())
    }

    pub(super) fn transfer_batch(
        &self,
        log: &LogRecord,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), Odd> {
        let data = self.block.log_data(log);
        let [_, operator, from, to] = log.topics() else {
            return Err(Odd("transfer batch without indexed addresses"));
        };
        let (Some(token_ids), Some(values)) = (abi::words(data, 0), abi::words(data, 1)) else {
            return Err(Odd("transfer batch with arrays beyond its data"));
        };
        if token_ids.len() != values.len() {
            return Err(Odd("transfer batch with arrays of different lengths"));
        }
        if token_ids.len() > abi::MAX_ARRAY_ITEMS {
            return Err(Odd("transfer batch with too many items"));
        }
        // Otherwise a small log whose arrays are the same words would become many events.
        if data.len() < 32 * (4 + 2 * token_ids.len()) {
            return Err(Odd("transfer batch with arrays that overlap"));
        }
        for (sub_index, (token_id, value)) in token_ids.iter().zip(values.iter()).enumerate() {
            let event = body!(log between self, log, Some(sub_index as u32), Erc1155Transfer {
                operator: abi::address(operator),
                from: abi::address(from),
                to: abi::address(to),
                token_id: Uint256(token_id),
                value: Uint256(value),
            });
            sink(Event::Erc1155Transfer(event));
        }
        Ok(())
    }
}
