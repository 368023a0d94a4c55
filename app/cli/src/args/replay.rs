use clap::Args;

use super::parse_duration;

const GIB: u64 = 1 << 30;
const DEFAULT_MAX_AGE: &str = "7d";

/// What people must know before they replay.
const NOTES: &str = "\
Nothing of a replay reaches alert rules or chats: rules read live streams only, and no event is published there again.

The same command goes on where an earlier run of it was ended or killed. Events that have left the stream are not \
replayed; blocks come back by `crypto-intel backfill`.

Examples:
  crypto-intel replay --stream EVM --subject 'evm.ethereum.transfer.>' --since 2h --to persist
  crypto-intel replay --stream MARKET --since 2026-01-31T12:00:00Z --until 2026-01-31T13:00:00Z --to stdout
  crypto-intel replay --stream EVM --to subject sandbox --rate 500
  crypto-intel replay --into-schema rebuilt --swap";

/// `replay`
#[derive(Debug, Clone, Args)]
#[command(after_help = NOTES)]
pub struct ReplayArguments {
    /// The stream to read.
    #[arg(long, value_name = "STREAM", required_unless_present = "into_schema")]
    pub stream: Option<String>,
    /// Only these subjects, such as `evm.ethereum.transfer.>`; may be given several times [default: all of the stream;
    /// with `--to persist` all that persist stores of it].
    #[arg(long = "subject", value_name = "PATTERN")]
    pub subjects: Vec<String>,
    /// Begin with what was stored at this time: `2h` ago, a time such as `2026-01-31T12:00:00Z`, or `start`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// End before what was stored at this time [default: the stream's end when the replay begins].
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Begin with this sequence of the stream.
    #[arg(long, value_name = "N")]
    pub from_sequence: Option<u64>,
    /// End with this sequence of the stream.
    #[arg(long, value_name = "N")]
    pub to_sequence: Option<u64>,
    /// Where to: `persist` (the tables, beside a running persist), `stdout` (JSON lines), or `subject PREFIX` (a stream of
    /// its own, REPLAY_PREFIX, on `PREFIX.<subject>`).
    #[arg(
        long,
        num_args = 1..=2,
        value_names = ["TARGET", "PREFIX"],
        required_unless_present = "into_schema"
    )]
    pub to: Vec<String>,
    /// Most events per second [default: as fast as it goes].
    #[arg(long, value_name = "EVENTS_PER_SECOND", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Begin at the beginning although an earlier run of the same replay came somewhere. With `--to subject` what that
    /// stored is deleted.
    #[arg(long)]
    pub anew: bool,
    /// With `--to subject`: most bytes in the new stream, such as `512MiB`. When they are used up the replay stops.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_bytes)]
    pub max_bytes: u64,
    /// With `--to subject`: how long the new stream keeps its messages.
    #[arg(long, value_name = "TIME", default_value = DEFAULT_MAX_AGE, value_parser = parse_duration)]
    pub max_age: std::time::Duration,
    /// Build all tables again in this schema, from every stream that persist stores, beside the live tables.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["stream", "subjects", "since", "until", "from_sequence", "to_sequence", "to", "anew"]
    )]
    pub into_schema: Option<String>,
    /// With `--into-schema`: when they are complete, exchange the new tables with the live ones.
    #[arg(long, requires = "into_schema")]
    pub swap: bool,
    /// With `--swap`: how long to wait for a moment in which no query holds the tables.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub patience: std::time::Duration,
}

/// Where a replay goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayTo {
    /// Into the tables.
    Persist,
    /// JSON lines.
    Stdout,
    /// Onto subjects under this prefix.
    Subject(String),
}

impl ReplayArguments {
    /// Where it goes.
    ///
    /// # Errors
    /// Says what is expected.
    pub(crate) fn target(&self) -> Result<ReplayTo, String> {
        let words: Vec<&str> = self.to.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["persist"] => Ok(ReplayTo::Persist),
            ["stdout"] => Ok(ReplayTo::Stdout),
            ["subject", prefix] => Ok(ReplayTo::Subject((*prefix).to_owned())),
            ["subject"] => {
                Err("--to subject wants a prefix, such as --to subject sandbox".to_owned())
            }
            other => Err(format!(
                "--to {} is none of persist, stdout and subject PREFIX",
                other.join(" ")
            )),
        }
    }

    /// The range as its user gave it: the same words mean the same replay.
    pub(crate) fn range_words(&self) -> String {
        let sequence = |number: Option<u64>| number.map(|number| number.to_string());
        let bounds = [
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("from", sequence(self.from_sequence)),
            ("to", sequence(self.to_sequence)),
        ];
        let words =
            bounds.into_iter().filter_map(|(name, bound)| Some(format!("{name} {}", bound?)));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Reads `1048576`, `512KiB`, `512MiB` or `2GiB`.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(GIB),
        "TiB" => Some(GIB << 10),
        _ => None,
    };
    let bytes = unit.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit));
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("{text:?} is not a size such as 512MiB or 2GiB"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};

    fn parse(words: &str) -> Result<ReplayArguments, String> {
        let words = ["crypto-intel", "replay"].into_iter().chain(words.split_whitespace());
        match Arguments::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Replay(arguments) => Ok(*arguments),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn a_target_is_one_of_three() {
        let target = |words: &str| parse(words).unwrap().target();
        assert_eq!(target("--stream EVM --to persist"), Ok(ReplayTo::Persist));
        assert_eq!(target("--stream EVM --to stdout --json"), Ok(ReplayTo::Stdout));
        assert_eq!(
            target("--stream EVM --to subject a.b"),
            Ok(ReplayTo::Subject("a.b".to_owned()))
        );
        assert!(target("--stream EVM --to subject").is_err());
        assert!(target("--stream EVM --to table x").is_err());
    }

    #[test]
    fn a_schema_takes_every_stream_whole() {
        assert!(parse("--into-schema rebuilt --swap").unwrap().swap);
        for words in ["", "--to persist", "--into-schema a --stream EVM", "--stream EVM --swap"] {
            assert!(parse(words).is_err(), "{words}");
        }
    }

    #[test]
    fn the_same_words_name_the_same_range() {
        let arguments = parse("--stream EVM --to persist --since 2h --to-sequence 9").unwrap();
        assert_eq!(arguments.range_words(), "since 2h to 9");
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("7"), Ok(7));
        for text in ["", "MiB", "0", "1GB", "-1", "99999999999TiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
