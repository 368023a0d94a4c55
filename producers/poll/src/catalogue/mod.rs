mod assets;
mod build;
mod build_endpoint;
mod error;
mod example;
mod file;
mod load;
mod mistake;
mod provider;
mod quota_file;
mod request;
mod secret_text;
mod settings;

pub use error::CatalogueError;
pub use file::Category;
pub use load::{EndpointSummary, ProviderSummary, providers, try_examples};

pub(crate) use file::Format;
pub(crate) use load::{
    all_providers, enabled_providers, find_provider, read_provider, shipped_providers,
};
pub(crate) use provider::{Endpoint, Provider};
