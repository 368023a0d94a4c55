//! Second addresses of routes: the names without a version that people know them by.

use utoipa_axum::router::UtoipaMethodRouter;

use crate::{guard::operations, state::ApiState};

/// The route with one more address, which is answered and described as the first one.
pub(super) fn also_at(
    path: &str,
    (schemas, mut paths, router): UtoipaMethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let first = paths.paths.iter().next().map(|(path, item)| (path.clone(), item.clone()));
    if let Some((first, mut item)) = first {
        for (_, operation) in operations(&mut item) {
            operation.summary = Some(format!("The same as `{first}`."));
            operation.description = None;
        }
        paths.paths.insert(path.to_owned(), item);
    }
    (schemas, paths, router)
}
