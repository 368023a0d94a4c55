//! Configured ABIs: which logs they match, and the values of these.

pub(crate) mod config;
mod declaration;
mod types;

pub use self::types::LARGEST_EVENT_BYTES;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use alloy::{dyn_abi::Specifier as _, json_abi::Event as AbiItem};
use crypto_intel_schemas::{Address, B256, EventFields, EventValue};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::{
    config::AbiConfig,
    declaration::{parse, read},
    types::{AbiType, Malformed, Reader},
};

/// All configured ABIs of a chain.
#[derive(Debug, Default)]
pub(crate) struct Abis {
    by_topic: HashMap<B256, Vec<AbiEvent>>,
    factories: Vec<Factory>,
    discovered: RwLock<Discovered>,
}

/// One event of a configured ABI.
#[derive(Debug)]
pub(crate) struct AbiEvent {
    /// Name of the ABI.
    pub(crate) abi: String,
    /// Name of the event.
    pub(crate) name: String,
    /// Its signature.
    pub(crate) signature: String,
    parameters: Vec<Parameter>,
    contracts: Contracts,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    is_indexed: bool,
    abi_type: AbiType,
}

/// The contracts whose logs are decoded.
#[derive(Debug, Clone)]
struct Contracts {
    any: bool,
    listed: HashSet<Address>,
    factory: Option<usize>,
}

/// A contract whose event names further contracts.
#[derive(Debug)]
pub(crate) struct Factory {
    /// Name of the ABI.
    pub(crate) abi: String,
    pub(crate) contract: Address,
    /// First topic of its event.
    pub(crate) topic: B256,
    /// First block of the search for the contracts that it created.
    pub(crate) since: u64,
    event: AbiEvent,
    field: String,
}

/// Contracts created by factories.
#[derive(Debug, Default)]
struct Discovered {
    /// By factory, each with the block that created it, so that a block gives the same events whether or not later
    /// blocks were already fetched.
    contracts: HashMap<usize, HashMap<Address, u64>>,
    /// Incremented with every change.
    version: u64,
    /// Not saved yet.
    unsaved: Vec<Made>,
}

/// A contract created by a factory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// Name of the ABI.
    pub(crate) abi: String,
    /// The contract.
    pub(crate) address: Address,
    /// The first block whose factory event names it.
    pub(crate) since: u64,
}

impl Discovered {
    /// Adds a contract; returns whether it, or its earlier block, is new.
    fn add(&mut self, factory: usize, address: Address, since: u64) -> bool {
        let made = self.contracts.entry(factory).or_default();
        let known = made.entry(address).or_insert(u64::MAX);
        let is_news = since < *known;
        if is_news {
            *known = since;
            self.version += 1;
        }
        is_news
    }
}

/// The log's topic is known but its data or topics are not of that form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotOfThisForm;

