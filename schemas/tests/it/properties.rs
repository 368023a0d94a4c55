//! What holds for every event and for every sequence of bytes.

use crypto_intel_schemas::{Decimal, Event, Kind, U256, samples};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use crate::{arbitrary, mutate::mutated};

/// Whether `read` survives encoding and decoding: nothing was read only in part.
fn is_stable(read: &Event) -> bool {
    Event::decode(&read.encode()).is_ok_and(|again| again == *read)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn encoding_then_decoding_is_the_identity(events in arbitrary::one_of_every_kind()) {
        prop_assert_eq!(events.len(), Kind::ALL.len());
        for event in events {
            let body = event.encode();
            prop_assert_eq!(Event::decode(&body).unwrap(), event.clone());
            prop_assert_eq!(Event::from_json(&event.to_json()).unwrap(), event);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let read = Event::decode(&body);
        prop_assert!(read.is_err() || read.is_ok_and(|event| is_stable(&event)));
    }

    #[test]
    fn damaged_bodies_never_panic(seed in any::<u64>()) {
        let corpus: Vec<Vec<u8>> =
            Kind::ALL.iter().map(|&kind| samples::sample(kind).encode()).collect();
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..16 {
            let body = mutated(&corpus, &mut random);
            if let Ok(read) = Event::decode(&body) {
                prop_assert!(is_stable(&read), "{:02x?}", body);
            }
        }
    }

    #[test]
    fn a_cut_body_is_never_an_event(kind in prop::sample::select(Kind::ALL), share in 0.0..1.0) {
        let body = samples::sample(kind).encode();
        let length = (body.len() as f64 * share) as usize;
        prop_assert!(Event::decode(&body[..length.min(body.len() - 1)]).is_err());
    }

    #[test]
    fn amounts_survive_their_text(value in arbitrary::limbs(), decimals in any::<u8>()) {
        let amount = Decimal::from_units(U256::from_limbs(value), decimals);
        prop_assert_eq!(Decimal::parse(amount.as_str()).unwrap(), amount);
    }

    #[test]
    fn decimal_texts_have_one_form(text in "-?[0-9]{0,6}(\\.[0-9]{0,6})?([eE][+-]?[0-9]{1,2})?") {
        if let Ok(read) = Decimal::parse(&text) {
            let canonical = is_canonical(read.as_str());
            prop_assert!(canonical, "{} became {}", text, read);
            prop_assert_eq!(Decimal::parse(read.as_str()).unwrap(), read.clone());
            let expected: f64 = text.parse().unwrap();
            let difference = (read.to_f64() - expected).abs();
            prop_assert!(difference <= expected.abs() * 1e-12, "{} became {}", text, read);
        }
    }
}

/// No leading zeros except one before the point, no trailing ones after it, no exponent.
fn is_canonical(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "1"));
    (whole == "0" || !whole.starts_with('0'))
        && !whole.is_empty()
        && !fraction.ends_with('0')
        && !fraction.is_empty()
        && text != "-0"
        && !text.contains(['e', 'E', '+'])
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for opening in [0x91, 0x81] {
        let mut body = b"\x83\xa4kind\xa5price\xa7version\x01\xa1x".to_vec();
        body.extend(std::iter::repeat_n(opening, 100_000));
        assert!(Event::decode(&body).is_err());
        assert!(Event::decode(&body[20..]).is_err());
    }
}

#[test]
fn a_declared_length_reserves_no_memory() {
    // An array of 4 billion topics in a body of a few bytes must not reserve room for them.
    let body = b"\x83\xa4kind\xa3log\xa7version\x01\xa6topics\xdd\xff\xff\xff\xff";
    assert!(Event::decode(body).is_err());
}
