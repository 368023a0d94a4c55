//! What each kind declares is true.

use crypto_intel_schemas::{Kind, Stream, patterns, samples, subjects};

#[test]
fn every_subject_has_its_form_and_is_taken_by_its_streams() {
    for &kind in Kind::ALL {
        let event = samples::sample(kind);
        let subject = subjects::of(&event);
        assert!(patterns::matches(&kind.pattern(), &subject), "{kind}: {subject}");
        let streams = kind.streams();
        assert!(!streams.is_empty(), "{kind}");
        for (stream, filter) in streams {
            let taken = stream.subjects().iter().any(|taken| patterns::covers(taken, filter));
            assert!(taken, "{kind}: {stream} takes no {filter}");
        }
        assert!(streams.iter().any(|(_, filter)| patterns::covers(filter, &subject)), "{kind}");
        assert_eq!(
            event.block_fields().is_some(),
            streams[0].0 == Stream::Evm && kind != Kind::Tick
        );
    }
}

#[test]
fn subjects_of_chains_are_named_after_their_kind() {
    for &kind in Kind::ALL.iter().filter(|kind| samples::sample(**kind).block_fields().is_some()) {
        let filter = subjects::chain_filter(subjects::Lane::Live, "*", kind);
        assert_eq!(kind.pattern(), filter);
    }
}

#[test]
fn streams_are_found_by_their_names_and_overlap_nowhere() {
    for stream in Stream::ALL {
        assert_eq!(Stream::named(stream.name()), Some(stream));
        assert_eq!(stream.slug(), stream.name().to_ascii_lowercase());
        for other in Stream::ALL.into_iter().filter(|other| *other != stream) {
            for (one, two) in stream
                .subjects()
                .iter()
                .flat_map(|one| other.subjects().iter().map(move |two| (one, two)))
            {
                assert!(!patterns::overlaps(one, two), "{stream} {one}, {other} {two}");
            }
        }
    }
    assert_eq!(Stream::named("KV_prices"), None);
}

#[test]
fn a_polled_kind_belongs_to_no_chain_and_passes_its_own_check() {
    for &kind in Kind::ALL.iter().filter(|kind| kind.is_polled()) {
        let event = samples::sample(kind);
        assert!(event.block_fields().is_none(), "{kind}");
        assert_eq!(event.check(), Ok(()), "{kind}");
        assert_ne!(event.key(), event.id(), "{kind}: say what it is about");
    }
}
