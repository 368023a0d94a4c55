//! A filter of transfers as a rule: what a list shows now, told from now on.

use std::fmt::Write as _;

use axum::{Json, extract::State};
use crypto_intel_store::{Side, TransferKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{RuleProblemItem, check::compiled};
use crate::{
    auth::scopes::Scope,
    guard::Guard,
    limits::cost,
    parameters::{
        Asked, NoParameters,
        body::Body,
        values::{AddressValue, ChainSlug, Dollars, Value},
    },
    problem::Problem,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(Guard::new(Scope::RulesTest, cost::LIST).of(routes!(from_filter)))
}

/// A filter, as the list of transactions takes it, and what the rule is called.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Filter {
    /// Id of the rule: lower case letters, digits and `-`.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,63}$")]
    id: Option<String>,
    /// info, warning or critical; info without a word.
    severity: Option<String>,
    /// Destinations that it names.
    #[schema(max_items = 20)]
    routes: Vec<String>,
    /// Only of these chains.
    #[schema(max_items = 20)]
    chain: Vec<String>,
    /// Only of these kinds: native, internal, erc20, erc721 or erc1155.
    #[schema(max_items = 5)]
    kind: Vec<String>,
    /// Only those of this address.
    address: Option<String>,
    /// On which side `address` is: out, in or either.
    direction: Option<String>,
    /// Only of this token.
    token: Option<String>,
    /// Only those that touch a watched address.
    watched: bool,
    /// Only native value and tokens on the list of known ones.
    verified: bool,
    /// Only those worth at least so many US dollars.
    min_usd: Option<String>,
}

/// A rule that was made.
#[derive(Debug, Serialize, ToSchema)]
struct Made {
    /// Its text, in TOML.
    toml: String,
    /// What is wrong with it: a destination that is not configured.
    problems: Vec<RuleProblemItem>,
}

/// Makes the text of a rule of a filter. It is kept nowhere: put it into a rule file.
#[utoipa::path(
    post,
    path = "/api/v1/rules/from-filter",
    tag = "rules",
    request_body = Filter,
    responses((status = 200, body = Made))
)]
async fn from_filter(
    State(state): State<ApiState>,
    _: Asked<NoParameters>,
    Body(filter): Body<Filter>,
) -> Result<Json<Made>, Problem> {
    let toml = rule_of(&filter).map_err(Problem::unprocessable)?;
    let problems = compiled(&state, toml.clone(), false).await?.err().unwrap_or_default();
    let problems = problems.into_iter().map(|problem| RuleProblemItem::of(problem, false));
    Ok(Json(Made { toml, problems: problems.collect() }))
}

/// A value of the filter, as the list of transactions reads it.
fn read<T: Value>(name: &str, text: &str) -> Result<T, String> {
    T::parse(text).map_err(|detail| format!("{name}: {detail}"))
}

fn word(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Native => "native",
        TransferKind::Internal => "internal",
        TransferKind::Erc20 => "erc20",
        TransferKind::Erc721 => "erc721",
        TransferKind::Erc1155 => "erc1155",
    }
}

