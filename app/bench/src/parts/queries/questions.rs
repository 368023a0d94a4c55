//! The queries: plain SQL as people write it, and the summaries that the database has.

use anyhow::Context as _;
use crypto_intel_schemas::Address;
use tokio_postgres::Client;

use super::rows::{asset, pool, token, wallet};
use crate::worker::CHAIN;

/// Summaries that are queried if the database has them, as functions or views.
const SUMMARIES: [&str; 7] = [
    "top_movers",
    "last_transfers",
    "last_of_token",
    "wallet_flow",
    "largest_transfers",
    "volume_against_baseline",
    "counterparties",
];
/// By rank: the busy wallet is in one of about thirteen transfers, the rare one in a few in all.
const BUSY_WALLET: u64 = 0;
const RARE_WALLET: u64 = 250_000;
/// By rank: a common token, but not the most common one.
const TOKEN: u64 = 3;

/// A query with its name.
#[derive(Debug)]
pub(super) struct Question {
    /// Name in the summary of the report.
    pub(super) key: String,
    /// Name in the table.
    pub(super) what: String,
    /// Its SQL; an error if the bench has no value for an argument.
    pub(super) sql: Result<String, String>,
}

impl Question {
    fn new(key: &str, what: &str, sql: String) -> Self {
        Self { key: key.to_owned(), what: what.to_owned(), sql: Ok(sql) }
    }
}

/// An argument of a function that has no default.
#[derive(Debug)]
struct Argument {
    name: String,
    type_name: String,
}

/// All queries that this database can answer. `end` is the time of the newest row, as SQL; `days` asks of that time, too.
pub(super) async fn all(
    client: &Client,
    end: &str,
    days: Option<u32>,
) -> anyhow::Result<Vec<Question>> {
    let mut questions = plain(end);
    questions.extend(days.into_iter().flat_map(|days| over_years(end, days)));
    for name in SUMMARIES {
        questions.extend(summary(client, name, end).await?);
    }
    Ok(questions)
}

fn plain(end: &str) -> Vec<Question> {
    let last_100 = |wallet: Address| {
        let side = |column: &str| {
            format!(
                "(SELECT block_time, tx_hash, token, sender, recipient, value FROM token_transfers \
                 WHERE address_key({column}) = address_key({wallet}) AND {column} = {wallet} \
                 ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT 100)",
                wallet = bytes(&wallet)
            )
        };
        let (sent, received) = (side("sender"), side("recipient"));
        format!(
            "SELECT * FROM ({sent} UNION ALL {received}) AS both_sides ORDER BY block_time DESC LIMIT 100"
        )
    };
    let by_hour = format!(
        "SELECT date_trunc('hour', block_time), count(*), sum(value) FROM token_transfers \
         WHERE address_key(token) = address_key({token}) AND token = {token} \
         AND hour_key(block_time) >= hour_key({end} - interval '1 day') \
         AND block_time >= {end} - interval '1 day' GROUP BY 1 ORDER BY 1",
        token = bytes(&token(TOKEN))
    );
    vec![
        Question::new("last_100_busy", "a busy wallet's last 100", last_100(wallet(BUSY_WALLET))),
        Question::new("last_100_rare", "a rare wallet's last 100", last_100(wallet(RARE_WALLET))),
        Question::new("token_by_hour", "a token by hour for a day", by_hour),
    ]
}

/// Questions to every row that there is.
fn over_years(end: &str, days: u32) -> [Question; 5] {
    let (busy, rare) = (bytes(&wallet(BUSY_WALLET)), bytes(&wallet(RARE_WALLET)));
    let all = format!("{end} - interval '{days} days', {end}");
    [
        ("years_last_busy", "a busy wallet, all tables", format!("last_transfers({busy})")),
        ("years_last_rare", "a rare wallet, all tables", format!("last_transfers({rare})")),
        ("years_token", "a token", format!("last_of_token({})", bytes(&token(TOKEN)))),
        ("years_flow_rare", "flow of a rare wallet", format!("wallet_flow({rare}, {all})")),
        ("years_largest", "the largest transfers", format!("largest_transfers({all})")),
    ]
    .map(|(key, what, call)| {
        Question::new(key, &format!("{what}, {days} days"), format!("SELECT * FROM {call}"))
    })
}

