/// The stream that takes `evm.>`.
pub(crate) const STREAM: &str = "EVM";