impl Abis {
    /// Reads all ABIs.
    ///
    /// # Errors
    /// One sentence per problem; it begins with `abis[…]`.
    pub(crate) fn load(configs: &[AbiConfig]) -> Result<Self, Vec<String>> {
        let mut abis = Self::default();
        let mut problems = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            if let Err(problem) = abis.add(config) {
                problems.push(format!("abis[{index}]{problem}"));
            }
        }
        if problems.is_empty() { Ok(abis) } else { Err(problems) }
    }

    fn add(&mut self, config: &AbiConfig) -> Result<(), String> {
        let factory = match &config.factory {
            Some(factory) => {
                let event = parse(&factory.event)
                    .and_then(|event| AbiEvent::of(&event, &config.name, Contracts::none()))
                    .map_err(|problem| format!(".factory.event: {problem}"))?;
                let is_address = event.parameters.iter().any(|parameter| {
                    parameter.name == factory.field && parameter.abi_type == AbiType::Address
                });
                if !is_address {
                    return Err(format!(
                        ".factory.field: the event has no address {:?}; name one of its address parameters",
                        factory.field
                    ));
                }
                self.factories.push(Factory {
                    abi: config.name.clone(),
                    contract: factory.contract.parse().unwrap_or_default(),
                    topic: topic(&event.signature),
                    since: factory.since,
                    event,
                    field: factory.field.clone(),
                });
                Some(self.factories.len() - 1)
            }
            None => None,
        };
        let listed: HashSet<Address> =
            config.contracts.iter().filter_map(|text| text.parse().ok()).collect();
        let any = factory.is_none() && config.contracts.is_empty();
        let contracts = Contracts { any, listed, factory };
        let mut items =
            config.events.iter().enumerate().try_fold(Vec::new(), |mut items, (place, text)| {
                match parse(text) {
                    Ok(item) => {
                        items.push((format!(".events[{place}]"), item));
                        Ok(items)
                    }
                    Err(problem) => Err(format!(".events[{place}]: {problem}")),
                }
            })?;
        if let Some(path) = &config.abi {
            let in_file = read(path).map_err(|problem| format!(".abi: {problem}"))?;
            items.extend(in_file.into_iter().map(|item| (".abi".to_owned(), item)));
        }
        for (key, item) in items {
            let event = AbiEvent::of(&item, &config.name, contracts.clone())
                .map_err(|problem| format!("{key}: {problem}"))?;
            self.by_topic.entry(topic(&event.signature)).or_default().push(event);
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }

    /// Every event by its ABI, its first topic and where it is expected, as text that can be compared.
    pub(crate) fn places(&self) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for (topic, events) in &self.by_topic {
            for event in events {
                let mut put = |place: &str| {
                    places.insert(format!("{} {topic:#x} {place}", event.abi));
                };
                let Contracts { any, listed, factory } = &event.contracts;
                if *any {
                    put("any");
                }
                listed.iter().for_each(|contract| put(&format!("{contract:#x}")));
                if let Some(factory) = factory.and_then(|factory| self.factories.get(factory)) {
                    put(&format!("made by {:#x}", factory.contract));
                }
            }
        }
        places
    }

    /// First topics of the events, each with the contracts that are known to emit it; `None` = any contract may.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (B256, Option<&HashSet<Address>>)> {
        self.by_topic.iter().flat_map(|(topic, events)| {
            events.iter().map(|event| {
                let Contracts { any, listed, factory } = &event.contracts;
                (*topic, (!any && factory.is_none()).then_some(listed))
            })
        })
    }

    /// The events that a contract's log with this topic may be, in the block of this number.
    pub(crate) fn of<'a>(
        &'a self,
        topic: &B256,
        contract: &Address,
        block: u64,
    ) -> impl Iterator<Item = &'a AbiEvent> {
        let contract = *contract;
        let events = self.by_topic.get(topic).map(Vec::as_slice).unwrap_or_default();
        events.iter().filter(move |event| self.is_of(&event.contracts, &contract, block))
    }

    fn is_of(&self, contracts: &Contracts, contract: &Address, block: u64) -> bool {
        contracts.any
            || contracts.listed.contains(contract)
            || contracts.factory.is_some_and(|factory| {
                let discovered = self.read();
                let made = discovered.contracts.get(&factory);
                made.and_then(|made| made.get(contract)).is_some_and(|since| *since <= block)
            })
    }

    /// Records the contracts that factories created in these logs (contract, topics, data) of a block, before the logs
    /// of these contracts are decoded. Returns the resulting version.
    pub(crate) fn discover<'a>(
        &self,
        block: u64,
        logs: impl Iterator<Item = (Address, &'a [B256], &'a [u8])>,
    ) -> u64 {
        if self.factories.is_empty() {
            return 0;
        }
        let mut made = Vec::new();
        for (contract, topics, data) in logs {
            for (index, factory) in self.factories.iter().enumerate() {
                if factory.contract == contract && topics.first() == Some(&factory.topic) {
                    made.extend(factory.made(topics, data).map(|address| (index, address)));
                }
            }
        }
        if made.is_empty() {
            return self.read().version;
        }
        let mut discovered = self.write();
        for (index, address) in made {
            if discovered.add(index, address, block)
                && let Some(factory) = self.factories.get(index)
            {
                let made = Made { abi: factory.abi.clone(), address, since: block };
                discovered.unsaved.push(made);
            }
        }
        discovered.version
    }

    /// Version of the contracts created by factories: a block that was decoded with an older one must be decoded again.
    pub(crate) fn version(&self) -> u64 {
        if self.factories.is_empty() { 0 } else { self.read().version }
    }

    /// Whether any address comes from a factory.
    pub(crate) fn has_factories(&self) -> bool {
        !self.factories.is_empty()
    }

    pub(crate) fn factories(&self) -> &[Factory] {
        &self.factories
    }

    /// Takes the contracts that are not saved yet; [`Self::keep_again`] if saving failed.
    pub(crate) fn take_unsaved(&self) -> Vec<Made> {
        if self.factories.is_empty() || self.read().unsaved.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.write().unsaved)
    }

    /// Puts back contracts that could not be saved.
    pub(crate) fn keep_again(&self, unsaved: Vec<Made>) {
        self.write().unsaved.extend(unsaved);
    }

    /// Adds saved contracts; those of an ABI that is no longer configured are ignored.
    pub(crate) fn restore(&self, kept: impl Iterator<Item = Made>) {
        let mut discovered = self.write();
        for Made { abi, address, since } in kept {
            let factory = self.factories.iter().position(|factory| factory.abi == abi);
            if let Some(factory) = factory {
                discovered.add(factory, address, since);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Discovered> {
        self.discovered.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Discovered> {
        self.discovered.write()
    }
}

impl Factory {
    /// The contract that its event names.
    pub(crate) fn made(&self, topics: &[B256], data: &[u8]) -> Option<Address> {
        let fields = self.event.decode(topics, data).ok()?;
        match fields.get(&self.field)? {
            EventValue::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl Contracts {
    fn none() -> Self {
        Self { any: false, listed: HashSet::new(), factory: None }
    }
}

impl AbiEvent {
    fn of(item: &AbiItem, abi: &str, contracts: Contracts) -> Result<Self, String> {
        if item.anonymous {
            return Err(format!("event {} is anonymous, which cannot be told apart", item.name));
        }
        if item.num_topics() > 4 {
            return Err(format!("event {} has more than 3 indexed parameters", item.name));
        }
        let mut parameters: Vec<Parameter> = Vec::with_capacity(item.inputs.len());
        for (place, input) in item.inputs.iter().enumerate() {
            let resolved = input.resolve().map_err(|error| error.to_string())?;
            let is_taken = parameters.iter().any(|other| other.name == input.name);
            let name = match input.name.as_str() {
                "" => place.to_string(),
                name if is_taken => format!("{name}_{place}"),
                name => name.to_owned(),
            };
            let abi_type = AbiType::of(&resolved)?;
            parameters.push(Parameter { name, is_indexed: input.indexed, abi_type });
        }
        Ok(Self {
            abi: abi.to_owned(),
            name: item.name.clone(),
            signature: item.signature(),
            parameters,
            contracts,
        })
    }

    /// The values of a log.
    ///
    /// # Errors
    /// When the log has other indexed parameters, too little data, numbers beyond their type, or
    /// more values than any honest event has.
    pub(crate) fn decode(
        &self,
        topics: &[B256],
        data: &[u8],
    ) -> Result<EventFields, NotOfThisForm> {
        let indexed = self.parameters.iter().filter(|parameter| parameter.is_indexed).count();
        if topics.len() != indexed + 1 {
            return Err(NotOfThisForm);
        }
        let mut reader = Reader::new(data);
        let mut fields = EventFields::default();
        let topics = topics.iter().skip(1);
        let parameters = self.parameters.iter().filter(|parameter| parameter.is_indexed);
        for (parameter, topic) in parameters.zip(topics) {
            let value = if parameter.abi_type.is_word() {
                reader.of_word(&parameter.abi_type, topic.0)?
            } else {
                reader.hash(topic.0)?
            };
            fields.0.insert(parameter.name.clone(), value);
        }
        let body = || self.parameters.iter().filter(|parameter| !parameter.is_indexed);
        let values = reader.sequence(body().map(|parameter| &parameter.abi_type), 0)?;
        for (parameter, value) in body().zip(values) {
            fields.0.insert(parameter.name.clone(), value);
        }
        Ok(fields)
    }
}

impl From<Malformed> for NotOfThisForm {
    fn from(_: Malformed) -> Self {
        Self
    }
}

fn topic(signature: &str) -> B256 {
    alloy_primitives::keccak256(signature)
}