/// The summary of this name: nothing where the database has none, once for each function of the name.
async fn summary(client: &Client, name: &str, end: &str) -> anyhow::Result<Vec<Question>> {
    let mut questions = Vec::new();
    let view = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($1))";
    let is_view: bool = client.query_one(view, &[&name]).await.context("look for a view")?.get(0);
    if is_view {
        questions.push(Question::new(name, name, format!("SELECT * FROM {name}")));
    }
    // The names are those of all arguments, in and out; the types only those of the input, which comes first.
    let functions = "SELECT coalesce(proargnames, '{}')::text[], \
                     array(SELECT format_type(type, NULL) FROM unnest(proargtypes) AS type)::text[], \
                     (pronargs - pronargdefaults)::int4 \
                     FROM pg_proc WHERE proname = $1 AND pg_function_is_visible(oid) ORDER BY oid";
    let functions = client.query(functions, &[&name]).await.context("look for a function")?;
    for row in &functions {
        let (names, types, required): (Vec<String>, Vec<String>, i32) =
            (row.get(0), row.get(1), row.get(2));
        let arguments = types.into_iter().enumerate().map(|(place, type_name)| Argument {
            name: names.get(place).cloned().unwrap_or_default(),
            type_name,
        });
        let values: Result<Vec<String>, String> = arguments
            .take(usize::try_from(required).unwrap_or_default())
            .map(|argument| argument.value(end))
            .collect();
        let sql = values.map(|values| format!("SELECT * FROM {name}({})", values.join(", ")));
        questions.push(Question { key: name.to_owned(), what: name.to_owned(), sql });
    }
    Ok(questions)
}

impl Argument {
    /// A value that such an argument takes, by its type and name.
    fn value(&self, end: &str) -> Result<String, String> {
        let about = |words: &[&str]| words.iter().any(|word| self.name.contains(word));
        let of = |address: Address| match self.type_name.as_str() {
            "bytea" => bytes(&address),
            _ => format!("'{address:#x}'"),
        };
        Ok(match self.type_name.as_str() {
            "bytea" | "text" if about(&["token", "contract"]) => of(token(TOKEN)),
            "bytea" | "text" if about(&["pool"]) => of(pool(0)),
            "bytea" => of(wallet(BUSY_WALLET)),
            "text" if about(&["wallet", "address", "account", "owner"]) => of(wallet(BUSY_WALLET)),
            "text" if about(&["asset"]) => format!("'{}'", asset(0)),
            "text" if about(&["chain"]) => format!("'{CHAIN}'"),
            "text" if about(&["quote"]) => "'usd'".to_owned(),
            "interval" => "interval '1 day'".to_owned(),
            "timestamp with time zone" if about(&["from", "since", "start", "begin", "after"]) => {
                format!("{end} - interval '1 day'")
            }
            "timestamp with time zone" => end.to_owned(),
            "smallint" | "integer" | "bigint" => "20".to_owned(),
            "numeric" => "0".to_owned(),
            other => return Err(format!("argument {:?} of type {other}", self.name)),
        })
    }
}

fn bytes(address: &Address) -> String {
    format!(r"'\x{}'::bytea", format!("{address:x}").trim_start_matches("0x"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::setup;

    #[tokio::test]
    async fn summaries_are_asked_where_the_database_has_them() {
        let database = setup::query_database().await.unwrap();
        let has = |key: &'static str| move |question: &&Question| question.key == key;
        let run = |sql: &'static str| database.connection.run(sql);
        for question in plain("now()").into_iter().chain(over_years("now()", 730)) {
            database.connection.client.query(question.sql.as_ref().unwrap(), &[]).await.unwrap();
        }
        // Apart from what the migrations of this version create.
        run("CREATE SCHEMA apart; SET search_path = apart").await.unwrap();
        run("CREATE FUNCTION counterparties(of_wallet bytea, since timestamptz, most integer DEFAULT 9)
             RETURNS TABLE (wallet bytea, n bigint) LANGUAGE sql AS 'SELECT of_wallet, 2::bigint';
             CREATE FUNCTION top_movers(area polygon) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
             CREATE VIEW wallet_flow AS SELECT 1 AS one;")
        .await
        .unwrap();
        let client = &database.connection.client;
        let questions = all(client, "now()", None).await.unwrap();
        let found: Vec<&str> =
            questions[plain("now()").len()..].iter().map(|found| found.key.as_str()).collect();
        assert_eq!(found, ["top_movers", "wallet_flow", "counterparties"]);
        for key in ["counterparties", "wallet_flow"] {
            let question = questions.iter().find(has(key)).unwrap();
            let sql = question.sql.as_ref().unwrap();
            assert_eq!(client.query(sql, &[]).await.unwrap().len(), 1, "{sql}");
        }
        let unknown = questions.iter().find(has("top_movers")).unwrap();
        assert!(unknown.sql.as_ref().unwrap_err().contains("polygon"));
    }

    #[test]
    fn arguments_are_known_by_type_and_name() {
        let value = |name: &str, type_name: &str| {
            Argument { name: name.to_owned(), type_name: type_name.to_owned() }.value("now()")
        };
        assert_eq!(value("p_chain", "text").as_deref(), Ok("'bench'"));
        assert_eq!(value("of_wallet", "bytea"), Ok(bytes(&wallet(BUSY_WALLET))));
        assert_eq!(value("token", "text"), Ok(format!("'{:#x}'", token(TOKEN))));
        assert_eq!(
            value("since", "timestamp with time zone").as_deref(),
            Ok("now() - interval '1 day'")
        );
        assert!(value("shape", "polygon").is_err_and(|error| error.contains("shape")));
        assert_eq!(bytes(&Address::ZERO).len(), r"'\x'::bytea".len() + 40);
    }
}
