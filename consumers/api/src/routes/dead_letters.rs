//! Messages that could not be handled: looked at, handed back and given up as by `crypto-intel dlq`.

use axum::{Extension, Json, extract::State, http::StatusCode};
use crypto_intel_nats::{DeadLetter, list_dead_letters, remove_dead_letter, show_dead_letter};
use crypto_intel_notify::{RetryError, hand_back_dead_letter};
use crypto_intel_schemas::{Event, Stream};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    change::Changed,
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{
        Asked, At, NoParameters, parameters, path_parameters,
        reader::Needed,
        values::{BlockNumber, Limit, Name},
    },
    problem::Problem,
    state::ApiState,
};

/// How many bytes of bodies one answer shows decoded.
const MAX_SHOWN_BYTES: usize = 1 << 20;
/// How many letters one request hands back or removes.
const MAX_AT_ONCE: usize = 100;
/// How many of the newest letters it looks through for them.
const MAX_READ: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let write = Guard::new(Scope::OperationsWrite, cost::LIST);
    let write_many = Guard::new(Scope::OperationsWrite, cost::SUMMARY);
    OpenApiRouter::new()
        .routes(Guard::new(Scope::Operations, cost::LIST).of(routes!(list)))
        .routes(write.doing("dead_letter.retry").of(routes!(retry)))
        .routes(write.doing("dead_letter.remove").of(routes!(remove)))
        .routes(write_many.doing("dead_letter.retry").of(routes!(retry_all)))
        .routes(write_many.doing("dead_letter.remove").of(routes!(remove_all)))
}

parameters! {
    /// Which dead letters.
    pub(crate) struct LetterParameters {
        /// Only of this consumer, such as persist.
        pub(crate) consumer: Option<Name>,
        /// How many at most.
        pub(crate) limit: Option<Limit>,
    }
}

/// A message that could not be handled.
#[derive(Debug, Serialize, ToSchema)]
struct Letter {
    /// Its sequence in the stream of dead letters: what `crypto-intel dlq` and the routes beside this one take.
    dlq_sequence: u64,
    /// Who could not handle it.
    consumer: String,
    /// The stream that it came from.
    stream: String,
    /// Its sequence there.
    sequence: u64,
    /// Its subject there.
    subject: String,
    /// Schema of its body.
    schema: Option<String>,
    /// Why it could not be handled.
    error: String,
    /// Length of its body, bytes.
    bytes: u64,
    /// When it was put there, microseconds UTC.
    at_us: i64,
    /// Its chain, where it is of one.
    chain: Option<String>,
    /// Its body, where it is an event; absent where it is not, and where `not_shown` says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    event: Option<serde_json::Value>,
    /// Why its body is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_shown: Option<String>,
}

impl Letter {
    /// Without its body.
    fn new(letter: &DeadLetter, chain: Option<String>) -> Self {
        Self {
            dlq_sequence: letter.dlq_sequence,
            consumer: letter.consumer.clone(),
            stream: letter.stream.clone(),
            sequence: letter.sequence,
            subject: letter.subject.clone(),
            schema: letter.schema.clone(),
            error: letter.error.clone(),
            bytes: letter.cut_from_bytes.unwrap_or(letter.payload.len() as u64),
            at_us: letter.at_us,
            chain,
            event: None,
            not_shown: None,
        }
    }
}

/// What a letter holds, and the chain that it is of.
struct Opened {
    event: Result<Event, String>,
    chain: Option<String>,
}

fn open(letter: &DeadLetter) -> Opened {
    let event = match letter.cut_from_bytes {
        Some(bytes) => Err(format!("of its {bytes} bytes only the first ones were kept")),
        None => Event::decode(&letter.payload).map_err(|error| error.to_string()),
    };
    let told = match &event {
        Ok(Event::Alert(alert)) => alert.chain.clone(),
        Ok(Event::Notification(message)) => message.alert.chain.clone(),
        Ok(event) => event.block_fields().map(|block| block.chain.to_owned()),
        Err(_) => None,
    };
    let is_of_chain = [Stream::Evm.name(), Stream::History.name()].contains(&&*letter.stream);
    let named = letter.subject.split('.').nth(1).filter(|_| is_of_chain);
    Opened { chain: told.or_else(|| named.map(ToOwned::to_owned)), event }
}

