use crypto_intel_schemas::Stream;

/// The stream that takes `evm.>`.
pub(crate) const STREAM: &str = Stream::Evm.name();
