use std::ops::Range;

use crypto_intel_store::{ErrorClass, Store, StoreError, Table, TableRows};

use crate::intake::batch::Poison;

/// Finds the rows that a table refuses, by bisection: about 2 × log2(rows) small transactions for each, all rolled back.
///
/// # Errors
/// When a transaction fails for another reason than its rows.
pub(super) async fn find_refused(
    store: &Store,
    table: Table,
    rows: &TableRows,
) -> Result<Vec<Poison>, StoreError> {
    let mut refused = Vec::new();
    let mut suspects: Vec<Range<usize>> = std::iter::once(0..rows.len()).collect();
    while let Some(suspect) = suspects.pop() {
        if suspect.is_empty() {
            continue;
        }
        let mut index = 0;
        let (body, _) = rows.copy_body(|_| {
            index += 1;
            suspect.contains(&(index - 1))
        });
        match store.try_rows(table, body).await {
            Ok(()) => {}
            Err(error) if error.class() != ErrorClass::Row => return Err(error),
            Err(error) if suspect.len() == 1 => {
                let message = rows.rows()[suspect.start].message;
                refused.push(Poison { message, error: error.to_string() });
            }
            Err(_) => {
                let middle = suspect.start + suspect.len() / 2;
                suspects.push(middle..suspect.end);
                suspects.push(suspect.start..middle);
            }
        }
    }
    Ok(refused)
}
