use crypto_intel_store::StoreError;

/// Adds to the error what to do about it.
pub(crate) fn with_hint(error: StoreError) -> anyhow::Error {
    let hint = error.hint();
    anyhow::Error::new(error).context(hint)
}
