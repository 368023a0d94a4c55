/// The known name that was probably meant.
fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let limit = (name.chars().count() / 3).min(3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to say of an unknown name where a known one is near.
pub(crate) fn did_you_mean<'n>(
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    nearest(name, known).map(|known| format!("did you mean `{known}`?"))
}

/// The same, or all known names.
pub(crate) fn correction<'n>(
    name: &str,
    known: impl IntoIterator<Item = &'n str, IntoIter: Clone>,
) -> String {
    let known = known.into_iter();
    did_you_mean(name, known.clone())
        .unwrap_or_else(|| format!("known: {}", known.collect::<Vec<_>>().join(", ")))
}