/// A key of some chains sees what is of these.
fn may_see(caller: &Caller, chain: Option<&str>) -> bool {
    caller.chains.is_none() || chain.is_some_and(|chain| caller.sees(chain))
}

/// Messages that could not be handled, newest first, with why and with their bodies where these are events.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "operations",
    params(LetterParameters),
    responses((status = 200, body = Page<Letter>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<LetterParameters>,
) -> Result<Page<Letter>, Problem> {
    let wanted = asked.parameters;
    let consumer = wanted.consumer.as_ref().map(|one| one.0.as_str());
    let limit = Limit::or_default(wanted.limit) as usize;
    let mut shown_bytes = 0;
    let mut items = Vec::new();
    for letter in list_dead_letters(&state.nats, consumer, limit).await?.iter().rev() {
        let Opened { event, chain } = open(letter);
        if !may_see(&caller, chain.as_deref()) {
            continue;
        }
        let mut item = Letter::new(letter, chain);
        shown_bytes += letter.payload.len();
        match event {
            Err(why) => item.not_shown = Some(why),
            Ok(_) if shown_bytes > MAX_SHOWN_BYTES => {
                item.not_shown = Some("the bodies above are large: ask for fewer letters".into());
            }
            Ok(event) => item.event = Some(event.to_json()),
        }
        items.push(item);
    }
    Ok(Page::whole(items))
}

/// A letter that the caller may see; to others it is as one that is not there.
async fn letter(
    state: &ApiState,
    caller: &Caller,
    sequence: u64,
) -> Result<(DeadLetter, Letter), Problem> {
    let missing = || Problem::not_found("there is no dead letter of this sequence");
    let letter = show_dead_letter(&state.nats, sequence).await?.ok_or_else(missing)?;
    let chain = open(&letter).chain;
    if !may_see(caller, chain.as_deref()) {
        return Err(missing());
    }
    let item = Letter::new(&letter, chain);
    Ok((letter, item))
}

fn changed(letter: &Letter) -> Changed {
    Changed::of(letter.dlq_sequence.to_string()).from(Some(letter))
}

path_parameters!(OfLetter { sequence: BlockNumber = "`dlq_sequence` of the letter." });

parameters! {
    /// To whom.
    pub(crate) struct RetryParameters {
        /// Only to this destination; without a word to those that were not told.
        pub(crate) to: Option<Name>,
    }
}

/// A letter that was handed back.
#[derive(Debug, Serialize, ToSchema)]
struct HandedBack {
    /// Its sequence in the stream of dead letters, which it has left.
    dlq_sequence: u64,
    /// To which destinations.
    destinations: Vec<String>,
}

/// Hands a letter of notify to the senders of its destinations again, and takes it out: if it fails again, there is a new one.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/{sequence}/retry",
    tag = "operations",
    params(OfLetter, RetryParameters),
    responses(
        (status = 200, body = HandedBack),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry(
    State(state): State<ApiState>,
    caller: Caller,
    At(sequence): At<BlockNumber>,
    asked: Asked<RetryParameters>,
) -> Result<(Extension<Changed>, Json<HandedBack>), Problem> {
    let (letter, item) = letter(&state, &caller, sequence.0).await?;
    let to = asked.parameters.to.as_ref().map(|to| to.0.as_str());
    let back = hand_back_dead_letter(&state.nats, &state.config.languages, &letter, to).await;
    let destinations = back.map_err(|error| match error {
        RetryError::Refused(why) => Problem::unprocessable(why),
        RetryError::Failed(error) => error.into(),
    })?;
    let back = HandedBack { dlq_sequence: letter.dlq_sequence, destinations };
    Ok((Extension(changed(&item).to(&back)), Json(back)))
}

/// Gives a letter up: nothing of it stays but the audit.
#[utoipa::path(
    delete,
    path = "/api/v1/dead-letters/{sequence}",
    tag = "operations",
    params(OfLetter),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    At(sequence): At<BlockNumber>,
    _: Asked<NoParameters>,
) -> Result<(StatusCode, Extension<Changed>), Problem> {
    let (_, item) = letter(&state, &caller, sequence.0).await?;
    remove_dead_letter(&state.nats, item.dlq_sequence).await?;
    Ok((StatusCode::NO_CONTENT, Extension(changed(&item))))
}

parameters! {
    /// Whose letters are handed back, and to whom.
    pub(crate) struct RetryAllParameters {
        /// Of this consumer; only notify's can be handed back.
        pub(crate) consumer: Needed<Name>,
        /// Only to this destination; without a word to those that were not told.
        pub(crate) to: Option<Name>,
    }
}

parameters! {
    /// Whose letters are given up.
    pub(crate) struct RemoveAllParameters {
        /// Of this consumer, such as persist.
        pub(crate) consumer: Needed<Name>,
    }
}

/// What became of the letters of a consumer.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Cleared {
    /// Those that were handed back.
    handed_back: Vec<HandedBack>,
    /// Those that were given up.
    removed: Vec<u64>,
    /// Those that stay, and why.
    refused: Vec<Refused>,
    /// Whether there are more of this consumer that were not tried: ask again.
    more: bool,
}

