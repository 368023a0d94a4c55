//! Grants one by one: `pg_restore` sends all grants on a table at once, so one missing role would lose them all.

use std::path::Path;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{error::BackupError, programs::PgProgram};
use crate::error::StoreError;

/// Applies the grants of the list; returns how many statements succeeded, and how many named roles that do not exist here.
pub(super) async fn grant(
    client: &Client,
    program: &PgProgram,
    file: &Path,
    list: &str,
) -> Result<(u64, u64), BackupError> {
    let mut command = program.command();
    command.arg("--use-list=/dev/stdin").arg("--file=-").arg(file);
    let output = program.run_with(&mut command, list).await?;
    let (mut granted, mut left_out) = (0, 0);
    for statement in statements(&String::from_utf8_lossy(&output.stdout)) {
        match client.batch_execute(&statement).await {
            Ok(()) => granted += 1,
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => left_out += 1,
            Err(error) => return Err(StoreError::sql("restore grants")(error).into()),
        }
    }
    Ok((granted, left_out))
}

/// The statements that change privileges. `pg_restore` writes each on a line of its own.
fn statements(script: &str) -> Vec<String> {
    const BEGINNINGS: [&str; 5] =
        ["GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES ", "SET SESSION AUTHORIZATION ", "RESET "];
    let is_wanted = |line: &&str| BEGINNINGS.iter().any(|beginning| line.starts_with(beginning));
    script.lines().filter(is_wanted).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statements_about_rights_are_taken() {
        let script = "SET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n--\n\
            -- Name: TABLE blocks; Type: ACL\n--\n\nREVOKE ALL ON TABLE public.blocks FROM owner;\n\
            GRANT SELECT ON TABLE public.blocks TO reader;\n";
        assert_eq!(
            statements(script),
            [
                "REVOKE ALL ON TABLE public.blocks FROM owner;",
                "GRANT SELECT ON TABLE public.blocks TO reader;"
            ]
        );
    }
}
