//! Tokens of an identity provider, whose keys are read from a real server.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto_intel_api::{Config, JwtConfig};
use crypto_intel_testkit::eventually;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Servers, answered};

const ISSUER: &str = "https://id.example.org";
const AUDIENCE: &str = "crypto-intel";

/// The modulus of an RSA key of which only this is left, and a token that it signed until the year 2100.
const RSA_MODULUS: &str = concat!(
    "v7-FZp_ozKjOhu4SV_1TOgjV5XmesVcUcOUfmbIAvwOQ6YFKd9bePMyAky4IX0aPbeGx1Vb_JYcDYbs-pjgyLPdu1zi9A5F4dRTumRu3VEz-S_",
    "-Xw9BO3eBA7Qf9iP_4lmlCXuqAjIs_nFhzTrYtrH_kKEET8WJLutV1C2YN2gmSeg3WeCjwZNJYOF0SA09pdq9mzqZl-OiRKon6U8FNk7MAgGEt",
    "WoomBjxDsVwAD3zE08Zfyjs87cKkeHebSfvRhq4tow1NtzvAcXFCKRt0hiX6zXDdXAMRRMqnoy3jlK9qI0NPraKJXwMfWa1nhQQUlxGmcsFuTm",
    "GxQkeGvDdc-w"
);
const RSA_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIiwiYXVkIjoiY3J5c",
    "HRvLWludGVsIiwic3ViIjoiciIsIm5hbWUiOiJSb3NhIiwicm9sZSI6Im9wZXJhdG9yIiwiZXhwIjo0MTAyNDQ0ODAwfQ.q00P4I8hD9nyuPpZ",
    "YD5kFUoN6AUu8TWHvMiUOAtNWxQfriCfIBfXxt93-fuwUT4AYSNNt7CIWhWOsyhHretP-2ygLBvNoUZ9sY0AL0YganP7LtcTTnXHKs888PXSQy",
    "sbV6dw6Iq9mQ5bO1h7k_fKFeoUftHvMUfe7VAYFoxStiFTH6URMi8un0mjuAcda0-PknVr8EA-tbcXK98YR8FJ1BjOpMFB9MYR0Ua9AgFjQKg6",
    "xk2thMTu0Bq3IlxnIwUzAc5SyYd_U-2mjpwtl0mrabBcJJm1zHX_bGiO8Mk4v_K7XhN2AJVZos1HrcGJZDcvKHhZzNwYvqzvdPHWOXVhJw"
);

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the provider.
enum Key {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
}

impl Key {
    fn ed() -> Self {
        let bytes = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(bytes.as_ref()).unwrap())
    }

    fn ec() -> Self {
        let (how, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let bytes = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(how, bytes.as_ref(), &random).unwrap())
    }

    fn public(&self, id: &str) -> Value {
        match self {
            Self::Ed(key) => {
                let x = encoded(key.public_key());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "use": "sig", "x": x })
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": id, "x": x, "y": y })
            }
        }
    }

    fn sign(&self, id: &str, claims: &Value) -> String {
        match self {
            Self::Ed(key) => token(&json!({ "alg": "EdDSA", "kid": id }), claims, |text| {
                key.sign(text).as_ref().to_vec()
            }),
            Self::Ec(key) => token(&json!({ "alg": "ES256", "kid": id }), claims, |text| {
                key.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()
            }),
        }
    }
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", encoded(signature))
}

fn in_seconds(seconds: i64) -> i64 {
    crypto_intel_service::now_us() / 1_000_000 + seconds
}

/// What a good token says, with changes; null leaves a claim out.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": [AUDIENCE, "other"], "sub": "u1", "name": "Ana", "role": "analyst",
        "exp": in_seconds(600), "nbf": in_seconds(-5),
    });
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    claims
}

/// A provider that publishes keys, and counts how often it is asked.
#[derive(Clone, Default)]
struct Provider {
    keys: Arc<Mutex<(Vec<Value>, usize)>>,
}

impl Provider {
    /// Serves these keys; the address of the set.
    async fn start(&self, keys: Vec<Value>) -> String {
        self.publish(keys);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/jwks", get(Self::answer)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}/jwks")
    }

    async fn answer(State(provider): State<Self>) -> Json<Value> {
        let mut held = provider.keys.lock().unwrap();
        held.1 += 1;
        Json(json!({ "keys": held.0 }))
    }

    fn publish(&self, keys: Vec<Value>) {
        self.keys.lock().unwrap().0 = keys;
    }

    fn asked(&self) -> usize {
        self.keys.lock().unwrap().1
    }
}

