//! Plausible answers: prices that swing slowly around a fixed level.

use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};

use super::{ProviderAnswer, ProviderRequest, news};

/// CoinGecko's id, Binance's base symbol, dollars, market value in dollars.
const ASSETS: [(&str, &str, f64, f64); 22] = [
    ("bitcoin", "BTC", 96_500.0, 1.9e12),
    ("ethereum", "ETH", 3_420.0, 4.1e11),
    ("tether", "USDT", 1.0, 1.4e11),
    ("usd-coin", "USDC", 1.0, 6.1e10),
    ("dai", "DAI", 1.0, 5.3e9),
    ("binancecoin", "BNB", 655.0, 9.4e10),
    ("solana", "SOL", 188.0, 9.1e10),
    ("ripple", "XRP", 2.3, 1.3e11),
    ("avalanche-2", "AVAX", 38.0, 1.5e10),
    ("polygon-ecosystem-token", "POL", 0.47, 4.0e9),
    ("arbitrum", "ARB", 0.78, 3.3e9),
    ("optimism", "OP", 1.9, 2.6e9),
    ("chainlink", "LINK", 21.0, 1.3e10),
    ("uniswap", "UNI", 13.2, 8.0e9),
    ("aave", "AAVE", 310.0, 4.6e9),
    ("maker", "MKR", 1_540.0, 1.3e9),
    ("lido-dao", "LDO", 1.8, 1.6e9),
    ("wrapped-bitcoin", "WBTC", 96_400.0, 1.3e10),
    ("weth", "WETH", 3_420.0, 1.0e10),
    ("staked-ether", "STETH", 3_415.0, 3.3e10),
    ("pepe", "PEPE", 0.000_018, 7.6e9),
    ("shiba-inu", "SHIB", 0.000_021, 1.3e10),
];
/// These stay within a tenth of a percent of a dollar.
const STABLE: [&str; 3] = ["tether", "usd-coin", "dai"];
const DAY_SECONDS: u64 = 86_400;
const HOUR_MS: u64 = 3_600_000;
/// How far the index goes back.
const FEAR_AND_GREED_DAYS: u64 = 2_900;

/// An answer for a path that is known.
pub(super) fn answer(request: &ProviderRequest) -> Option<ProviderAnswer> {
    let now_ms = request.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now_ms = u64::try_from(now_ms).unwrap_or(0);
    let path = request.path.trim_end_matches('/');
    if path.ends_with("/simple/price") {
        return Some(simple_price(request, now_ms));
    }
    if path.ends_with("/ticker/24hr") {
        return Some(ticker(request, now_ms));
    }
    if path.ends_with("/klines") {
        return Some(klines(request, now_ms));
    }
    if path.ends_with("/articles") {
        return Some(news::articles(now_ms));
    }
    path.ends_with("/fng").then(|| fear_and_greed(request, now_ms))
}

fn price_at(place: usize, now_ms: u64) -> f64 {
    let (id, _, level, _) = ASSETS[place];
    let seconds = now_ms as f64 / 1_000.0;
    let phase = place as f64;
    let swing = (seconds / 61.0 + phase).sin() * 0.7 + (seconds / 7.0 + 2.0 * phase).sin() * 0.3;
    let width = if STABLE.contains(&id) { 0.001 } else { 0.02 };
    level * (1.0 + width * swing)
}

fn change_percent(place: usize, now_ms: u64) -> f64 {
    let before = price_at(place, now_ms.saturating_sub(DAY_SECONDS * 1_000));
    (price_at(place, now_ms) / before - 1.0) * 100.0
}

// Unknown ids are left out, as CoinGecko does.
fn simple_price(request: &ProviderRequest, now_ms: u64) -> ProviderAnswer {
    let parameter = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    let wanted = |name: &str| parameter(name) == "true";
    let mut answer = Map::new();
    for id in parameter("ids").split(',') {
        let Some(place) = ASSETS.iter().position(|(known, ..)| *known == id) else { continue };
        let mut entry = Map::new();
        for quote in parameter("vs_currencies").split(',').filter(|quote| !quote.is_empty()) {
            // Everything in dollars; other quotes at a fixed rate.
            let rate = if quote == "eur" { 0.92 } else { 1.0 };
            let price = price_at(place, now_ms) * rate;
            entry.insert(quote.to_owned(), json!(price));
            if wanted("include_market_cap") {
                entry.insert(format!("{quote}_market_cap"), json!(ASSETS[place].3 * rate));
            }
            if wanted("include_24hr_vol") {
                entry.insert(format!("{quote}_24h_vol"), json!(ASSETS[place].3 * rate * 0.03));
            }
            if wanted("include_24hr_change") {
                entry.insert(format!("{quote}_24h_change"), json!(change_percent(place, now_ms)));
            }
        }
        if wanted("include_last_updated_at") {
            entry.insert("last_updated_at".to_owned(), json!(now_ms / 1_000));
        }
        answer.insert(id.to_owned(), Value::Object(entry));
    }
    ProviderAnswer::json(Value::Object(answer).to_string())
}

