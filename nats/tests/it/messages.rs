use crypto_intel_nats::{Batch, Fence, OutMessage, StreamMessage, StreamReader};
use crypto_intel_testkit::within;

pub(crate) fn message(subject: &str, number: usize) -> OutMessage {
    OutMessage::new(subject, format!("body {number}")).schema("test.kind/1")
}

pub(crate) fn block(subject: &str, messages: usize, fence: Option<u64>) -> Batch {
    Batch {
        messages: (0..messages).map(|number| message(subject, number)).collect(),
        fence: fence.map(|last_sequence| Fence { filter: "evm.anvil.>".to_owned(), last_sequence }),
    }
}

/// Reads `count` messages; fails on a notice, or when no message comes.
pub(crate) async fn read(reader: &mut StreamReader, count: usize) -> Vec<StreamMessage> {
    let mut all = Vec::new();
    while all.len() < count {
        let batch = within(reader.next(count - all.len())).await.unwrap();
        assert_eq!(batch.notices, []);
        all.extend(batch.messages);
    }
    all
}
