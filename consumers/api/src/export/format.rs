use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use crate::parameters::values::one_of;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Pages, as ever.
    Json,
    /// An item a line, and a last line.
    Ndjson,
    /// A record an item, and a last record (RFC 4180).
    Csv,
}

one_of!(Format, ["json" => Format::Json, "ndjson" => Format::Ndjson, "csv" => Format::Csv]);

impl Format {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// What the header `Accept` prefers of the formats that there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted(pub(super) Option<Format>);

impl<S: Sync> FromRequestParts<S> for Accepted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::ACCEPT).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        Ok(Self(texts.flat_map(|text| text.split(',')).find_map(format_of)))
    }
}

fn format_of(range: &str) -> Option<Format> {
    match range.split(';').next().unwrap_or_default().trim() {
        "application/x-ndjson" => Some(Format::Ndjson),
        "text/csv" => Some(Format::Csv),
        "application/json" | "application/*" | "*/*" => Some(Format::Json),
        _ => None,
    }
}