/// A letter that stays.
#[derive(Debug, Serialize, ToSchema)]
struct Refused {
    /// Its sequence in the stream of dead letters.
    dlq_sequence: u64,
    /// Why.
    detail: String,
}

/// Newest letters of a consumer that the caller may see, and whether there are more.
async fn letters_of(
    state: &ApiState,
    caller: &Caller,
    consumer: &Name,
) -> Result<(Vec<(DeadLetter, Letter)>, bool), Problem> {
    let found = list_dead_letters(&state.nats, Some(&consumer.0), MAX_READ).await?;
    let seen = found.into_iter().rev().filter_map(|letter| {
        let chain = open(&letter).chain;
        may_see(caller, chain.as_deref()).then(|| {
            let item = Letter::new(&letter, chain);
            (letter, item)
        })
    });
    let mut letters: Vec<_> = seen.take(MAX_AT_ONCE + 1).collect();
    let more = letters.len() > MAX_AT_ONCE;
    letters.truncate(MAX_AT_ONCE);
    Ok((letters, more))
}

fn all_changed(consumer: &Name, letters: &[Letter], cleared: &Cleared) -> Extension<Changed> {
    Extension(Changed::of(&consumer.0).from(Some(&letters)).to(cleared))
}

/// Hands the newest letters of a consumer back, at most 100. A letter that cannot be handed back stays, and the answer says why.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/retry",
    tag = "operations",
    params(RetryAllParameters),
    responses((status = 200, body = Cleared))
)]
async fn retry_all(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<RetryAllParameters>,
) -> Result<(Extension<Changed>, Json<Cleared>), Problem> {
    let RetryAllParameters { consumer: Needed(consumer), to } = asked.parameters;
    let to = to.as_ref().map(|to| to.0.as_str());
    let (letters, more) = letters_of(&state, &caller, &consumer).await?;
    let mut cleared = Cleared { more, ..Cleared::default() };
    let mut gone = Vec::new();
    for (letter, item) in letters {
        let dlq_sequence = letter.dlq_sequence;
        match hand_back_dead_letter(&state.nats, &state.config.languages, &letter, to).await {
            Ok(destinations) => {
                cleared.handed_back.push(HandedBack { dlq_sequence, destinations });
                gone.push(item);
            }
            Err(error) => {
                let detail = error.to_string();
                cleared.refused.push(Refused { dlq_sequence, detail });
                // The others would wait for the same, and what was done has to be told.
                if matches!(error, RetryError::Failed(_)) {
                    cleared.more = true;
                    break;
                }
            }
        }
    }
    Ok((all_changed(&consumer, &gone, &cleared), Json(cleared)))
}

/// Gives the newest letters of a consumer up, at most 100.
#[utoipa::path(
    delete,
    path = "/api/v1/dead-letters",
    tag = "operations",
    params(RemoveAllParameters),
    responses((status = 200, body = Cleared))
)]
async fn remove_all(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<RemoveAllParameters>,
) -> Result<(Extension<Changed>, Json<Cleared>), Problem> {
    let Needed(consumer) = asked.parameters.consumer;
    let (letters, more) = letters_of(&state, &caller, &consumer).await?;
    let mut cleared = Cleared { more, ..Cleared::default() };
    let mut gone = Vec::new();
    for (_, item) in letters {
        if let Err(error) = remove_dead_letter(&state.nats, item.dlq_sequence).await {
            let detail = error.to_string();
            cleared.refused.push(Refused { dlq_sequence: item.dlq_sequence, detail });
            cleared.more = true;
            break;
        }
        cleared.removed.push(item.dlq_sequence);
        gone.push(item);
    }
    Ok((all_changed(&consumer, &gone, &cleared), Json(cleared)))
}
