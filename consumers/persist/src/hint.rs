use crypto_intel_store::StoreError;

/// The error with what to do about it.
pub(crate) fn with_hint(error: StoreError) -> anyhow::Error {
    let hint = error.hint();
    anyhow::Error::new(error).context(hint)
}
