use serde_json::value::RawValue;

/// A result as JSON text; `null` when the endpoint has nothing.
#[derive(Debug)]
pub(crate) struct Answer(Box<RawValue>);

impl Answer {
    pub(crate) fn new(value: Box<RawValue>) -> Self {
        Self(value)
    }

    pub(crate) fn text(&self) -> &str {
        self.0.get()
    }

    pub(crate) fn is_null(&self) -> bool {
        self.text() == "null"
    }
}
