#![doc = include_str!("../README.md")]

mod error;
mod file;
mod list;
mod registry;

pub use error::AssetsError;
pub use list::{AssetIds, IdsBy};
pub use registry::{Asset, Registry, Token};
