/// The files of `migrations/`, in order.
pub(crate) const MIGRATIONS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The statements of a migration.
pub(super) fn sql_of(name: &str) -> &'static str {
    MIGRATIONS.iter().find(|(known, _)| *known == name).map_or("", |(_, sql)| sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        assert!(MIGRATIONS.len() >= 17);
        for (place, (name, sql)) in MIGRATIONS.iter().enumerate() {
            assert!(name.starts_with(&format!("V{}__", place + 1)), "{name}");
            assert!(!sql.is_empty(), "{name}");
        }
    }
}
