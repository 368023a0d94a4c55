//! The wire contract: golden vectors, JSON Schemas, properties, and another language's view.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod arbitrary;
mod chunk;
mod drift;
mod golden;
mod json_schema;
mod kinds;
mod kv;
mod mutate;
mod properties;
mod python;
mod samples;
