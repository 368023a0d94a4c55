use crypto_intel_schemas::{Event, TokenStandard, U256, Uint256};

use super::{Decoding, abi, body, logs::Odd};
use crate::block::LogRecord;

impl Decoding<'_> {
    pub(super) fn approval(
        &self,
        log: &LogRecord,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), Odd> {
        let data = self.block.log_data(log);
        let (standard, owner, spender, value, token_id) = match (log.topics(), data.len()) {
            ([_, owner, spender], 32) => {
                let value = abi::word(data, 0).unwrap_or_default();
                (TokenStandard::Erc20, owner, spender, Some(Uint256(value)), None)
            }
            ([_, owner, spender, token_id], 0) => {
                let token_id = Uint256(U256::from_be_bytes(token_id.0));
                (TokenStandard::Erc721, owner, spender, None, Some(token_id))
            }
            ([_], _) => return Err(Odd("approval without indexed addresses")),
            _ => return Err(Odd("approval with other topics or data")),
        };
        sink(Event::Approval(body!(log between self, log, None, Approval {
            standard,
            owner: abi::address(owner),
            spender: abi::address(spender),
            value,
            token_id,
            approved: None,
        })));
        Ok(())
    }

    pub(super) fn approval_for_all(
        &self,
        log: &LogRecord,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), Odd> {
        let data = self.block.log_data(log);
        let ([_, owner, spender], 32) = (log.topics(), data.len()) else {
            return Err(Odd("approval for all with other topics or data"));
        };
        let approved = match abi::word(data, 0) {
            Some(U256::ZERO) => false,
            Some(U256::ONE) => true,
            _ => return Err(Odd("approval for all that is neither true nor false")),
        };
        sink(Event::Approval(body!(log between self, log, None, Approval {
            standard: TokenStandard::Unknown,
            owner: abi::address(owner),
            spender: abi::address(spender),
            value: None,
            token_id: None,
            approved: Some(approved),
        })));
        Ok(())
    }
}
