//! What each kind declares is true.

use crypto_intel_schemas::{Kind, Stream, patterns, samples, subjects};

#[test]
fn every_subject_has_its_form_and_is_taken_by_its_streams() {
    for &kind in Kind::ALL {
        let event = samples::sample(kind);
        let subject = subjects::of(&event);
        let own = kind.patterns();
        assert!(own.iter().any(|own| patterns::matches(own, &subject)), "{kind}: {subject}");
        assert!(kind.is_on(&subject), "{kind}: {subject}");
        for own in &own {
            let taken = streams_take(kind, own);
            assert!(taken, "{kind}: no filter of its streams selects {own}");
        }
        let streams = kind.streams();
        assert!(!streams.is_empty(), "{kind}");
        for (stream, filter) in streams {
            let taken = stream.subjects().iter().any(|taken| patterns::covers(taken, filter));
            assert!(taken, "{kind}: {stream} takes no {filter}");
        }
        assert!(streams.iter().any(|(_, filter)| patterns::covers(filter, &subject)), "{kind}");
        assert_eq!(event.block_fields().is_some(), streams[0].1 == subjects::EVM_ALL, "{kind}");
    }
}

fn streams_take(kind: Kind, pattern: &str) -> bool {
    kind.streams().iter().any(|(_, filter)| {
        patterns::covers(filter, pattern)
            // A tick's stream is one word of its subject.
            || kind == Kind::Tick && patterns::covers(pattern, filter)
    })
}

#[test]
fn a_subject_belongs_to_one_kind() {
    for &kind in Kind::ALL {
        let subject = subjects::of(&samples::sample(kind));
        let on: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| kind.is_on(&subject)).collect();
        assert_eq!(on, [kind], "{subject}");
    }
    assert!(Kind::Metric.is_on("market.*.bitcoin") && Kind::Price.is_on("market.*.bitcoin"));
    assert!(!Kind::Metric.is_on("market.price.>") && !Kind::Metric.is_on("evm.*.swap"));
    assert!(Kind::Metric.is_on("gas.>") && !Kind::Price.is_on("gas.>"));
}

#[test]
fn subjects_of_chains_are_named_after_their_kind() {
    for &kind in Kind::ALL.iter().filter(|kind| samples::sample(**kind).block_fields().is_some()) {
        let filter = subjects::chain_filter(subjects::Lane::Live, "*", kind);
        assert_eq!(kind.patterns(), [filter]);
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
        let mut normal = event.clone();
        normal.normalise();
        assert_eq!(normal, event, "{kind}: the sample is in its one form");
        assert_ne!(event.key(), event.id(), "{kind}: say what it is about");
    }
}