// `symbols=` (a JSON list) is answered by a list, `symbol=` by an object, neither by all.
fn ticker(request: &ProviderRequest, now_ms: u64) -> ProviderAnswer {
    let one = request.query.get("symbol").map(|symbol| vec![symbol.clone()]);
    let many = request.query.get("symbols").map(|list| serde_json::from_str(list));
    let symbols: Vec<String> = match (&one, many) {
        (Some(one), _) => one.clone(),
        (None, Some(Ok(list))) => list,
        (None, Some(Err(_))) => {
            return refusal(-1_100, "Illegal characters found in parameter 'symbols'");
        }
        (None, None) => ASSETS
            .iter()
            .filter(|(id, ..)| *id != "tether")
            .map(|(_, symbol, ..)| format!("{symbol}USDT"))
            .collect(),
    };
    let mut tickers = Vec::new();
    for symbol in &symbols {
        let base = symbol.strip_suffix("USDT");
        let place = ASSETS.iter().position(|(_, known, ..)| Some(*known) == base);
        let Some(place) = place else { return refusal(-1_121, "Invalid symbol.") };
        tickers.push(ticker_of(symbol, place, now_ms));
    }
    let body = match (one, tickers.pop()) {
        (Some(_), Some(ticker)) => ticker,
        (_, last) => {
            tickers.extend(last);
            Value::Array(tickers)
        }
    };
    ProviderAnswer::json(body.to_string())
}

fn ticker_of(symbol: &str, place: usize, now_ms: u64) -> Value {
    let price = price_at(place, now_ms);
    let change = change_percent(place, now_ms);
    let open = price / (1.0 + change / 100.0);
    let quote_volume = ASSETS[place].3 * 0.01;
    let text = |number: f64| format!("{number:.8}");
    json!({
        "symbol": symbol,
        "priceChange": text(price - open),
        "priceChangePercent": format!("{change:.3}"),
        "weightedAvgPrice": text((price + open) / 2.0),
        "prevClosePrice": text(open),
        "lastPrice": text(price),
        "lastQty": "1.00000000",
        "bidPrice": text(price * 0.9999),
        "bidQty": "1.00000000",
        "askPrice": text(price * 1.0001),
        "askQty": "1.00000000",
        "openPrice": text(open),
        "highPrice": text(price.max(open) * 1.01),
        "lowPrice": text(price.min(open) * 0.99),
        "volume": text(quote_volume / price),
        "quoteVolume": text(quote_volume),
        "openTime": now_ms.saturating_sub(DAY_SECONDS * 1_000),
        "closeTime": now_ms,
        "firstId": 1,
        "lastId": 100_000,
        "count": 100_000,
    })
}

// From the first candle of the range on, at most `limit`; the last one may be open.
fn klines(request: &ProviderRequest, now_ms: u64) -> ProviderAnswer {
    let base = request.query.get("symbol").and_then(|symbol| symbol.strip_suffix("USDT"));
    let place = ASSETS.iter().position(|(_, known, ..)| Some(*known) == base);
    let Some(place) = place else { return refusal(-1_121, "Invalid symbol.") };
    let number = |name: &str, default: u64| {
        request.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let limit = number("limit", 500).min(1_000);
    let start_ms = number("startTime", now_ms - limit * HOUR_MS);
    let end_ms = number("endTime", now_ms).min(now_ms);
    let first = start_ms.div_ceil(HOUR_MS);
    let candles = (first..).take(usize::try_from(limit).unwrap_or(0)).map(|hour| hour * HOUR_MS);
    let candles = candles.take_while(|open_ms| *open_ms <= end_ms);
    ProviderAnswer::json(Value::from_iter(candles.map(|open_ms| kline(place, open_ms))).to_string())
}

fn kline(place: usize, open_ms: u64) -> Value {
    let [open, close] = [open_ms, open_ms + HOUR_MS].map(|at_ms| price_at(place, at_ms));
    let text = |number: f64| format!("{number:.8}");
    json!([
        open_ms,
        text(open),
        text(open.max(close) * 1.001),
        text(open.min(close) * 0.999),
        text(close),
        text(1_000.0 / close),
        open_ms + HOUR_MS - 1,
        text(1_000.0),
        100,
        text(500.0 / close),
        text(500.0),
        "0"
    ])
}

fn refusal(code: i64, message: &str) -> ProviderAnswer {
    let body = json!({"code": code, "msg": message}).to_string();
    ProviderAnswer { status: 400, headers: Vec::new(), body }
}

// The newest `limit` days; 0 stands for all.
fn fear_and_greed(request: &ProviderRequest, now_ms: u64) -> ProviderAnswer {
    let now = now_ms / 1_000;
    let today = now - now % DAY_SECONDS;
    let limit = request.query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(1);
    let days = if limit == 0 { FEAR_AND_GREED_DAYS } else { limit };
    let values = (0..days).map(|day| fear_and_greed_of(today - day * DAY_SECONDS, now));
    let body = json!({
        "name": "Fear and Greed Index",
        "data": Value::from_iter(values),
        "metadata": {"error": null},
    });
    ProviderAnswer::json(body.to_string())
}

fn fear_and_greed_of(midnight: u64, now: u64) -> Value {
    // Another value each day, between 20 and 79.
    let value = 20 + (midnight / DAY_SECONDS * 17) % 60;
    let classification = match value {
        0..25 => "Extreme Fear",
        25..47 => "Fear",
        47..54 => "Neutral",
        54..75 => "Greed",
        _ => "Extreme Greed",
    };
    let mut entry = json!({
        "value": value.to_string(),
        "value_classification": classification,
        "timestamp": midnight.to_string(),
    });
    // Of the newest one alone.
    if let Some(left) = (midnight + DAY_SECONDS).checked_sub(now) {
        entry["time_until_update"] = json!(left.to_string());
    }
    entry
}
