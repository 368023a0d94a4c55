mod assets;
mod build;
mod error;
mod file;
mod load;
mod provider;
mod settings;

pub use error::CatalogueError;
pub use load::{EndpointSummary, ProviderSummary, providers};

pub(crate) use load::{enabled_providers, find_provider};
pub(crate) use provider::{Endpoint, KeyPlace, Provider};