/// The kinds that the filter can match.
fn kinds(filter: &Filter) -> Result<Vec<TransferKind>, String> {
    let mut kinds: Vec<TransferKind> = match filter.kind.as_slice() {
        [] => TransferKind::ALL.to_vec(),
        texts => texts.iter().map(|text| read("kind", text)).collect::<Result<_, _>>()?,
    };
    kinds.sort_unstable();
    kinds.dedup();
    let (is_nft, is_token) = (
        |kind: &TransferKind| matches!(kind, TransferKind::Erc721 | TransferKind::Erc1155),
        |kind: &TransferKind| !matches!(kind, TransferKind::Native | TransferKind::Internal),
    );
    if filter.min_usd.is_some() {
        kinds.retain(|kind| !is_nft(kind));
        if kinds.is_empty() {
            return Err("min_usd: events of NFTs have no dollars: leave it out".into());
        }
    }
    if filter.token.is_some() {
        kinds.retain(is_token);
        if kinds.is_empty() {
            return Err("token: native value is of no token: leave one of both out".into());
        }
    }
    Ok(kinds)
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn texts(texts: &[String]) -> String {
    let all: Vec<String> = texts.iter().map(|one| text(one)).collect();
    format!("[{}]", all.join(", "))
}

/// The condition, part by part.
fn conditions(
    filter: &Filter,
    kinds: &[TransferKind],
    chains: &[String],
) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    if chains.len() > 1 {
        all.push(format!("chain in {}", texts(chains)));
    }
    let has = |kind| kinds.contains(&kind);
    let only = |kind: TransferKind, condition: &str| match kinds {
        [_] => condition.to_owned(),
        _ => format!("(kind != \"transfer.{}\" || {condition})", word(kind)),
    };
    if has(TransferKind::Native) {
        all.push(only(TransferKind::Native, "status != \"failed\""));
    }
    if filter.verified && has(TransferKind::Erc20) {
        all.push(only(TransferKind::Erc20, "token_verified"));
    }
    if let Some(usd) = &filter.min_usd {
        let Dollars(usd) = read("min_usd", usd)?;
        let fraction = if usd.contains('.') { "" } else { ".0" };
        all.push(format!("usd >= {usd}{fraction}"));
    }
    if let Some(address) = &filter.address {
        let AddressValue(address) = read("address", address)?;
        let direction = filter.direction.as_deref().unwrap_or("either");
        all.push(match read::<Side>("direction", direction)? {
            Side::Out => format!("from == \"{address:#x}\""),
            Side::In => format!("to == \"{address:#x}\""),
            Side::Either => format!("(from == \"{address:#x}\" || to == \"{address:#x}\")"),
        });
    } else if filter.direction.is_some() {
        return Err("direction: it is of `address`: give that, too".into());
    }
    if let Some(token) = &filter.token {
        let AddressValue(token) = read("token", token)?;
        all.push(format!("address == \"{token:#x}\""));
    }
    if filter.watched {
        all.push("size(watched) > 0".to_owned());
    }
    Ok(all)
}

