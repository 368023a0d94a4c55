use std::fmt;

use crate::{policies::plan::PolicyChange, pool::edition::Edition};

/// What a migration did or, in a dry run, would do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MigrationReport {
    /// What the server offers.
    pub edition: Edition,
    /// Migrations that were applied before.
    pub already: Vec<String>,
    /// Migrations that were applied now, or would be in a dry run.
    pub applied: Vec<String>,
    /// What these create, and in which form on this server.
    pub forms: Vec<String>,
    /// Policies that were changed now, or would be in a dry run.
    pub policies: Vec<PolicyChange>,
    /// What could not be done, and what to do about it.
    pub notes: Vec<String>,
    /// Whether this was a dry run, which changes nothing.
    pub dry_run: bool,
}

impl MigrationReport {
    /// How many migrations a dry run found to be missing; 0 after a real run.
    #[must_use]
    pub fn pending(&self) -> usize {
        if self.dry_run { self.applied.len() } else { 0 }
    }
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}, {} migrations in force before", self.edition, self.already.len())?;
        let (apply, make, set) = match self.dry_run {
            true => ("would apply", "would make", "would set"),
            false => ("applied", "made", "set"),
        };
        for migration in &self.applied {
            writeln!(formatter, "{apply} {migration}")?;
        }
        for form in &self.forms {
            writeln!(formatter, "{make} {form}")?;
        }
        for policy in &self.policies {
            writeln!(formatter, "{set} {policy}")?;
        }
        for note in &self.notes {
            writeln!(formatter, "note: {note}")?;
        }
        if self.applied.is_empty() && self.policies.is_empty() {
            writeln!(formatter, "nothing to do")?;
        }
        Ok(())
    }
}
