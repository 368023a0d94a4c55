//! Every text is one that a provider sent.

use super::*;

const ASKED: Span = Span { from: 0x00BD_E5F8, to: 0x00BD_E5F8 + 199_999 };

fn range(from: u64, to: u64) -> Advice {
    Advice::Range(Span { from, to })
}

#[test]
fn the_suggested_range_is_taken() {
    let cases = [
        (
            "query returned more than 10000 results. Try with this block range [0xBDE5F8, 0xBDEBCC].",
            range(0xBD_E5F8, 0xBD_EBCC),
        ),
        (
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: [0xBDE5F8, 0xBDE6F8]",
            range(0xBD_E5F8, 0xBD_E6F8),
        ),
        (
            "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this block range should work: [0xbde5f8, 0xbde601]. Upgrade to PAYG for expanded block range.",
            range(0xBD_E5F8, 0xBD_E601),
        ),
        (
            "query exceeds max results 20000, retry with the range 12445176-12445685",
            range(12_445_176, 12_445_685),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read_refusal(text, ASKED), expected, "{text}");
    }
}

#[test]
fn a_suggestion_that_does_not_fit_is_read_for_its_width() {
    let elsewhere = "query exceeds max results 20000, retry with the range 6000000-6000509";
    assert_eq!(read_refusal(elsewhere, ASKED), Advice::Width(510));
    let wider =
        "query returned more than 10000 results. Try with this block range [0xBDE5F8, 0xFFFFFFFF].";
    assert_eq!(read_refusal(wider, ASKED), Advice::Halve);
    let broken = "Log response size exceeded. up to a 2K block range: [0x0, nonsense]";
    assert_eq!(read_refusal(broken, ASKED), Advice::Width(2_000));
}

#[test]
fn the_number_in_the_text_is_taken() {
    for (text, width) in [
        ("eth_getLogs is limited to a 10,000 range", 10_000),
        ("eth_getLogs is limited to a 5 range", 5),
        ("exceed maximum block range: 50000", 50_000),
        ("eth_getLogs is limited to 0 - 50 blocks range", 50),
        ("eth_getLogs is limited to a 1000 blocks range", 1_000),
        (
            "Block range too large: maximum allowed is 50 blocks on your current plan. Upgrade your subscription at https://nodies.app for larger ranges.",
            50,
        ),
        ("maximum [from, to] blocks distance: 10000", 10_000),
        ("requested too many blocks from 1 to 200000, maximum is set to 2048", 2_047),
        ("eth_getLogs is limited to 1024 block range", 1_024),
        ("log query range must not exceed 25 blocks", 25),
        ("Max range: 800", 800),
        ("Maximum allowed number of requested blocks is 1000", 1_000),
        ("eth_getLogs range is too large, max is 10k blocks", 10_000),
        ("eth_getLogs range is too large, max is 1k blocks", 1_000),
        ("please limit the query to at most 1000 blocks", 1_000),
        ("exceeds the range allowed for your plan (5000 > 3000)", 3_000),
        ("block range is too wide (maximum 1024)", 1_024),
        ("exceed max block range: 5000", 5_000),
        ("block range is too wide", 3_000),
        ("block range too large", 2_000),
    ] {
        assert_eq!(read_refusal(text, ASKED), Advice::Width(width), "{text}");
    }
}

#[test]
fn without_a_reliable_number_it_is_halved() {
    for text in [
        "ranges over 10000 blocks are not supported on free plan",
        "ranges over 10000 blocks are not supported on freetier",
        "query exceeds max results",
        "logs matched by query exceeds limit of 10000",
        "Block range is too large",
        "backend response too large",
        "no backend is currently healthy to serve traffic",
        "Block range limit exceeded.",
        "Response is too big",
        "More than 50000 logs returned",
        "HTTP 413 Payload Too Large",
    ] {
        assert_eq!(read_refusal(text, ASKED), Advice::Halve, "{text}");
    }
}

#[test]
fn rates_keys_pruning_and_missing_methods_are_never_split() {
    for text in [
        "Request timeout on the free plan, please upgrade to paid plan",
        "Public endpoint rate limit",
        "Please specify an address in your request or, to remove restrictions, order a dedicated full node here: https://www.allnodes.com/eth/host",
        "History has been pruned for this block. To remove restrictions, order a dedicated full node here: ...",
        "Archive requests require a personal token",
        "limit exceeded",
        "The method eth_getLogs is not supported",
        "50/second request limit reached - reduce calls per second or upgrade your account at quicknode.com",
        "Your app has exceeded its compute units per second capacity. If you have retries enabled, you can safely ignore this message.",
        "Monthly capacity limit exceeded.",
        "Payment Required",
        "Unauthorized: You must authenticate your request with an API key.",
        "You've exceeded the RPS limit available on the current plan.",
        "missing trie node 4a5b (path ) state 0x00 is not available",
        "header not found",
        "No state available for block 12 (0x0c)",
        "historical state 0xab is not available",
        "Unknown block",
        "Unknown state. First available state is 1",
    ] {
        assert_eq!(read_refusal(text, ASKED), Advice::NeverSplit, "{text}");
    }
}

#[test]
fn an_unknown_text_is_reported_and_not_guessed_at() {
    for text in ["", "internal error", "execution aborted (code 7)"] {
        assert_eq!(read_refusal(text, ASKED), Advice::Unknown, "{text}");
    }
}
