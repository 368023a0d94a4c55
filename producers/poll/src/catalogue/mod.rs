mod assets;
mod build;
mod build_endpoint;
mod build_history;
mod error;
mod example;
mod file;
mod history_file;
mod load;
mod mistake;
mod provider;
mod quota_file;
mod range_variables;
mod request;
mod secret_text;
mod settings;
mod summary;

pub use error::CatalogueError;
pub use file::Category;
pub use summary::{EndpointSummary, ProviderSummary, check_settings, providers};

pub(crate) use file::Format;
pub(crate) use history_file::Order;
pub(crate) use load::{Catalogue, Loaded, Which, Wrong, find_provider, own_files, read_provider};
pub(crate) use provider::{Endpoint, History, MAX_EVENTS, Provider};
#[cfg(test)]
pub(crate) use {
    file::ProviderFile,
    load::{WithKeys, shipped_providers},
};
