mod build;
mod error;
mod file;
mod load;
mod settings;

pub use error::CatalogueError;
pub use load::{EndpointSummary, ProviderSummary, providers};

pub(crate) use build::{Endpoint, KeyPlace, Provider};
pub(crate) use load::{enabled_providers, find_provider};