/// The text of the rule.
fn rule_of(filter: &Filter) -> Result<String, String> {
    let id = filter.id.as_deref().unwrap_or("transfers-of-a-filter");
    let is_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=64).contains(&id.len()) || !id.bytes().all(is_id) || id.starts_with('-') {
        return Err("id: write 1 to 64 lower case letters, digits and `-`".into());
    }
    let severity = filter.severity.as_deref().unwrap_or("info");
    if !["info", "warning", "critical"].contains(&severity) {
        return Err("severity: use one of info, warning, critical".into());
    }
    if filter.chain.len() > 20 || filter.routes.len() > 20 || filter.kind.len() > 5 {
        return Err("chain, routes, kind: give 20 at most, of kinds 5".into());
    }
    let mut chains: Vec<String> = Vec::new();
    for text in &filter.chain {
        let ChainSlug(chain) = read("chain", text)?;
        if !chains.contains(&chain) {
            chains.push(chain);
        }
    }
    let kinds = kinds(filter)?;
    let chain = match chains.as_slice() {
        [one] => one.as_str(),
        _ => "*",
    };
    let on: Vec<String> =
        kinds.iter().map(|kind| format!("evm.{chain}.transfer.{}", word(*kind))).collect();
    let when = conditions(filter, &kinds, &chains)?;
    let has_nfts =
        kinds.iter().any(|kind| matches!(kind, TransferKind::Erc721 | TransferKind::Erc1155));
    let has_amounts =
        kinds.iter().any(|kind| !matches!(kind, TransferKind::Erc721 | TransferKind::Erc1155));
    const AMOUNT: &str = "{{ amount|default(value)|num(2) }} {{ symbol|default('tokens') }}{% if usd %} ({{ usd|usd }}){% endif %}";
    const NFT: &str = "NFT {{ token_id }} of {{ address|short }}";
    let what = match (has_amounts, has_nfts) {
        (true, true) => format!(
            "{{% if token_id is defined and token_id is not none %}}{NFT}{{% else %}}{AMOUNT}{{% endif %}}"
        ),
        (false, true) => NFT.to_owned(),
        _ => AMOUNT.to_owned(),
    };
    let mut rule = format!("[[rule]]\nid = {}\non = {}\n", text(id), texts(&on));
    if !when.is_empty() {
        let _ = writeln!(rule, "when = '''\n{}\n'''", when.join("\n  && "));
    }
    if filter.min_usd.is_some() {
        rule.push_str("unpriced = \"skip\"\n");
    }
    let _ = write!(
        rule,
        "severity = {}\ncooldown = \"1m\"\ngroup_by = [\"chain\", \"from\", \"to\"]\nmax_event_age = \"10m\"\n\
         title = \"{what} moved on {{{{ chain }}}}\"\nlines = [\n  \
         \"from {{{{ from|short(from_label) }}}} to {{{{ to|short(to_label) }}}}\",\n  \
         \"block {{{{ block_number|num }}}} · {{{{ block_time_us|time }}}}\",\n]\nroutes = {}\n",
        text(severity),
        texts(&filter.routes)
    );
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use crypto_intel_alerts::RuleSet;

    use super::*;

    const ADDRESS: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";

    #[test]
    fn every_filter_is_a_rule_that_is_sound() {
        let kinds: [&[&str]; 6] = [
            &[],
            &["native"],
            &["erc20"],
            &["erc721", "erc1155"],
            &["internal", "native"],
            &["erc20", "native", "erc721"],
        ];
        let mut sound = 0;
        for kind in kinds {
            for chain in [&[][..], &["base"], &["base", "ethereum"]] {
                for flags in 0..32_u32 {
                    let is = |bit: u32| flags & (1 << bit) != 0;
                    let filter = Filter {
                        chain: chain.iter().map(ToString::to_string).collect(),
                        kind: kind.iter().map(ToString::to_string).collect(),
                        address: is(0).then(|| ADDRESS.to_owned()),
                        direction: (is(0) && is(1)).then(|| "out".to_owned()),
                        token: is(2).then(|| ADDRESS.to_owned()),
                        watched: is(3),
                        verified: is(1),
                        min_usd: is(4).then(|| "100000".to_owned()),
                        routes: vec!["ops".to_owned()],
                        ..Filter::default()
                    };
                    let Ok(toml) = rule_of(&filter) else { continue };
                    let rules = RuleSet::parse(&[("rules", &toml)], Some(&["ops".to_owned()]));
                    let problems = rules.err().unwrap_or_default();
                    assert!(problems.is_empty(), "{toml}\n{}", problems[0]);
                    sound += 1;
                }
            }
        }
        assert!(sound > 300, "{sound}");
    }

    #[test]
    fn what_no_event_can_be_is_refused() {
        let of = |kind: &str| Filter { kind: vec![kind.to_owned()], ..Filter::default() };
        let usd = Filter { min_usd: Some("5".into()), ..of("erc721") };
        assert!(rule_of(&usd).unwrap_err().starts_with("min_usd: "));
        let token = Filter { token: Some(ADDRESS.into()), ..of("native") };
        assert!(rule_of(&token).unwrap_err().starts_with("token: "));
        let quoted = Filter { id: Some("a\"\nb".into()), ..Filter::default() };
        assert!(rule_of(&quoted).unwrap_err().starts_with("id: "));
        assert!(rule_of(&of("erc9")).unwrap_err().starts_with("kind: use one of native"));
        let address = Filter { address: Some("'''".into()), ..Filter::default() };
        assert!(rule_of(&address).unwrap_err().starts_with("address: "));
    }
}
