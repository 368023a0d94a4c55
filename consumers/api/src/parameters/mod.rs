//! Parameters of a request: declared once, from which reading, checking and describing follow.

pub(crate) mod body;
pub(crate) mod reader;
pub(crate) mod values;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use utoipa::openapi::path::Parameter;

use crate::problem::Problem;
use reader::Reader;
use values::Value;

/// The query parameters of a route.
pub(crate) trait QueryParameters: Sized {
    /// Their names, in the order of the description.
    const NAMES: &'static [&'static str];

    /// Reads them; `None` when one is wrong, which the reader then knows.
    fn read(reader: &mut Reader) -> Option<Self>;

    /// Describes them.
    fn describe() -> Vec<Parameter>;
}

/// Declares the query parameters of a route as a struct. Each field's type says how it is read and described.
macro_rules! parameters {
    ($(#[doc = $about:literal])* pub(crate) struct $name:ident {
        $( $(#[doc = $doc:literal])+ pub(crate) $field:ident: $type:ty, )*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])+ pub(crate) $field: $type, )*
        }

        impl $crate::parameters::QueryParameters for $name {
            const NAMES: &'static [&'static str] = &[$( stringify!($field), )*];

            fn read(reader: &mut $crate::parameters::reader::Reader) -> Option<Self> {
                // All of them first: everything that is wrong is told at once. A route may have none.
                let _ = &reader;
                $( let $field = reader.take::<$type>(stringify!($field)); )*
                Some(Self { $( $field: $field?, )* })
            }

            fn describe() -> Vec<utoipa::openapi::path::Parameter> {
                vec![$(
                    <$type as $crate::parameters::reader::FromQuery>::describe(
                        stringify!($field),
                        concat!($($doc),+).trim(),
                    ),
                )*]
            }
        }

        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                <Self as $crate::parameters::QueryParameters>::describe()
            }
        }
    };
}
pub(crate) use parameters;

/// The query parameters of a request, and the query as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked<T> {
    pub(crate) parameters: T,
    /// What a cursor is bound to: the parameters without those that turn pages, sorted.
    pub(crate) filters: String,
}

impl<S: Sync, T: QueryParameters> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut reader = Reader::new(parts.uri.query().unwrap_or_default());
        let filters = reader.filters();
        let read = T::read(&mut reader);
        let parameters = reader.finish(read, T::NAMES)?;
        Ok(Self { parameters, filters })
    }
}

parameters! {
    /// A route without query parameters.
    pub(crate) struct NoParameters {}
}

/// The one parameter in a path.
#[derive(Debug, Clone)]
pub(crate) struct At<T>(pub(crate) T);

impl<S: Send + Sync, T: Value + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let texts = path_texts(parts, state).await?;
        let (name, text) = texts.first().ok_or_else(|| Problem::not_found("no such path"))?;
        Ok(Self(path_value(name, text)?))
    }
}

/// The two parameters in a path.
#[derive(Debug, Clone)]
pub(crate) struct AtBoth<T, U>(pub(crate) T, pub(crate) U);

impl<S: Send + Sync, T: Value + Send, U: Value + Send> FromRequestParts<S> for AtBoth<T, U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let texts = path_texts(parts, state).await?;
        let [(first, one), (second, two)] = texts.as_slice() else {
            return Err(Problem::not_found("no such path"));
        };
        Ok(Self(path_value(first, one)?, path_value(second, two)?))
    }
}

async fn path_texts<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(String, String)>, Problem> {
    let Path(texts) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
        .await
        .map_err(|error| Problem::parameter("path", error.body_text()))?;
    Ok(texts)
}

fn path_value<T: Value>(name: &str, text: &str) -> Result<T, Problem> {
    T::parse(text).map_err(|detail| Problem::parameter(name, detail))
}

/// Describes a parameter in a path.
pub(crate) fn in_path<T: Value>(name: &str, about: &str) -> Parameter {
    use utoipa::openapi::{
        Required,
        path::{ParameterBuilder, ParameterIn},
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(T::schema()))
        .build()
}

/// Declares the parameters in a path, for the description: `path_parameters!(pub(crate) OfWallet { address: AddressValue = "…" })`.
macro_rules! path_parameters {
    ($visibility:vis $name:ident { $( $field:ident: $type:ty = $about:literal ),+ $(,)? }) => {
        #[derive(Debug)]
        $visibility struct $name;

        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                vec![$( $crate::parameters::in_path::<$type>(stringify!($field), $about), )+]
            }
        }
    };
}
pub(crate) use path_parameters;
