use std::error::Error;

/// An error and its causes in one line: `cannot read stream EVM: no answer from nats`. A cause that the text names
/// already is not repeated.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("connection refused")]
        Refused,
        #[error("cannot connect: {0}")]
        Connect(#[source] Box<Failure>),
        #[error("cannot read")]
        Read(#[source] Box<Failure>),
    }

    #[test]
    fn names_every_cause_once() {
        let connect = Failure::Connect(Box::new(Failure::Refused));
        let read = Failure::Read(Box::new(connect));
        assert_eq!(error_chain(&read), "cannot read: cannot connect: connection refused");
    }
}