fn jwt(url: &str) -> JwtConfig {
    JwtConfig {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        jwks_url: url.into(),
        allow_private: true,
        ..JwtConfig::default()
    }
}

/// An API that believes where its clients say they are: each is another one.
async fn api_with(servers: &Servers, jwt: JwtConfig) -> Api {
    let trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    servers.api(Config { jwt, trusted_proxies, ..Config::default() }).await
}

async fn me(api: &Api, token: &str, client: u8) -> Answer {
    let request = api.request("GET", "/api/v1/me").bearer_auth(token);
    answered(request.header("x-forwarded-for", format!("192.0.2.{client}"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_the_issuer_count_as_keys_do() {
    let servers = Servers::start().await;
    let provider = Provider::default();
    let (ed, ec) = (Key::ed(), Key::ec());
    let rsa = json!({ "kty": "RSA", "kid": "rsa", "alg": "RS256", "n": RSA_MODULUS, "e": "AQAB" });
    let others =
        [json!({ "kty": "XX", "kid": "x" }), json!({ "kty": "oct", "kid": "o", "k": "AA" })];
    let keys = [&[ed.public("ed"), ec.public("ec"), rsa][..], &others].concat();
    let api = api_with(&servers, jwt(&provider.start(keys).await)).await;
    for (token, name, role) in [
        (ed.sign("ed", &claims(&json!({}))), "Ana", "analyst"),
        (
            ec.sign("ec", &claims(&json!({ "role": ["viewer", "admin"], "name": null }))),
            "u1",
            "admin",
        ),
        (RSA_TOKEN.to_owned(), "Rosa", "operator"),
        (ed.sign("ed", &claims(&json!({ "exp": in_seconds(-10) }))), "Ana", "analyst"),
    ] {
        let me = me(&api, &token, 1).await;
        assert_eq!(
            (me.status, &me.body["name"], &me.body["role"]),
            (200, &json!(name), &json!(role))
        );
        assert!(me.body["key"].as_str().unwrap().starts_with("jwt-"), "{me:?}");
    }
    assert_eq!(provider.asked(), 1, "the set is kept");
    // It begins a session, which ends with it.
    let token = ed.sign("ed", &claims(&json!({})));
    let begun = answered(api.request("POST", "/api/v1/session").bearer_auth(&token)).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    assert!(begun.body["ends_us"].as_i64().unwrap() <= in_seconds(601) * 1_000_000);
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let by_cookie = answered(api.request("GET", "/api/v1/me").header("cookie", cookie)).await;
    assert_eq!(by_cookie.body["name"], "Ana");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_issuer_did_not_sign_for_us_now_is_refused() {
    let servers = Servers::start().await;
    let provider = Provider::default();
    let (key, other) = (Key::ed(), Key::ed());
    let public = key.public("a");
    let keys = vec![public.clone(), Key::ec().public("b")];
    let api = api_with(&servers, jwt(&provider.start(keys).await)).await;
    let good = key.sign("a", &claims(&json!({})));
    assert_eq!(me(&api, &good, 1).await.status, 200);
    let of = |changes: Value| key.sign("a", &claims(&changes));
    let plain = claims(&json!({}));
    let secret = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let by_secret = |text: &[u8]| hmac::sign(&secret, text).as_ref().to_vec();
    let (head, rest) = good.split_once('.').unwrap();
    let forged = encoded(claims(&json!({ "role": "admin" })).to_string());
    let with_key = json!({ "alg": "EdDSA", "kid": "a", "jwk": other.public("a"), "jku": "https://evil.example/" });
    let by_other = |text: &[u8]| match &other {
        Key::Ed(key) => key.sign(text).as_ref().to_vec(),
        Key::Ec(_) => Vec::new(),
    };
    for (number, (what, token)) in [
        ("ended", of(json!({ "exp": in_seconds(-120) }))),
        ("has no end", of(json!({ "exp": null }))),
        ("not yet", of(json!({ "nbf": in_seconds(120) }))),
        ("another audience", of(json!({ "aud": "another" }))),
        ("no audience", of(json!({ "aud": null }))),
        ("another issuer", of(json!({ "iss": "https://id.example.org/" }))),
        ("no subject", of(json!({ "sub": null }))),
        ("none", token(&json!({ "alg": "none", "kid": "a" }), &plain, |_| Vec::new())),
        ("None", token(&json!({ "alg": "None", "kid": "a" }), &plain, |_| Vec::new())),
        ("a secret", token(&json!({ "alg": "HS256", "kid": "a" }), &plain, by_secret)),
        ("another sort", token(&json!({ "alg": "ES256", "kid": "a" }), &plain, by_other)),
        ("another key", other.sign("a", &plain)),
        ("the wrong key's id", key.sign("b", &plain)),
        ("no id", token(&json!({ "alg": "EdDSA" }), &plain, by_other)),
        ("a key of its own", token(&with_key, &plain, by_other)),
        ("other claims", format!("{head}.{forged}.{}", rest.split_once('.').unwrap().1)),
        ("no signature", format!("{head}.{}.", rest.split_once('.').unwrap().0)),
        ("nonsense", "a.b.c".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = me(&api, &token, 10 + u8::try_from(number).unwrap()).await;
        assert_eq!((refused.status, refused.problem()), (401, "unauthenticated"), "{what}");
    }
    for none in [json!({ "role": null }), json!({ "role": "root" })] {
        assert_eq!(me(&api, &of(none), 2).await.problem(), "forbidden");
    }
    // Guessing is slowed, and a client that comes with what ended is not guessing.
    let ended = of(json!({ "exp": in_seconds(-120) }));
    for _ in 0..8 {
        assert_eq!(me(&api, &ended, 3).await.status, 401);
    }
    for _ in 0..5 {
        assert_eq!(me(&api, &other.sign("a", &plain), 4).await.status, 401);
    }
    assert_eq!(me(&api, &good, 4).await.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_counts_soon_and_invented_ones_cost_nothing() {
    let servers = Servers::start().await;
    let provider = Provider::default();
    let (old, new) = (Key::ed(), Key::ed());
    let url = provider.start(vec![old.public("old")]).await;
    let api = api_with(&servers, JwtConfig { refetch_seconds: 1, ..jwt(&url) }).await;
    let slow = api_with(&servers, jwt(&url)).await;
    let (of_old, of_new) =
        (old.sign("old", &claims(&json!({}))), new.sign("new", &claims(&json!({}))));
    assert_eq!((me(&api, &of_old, 1).await.status, me(&slow, &of_old, 1).await.status), (200, 200));
    assert_eq!(me(&api, &of_new, 1).await.status, 401);
    provider.publish(vec![new.public("new")]);
    eventually(async || me(&api, &of_new, 1).await.status == 200).await;
    assert_eq!(me(&api, &of_old, 1).await.status, 401, "what left the set is refused");
    let before = provider.asked();
    for _ in 0..20 {
        assert_eq!(me(&slow, &of_new, 1).await.status, 401, "within the minute");
    }
    assert_eq!(provider.asked(), before, "an invented id asks the issuer no more");
    assert_eq!(me(&slow, &of_old, 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_read_from_the_internet_alone_unless_it_is_said() {
    let servers = Servers::start().await;
    let provider = Provider::default();
    let key = Key::ed();
    let url = provider.start(vec![key.public("a")]).await;
    let token = key.sign("a", &claims(&json!({})));
    for url in [url.clone(), url.replace("127.0.0.1", "localhost")] {
        let api = api_with(&servers, JwtConfig { allow_private: false, ..jwt(&url) }).await;
        let away = me(&api, &token, 1).await;
        assert_eq!((away.status, away.problem()), (503, "unavailable"), "{url}");
        assert!(!away.body.to_string().contains("127.0.0.1"), "{away:?}");
    }
    assert_eq!(provider.asked(), 0);
    // A provider that sends elsewhere is not followed.
    let app =
        Router::new().route("/", get(async move || axum::response::Redirect::temporary(&url)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let moved = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let api = api_with(&servers, jwt(&moved)).await;
    assert_eq!(me(&api, &token, 1).await.status, 503);
    assert_eq!(provider.asked(), 0);
}
