use alloy_primitives::address;
use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, Nats};
use crypto_intel_schemas::{Address, B256, U256, escape_key};
use serde::{Deserialize, Serialize};

use super::name::{EnsName, reverse_node};
use crate::{
    endpoint::{Class, EndpointError},
    multicall::{self, At, ContractCall},
    reader::ChainReader,
};

/// The registry of ENS on Ethereum and its test networks.
const REGISTRY: Address = address!("0x00000000000c2e074ec69a0dfb2997ba6c7d2e1e");
/// `resolver(bytes32)`, `addr(bytes32)`, `name(bytes32)`
const RESOLVER: [u8; 4] = [0x01, 0x78, 0xb8, 0xbf];
const ADDR: [u8; 4] = [0x3b, 0x3b, 0x57, 0xde];
const NAME: [u8; 4] = [0x69, 0x1f, 0x34, 0x31];
/// Longer answers are no names.
const MAX_NAME_BYTES: usize = 255;

/// A name and the address that it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedName {
    /// The address.
    pub address: Address,
    /// What the address calls itself, where that name means the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_name: Option<String>,
}

impl ChainReader {
    /// The address that a name means, and what that address calls itself; `None` where the name means none. Answers are kept
    /// in the bucket `names`, which forgets them after a day.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub async fn resolve_name(
        &self,
        nats: &Nats,
        name: &EnsName,
    ) -> anyhow::Result<Option<ResolvedName>> {
        let key = format!("name.{}", escape_key(name.as_str()));
        let bucket = nats.kv(Bucket::Names).await.context("open bucket names")?;
        if let Some(known) = stored(&bucket, &key).await {
            return Ok(Some(known));
        }
        let Some(address) = self.address_of(name).await? else { return Ok(None) };
        let own_name = self.own_name(&address).await?;
        let resolved = ResolvedName { address, own_name };
        store(&bucket, &key, &resolved).await;
        Ok(Some(resolved))
    }

    /// What an address calls itself, where that name means the address. Kept as the others are.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub async fn name_of(&self, nats: &Nats, address: &Address) -> anyhow::Result<Option<String>> {
        let key = format!("address.{address:#x}");
        let bucket = nats.kv(Bucket::Names).await.context("open bucket names")?;
        if let Some(known) = stored(&bucket, &key).await {
            return Ok(known.own_name);
        }
        let own_name = self.own_name(address).await?;
        let resolved = ResolvedName { address: *address, own_name };
        store(&bucket, &key, &resolved).await;
        Ok(resolved.own_name)
    }

    async fn address_of(&self, name: &EnsName) -> anyhow::Result<Option<Address>> {
        let Some(resolver) = self.resolver(name.node()).await? else { return Ok(None) };
        let answer = self.ask(&resolver, ADDR, name.node()).await?;
        Ok(address_in(&answer))
    }

    /// Anybody can claim any name for himself: it counts only if the name means him.
    async fn own_name(&self, address: &Address) -> anyhow::Result<Option<String>> {
        let node = reverse_node(address);
        let Some(resolver) = self.resolver(node).await? else { return Ok(None) };
        let answer = self.ask(&resolver, NAME, node).await?;
        let name = text_in(&answer).and_then(|text| text.parse::<EnsName>().ok());
        let Some(name) = name else { return Ok(None) };
        let means = self.address_of(&name).await?;
        Ok((means == Some(*address)).then(|| name.to_string()))
    }

    async fn resolver(&self, node: B256) -> anyhow::Result<Option<Address>> {
        Ok(address_in(&self.ask(&REGISTRY, RESOLVER, node).await?))
    }

    /// Asks a contract one question about a node, the next endpoint after a failure. Empty where the contract refuses.
    async fn ask(
        &self,
        contract: &Address,
        method: [u8; 4],
        node: B256,
    ) -> anyhow::Result<Vec<u8>> {
        let call = ContractCall::with_word(*contract, &method, &node);
        let mut last = None;
        for endpoint in self.fetcher.pool().ranked(Class::Calls) {
            match multicall::call(&endpoint, &call, At::Latest).await {
                Ok(answer) => return Ok(answer.unwrap_or_default()),
                // The contract does not know the method, or wants to be asked elsewhere (EIP-3668).
                Err(EndpointError::Refused { .. }) => return Ok(Vec::new()),
                Err(error) => last = Some(error),
            }
        }
        let error = last.map_or_else(|| anyhow::anyhow!("no endpoint is connected"), Into::into);
        Err(error.context("ask the contracts of ENS"))
    }
}

async fn stored(bucket: &Kv, key: &str) -> Option<ResolvedName> {
    let entry = bucket.get(key).await.ok().flatten()?;
    serde_json::from_slice(&entry.value).ok()
}

/// What cannot be kept is asked for again.
async fn store(bucket: &Kv, key: &str, resolved: &ResolvedName) {
    let Ok(value) = serde_json::to_vec(resolved) else { return };
    if let Err(error) = bucket.put(key, value).await {
        tracing::debug!(key, %error, "name cannot be written to bucket `names`");
    }
}

/// The address in an answer of one word; `None` for none, or for something else.
fn address_in(answer: &[u8]) -> Option<Address> {
    let word: &[u8; 32] = answer.first_chunk()?;
    let is_address = word[..12].iter().all(|byte| *byte == 0);
    let address = Address::from_slice(&word[12..]);
    (is_address && !address.is_zero()).then_some(address)
}

/// The text in an answer of one string.
fn text_in(answer: &[u8]) -> Option<String> {
    let number = |at: usize| {
        let word = answer.get(at..at.checked_add(32)?)?;
        usize::try_from(U256::try_from_be_slice(word)?).ok()
    };
    let at = number(0)?;
    let length = number(at)?;
    if length == 0 || length > MAX_NAME_BYTES {
        return None;
    }
    let begin = at.checked_add(32)?;
    let bytes = answer.get(begin..begin.checked_add(length)?)?;
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_answers_are_no_addresses_and_no_texts() {
        assert_eq!(address_in(&[0; 32]), None);
        assert_eq!(address_in(&[1; 32]), None);
        assert_eq!(address_in(&[0; 31]), None);
        let mut word = [0; 32];
        word[31] = 5;
        assert!(address_in(&word).is_some());
        for answer in [vec![], vec![0xff; 64], vec![0; 64], [[0xff; 32], [0; 32]].concat()] {
            assert_eq!(text_in(&answer), None, "{answer:?}");
        }
        let mut answer = vec![0; 96];
        (answer[31], answer[63]) = (32, 5);
        answer[64..69].copy_from_slice(b"a.eth");
        assert_eq!(text_in(&answer).as_deref(), Some("a.eth"));
        answer[63] = 33;
        assert_eq!(text_in(&answer), None, "longer than what is there");
    }
}
