/// The files of `migrations/`, in order.
pub(crate) const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__foundation", include_str!("../../../../migrations/V1__foundation.sql")),
    ("V2__chain_tables", include_str!("../../../../migrations/V2__chain_tables.sql")),
    ("V3__market_tables", include_str!("../../../../migrations/V3__market_tables.sql")),
    ("V4__alerting_tables", include_str!("../../../../migrations/V4__alerting_tables.sql")),
    ("V5__text_views", include_str!("../../../../migrations/V5__text_views.sql")),
    (
        "V6__dex_and_event_tables",
        include_str!("../../../../migrations/V6__dex_and_event_tables.sql"),
    ),
    ("V7__market_ticks", include_str!("../../../../migrations/V7__market_ticks.sql")),
    ("V8__chain_state", include_str!("../../../../migrations/V8__chain_state.sql")),
    ("V9__wallets", include_str!("../../../../migrations/V9__wallets.sql")),
    ("V10__server_forms", include_str!("../../../../migrations/V10__server_forms.sql")),
    ("V11__rollups", include_str!("../../../../migrations/V11__rollups.sql")),
    ("V12__retention", include_str!("../../../../migrations/V12__retention.sql")),
    ("V13__summaries", include_str!("../../../../migrations/V13__summaries.sql")),
    ("V14__comments", include_str!("../../../../migrations/V14__comments.sql")),
    ("V15__roles", include_str!("../../../../migrations/V15__roles.sql")),
    ("V16__jumps", include_str!("../../../../migrations/V16__jumps.sql")),
    ("V17__wallets_seen", include_str!("../../../../migrations/V17__wallets_seen.sql")),
];

/// The statements of a migration.
pub(super) fn sql_of(name: &str) -> &'static str {
    MIGRATIONS.iter().find(|(known, _)| *known == name).map_or("", |(_, sql)| sql)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut embedded: Vec<&str> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
        embedded.sort_unstable();
        assert_eq!(files, embedded);
    }
}
