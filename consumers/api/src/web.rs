//! The dashboard: the files of `web/`, in the binary as they are. A browser keeps them by their hash.
//!
//! A debug build beside its sources reads them from the folder for each request: edit and reload.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use utoipa::openapi::OpenApi;

use crate::{layers::observe, state::ApiState};

/// The page of every path of the dashboard.
const PAGE: &str = "index.html";
/// Where the files are in the sources of the page; served under the hash of all of them.
const DEVELOPMENT: &str = "dev";
/// What the page is told of the API in its place: a script then offers nothing that would fail.
const ROUTES: &str = "name=\"routes\" content=\"";
/// Digits of that hash.
const HASH_DIGITS: usize = 12;
/// First parts of paths that are never a page of the dashboard.
const NOT_PAGES: [&str; 6] = ["api", "assets", "docs", "health", "problems", "ws"];
/// Smaller files are not compressed.
const MIN_COMPRESSED_BYTES: usize = 512;

#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// The folder of the sources, where a debug build still finds it: it may run elsewhere, as in a container.
fn folder() -> Option<PathBuf> {
    let folder = cfg!(debug_assertions).then(|| concat!(env!("CARGO_MANIFEST_DIR"), "/web"));
    folder.map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// The files, ready to be sent.
#[derive(Debug)]
pub(crate) struct Dashboard {
    /// Where they are read again for each request, in development.
    folder: Option<PathBuf>,
    /// What stands in paths: the hash of all files.
    version: String,
    /// Routes of the API, as the page is told them.
    told: String,
    files: HashMap<String, File>,
    page: Page,
}

#[derive(Debug)]
struct File {
    media_type: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
}

#[derive(Debug)]
struct Page {
    file: File,
    etag: HeaderValue,
    policy: HeaderValue,
}

/// Everything of the dashboard, as a part of the whole router.
///
/// # Errors
/// When a file cannot be compressed, or the page has no import map.
pub(crate) fn routes(described: &OpenApi) -> anyhow::Result<Router<ApiState>> {
    let dashboard = Arc::new(Dashboard::load(folder(), &told(described))?);
    let page = get(page).with_state(Arc::clone(&dashboard));
    let asset = get(asset).with_state(Arc::clone(&dashboard));
    // The other paths of the dashboard have no route: its page is what the fallback answers.
    Ok(Router::new()
        .route("/", page)
        .route("/assets/{version}/{*path}", asset)
        .fallback_service(axum::routing::any(fallback).with_state(dashboard)))
}

/// Methods and paths of the API without what all begin with: `get /chains,post /wallets`.
fn told(described: &OpenApi) -> String {
    // Not described there: a websocket.
    let mut routes = vec!["get /ws".to_owned()];
    for (path, item) in &described.paths.paths {
        let Some(path) = path.strip_prefix("/api/v1") else { continue };
        let methods = [
            ("get", &item.get),
            ("post", &item.post),
            ("patch", &item.patch),
            ("delete", &item.delete),
        ];
        let there = methods.into_iter().filter(|(_, operation)| operation.is_some());
        routes.extend(there.map(|(method, _)| format!("{method} {path}")));
    }
    routes.join(",")
}

async fn page(State(dashboard): State<Arc<Dashboard>>, headers: HeaderMap) -> Response {
    match dashboard.page_of_folder().await {
        None => dashboard.page.answer(&headers),
        Some(Ok(page)) => page.answer(&headers),
        Some(Err(error)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response()
        }
    }
}

/// The page for paths of the dashboard, where a browser asks; what has no route otherwise is not found.
async fn fallback(State(dashboard): State<Arc<Dashboard>>, request: Request) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && is_browser(request.headers()) && is_page(request.uri().path()) {
        return page(State(dashboard), request.headers().clone()).await;
    }
    observe::not_found().await.into_response()
}

/// Programs do not ask for markup: they are told that there is no such path.
fn is_browser(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// Whether a path can be a page: it names no file, and nothing of the API.
fn is_page(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    !path.contains('.') && !NOT_PAGES.contains(&first)
}

async fn asset(
    State(dashboard): State<Arc<Dashboard>>,
    Path((version, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    // Only what is in the binary by this name: no path leads out of the folder.
    if let Some(folder) = dashboard.folder.as_ref().filter(|_| dashboard.files.contains_key(&path))
    {
        let read = tokio::fs::read(folder.join(&path)).await;
        let file = read.and_then(|bytes| File::new(&path, Bytes::from(bytes), false));
        return file.map_or_else(|_| missing(), |file| file.answer(&headers, "no-cache"));
    }
    // Another version is of a page that is still open while the server was exchanged: it has to be loaded again.
    match dashboard.files.get(&path).filter(|_| version == dashboard.version) {
        Some(file) => file.answer(&headers, "public, max-age=31536000, immutable"),
        None => missing(),
    }
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "there is no such file of this version").into_response()
}

impl Dashboard {
    /// Reads all files and compresses each once. In development they keep their paths.
    fn load(folder: Option<PathBuf>, told: &str) -> anyhow::Result<Self> {
        let is_development = folder.is_some();
        let mut names: Vec<_> = Files::iter().collect();
        names.sort();
        let mut whole = Sha256::new();
        let mut files = HashMap::new();
        for name in names {
            let Some(found) = Files::get(&name) else { continue };
            whole.update(name.as_bytes());
            whole.update(found.metadata.sha256_hash());
            let bytes = Bytes::from(found.data.into_owned());
            files.insert(name.to_string(), File::new(&name, bytes, !is_development)?);
        }
        let hash = hex(&whole.finalize());
        let version =
            if is_development { DEVELOPMENT.to_owned() } else { hash[..HASH_DIGITS].to_owned() };
        let page = files.remove(PAGE).map(|file| file.plain).unwrap_or_default();
        let page = Page::new(&String::from_utf8_lossy(&page), &version, told)?;
        Ok(Self { folder, version, told: told.to_owned(), files, page })
    }

    /// The page as it is in the folder now, in development.
    async fn page_of_folder(&self) -> Option<anyhow::Result<Page>> {
        let text = tokio::fs::read_to_string(self.folder.as_ref()?.join(PAGE)).await;
        Some(text.map_err(Into::into).and_then(|text| Page::new(&text, DEVELOPMENT, &self.told)))
    }
}

impl Page {
    /// The page with the paths of a version, and the policy that allows its import map and nothing else that is inline.
    fn new(text: &str, version: &str, told: &str) -> anyhow::Result<Self> {
        let text = text.replace("/assets/dev/", &format!("/assets/{version}/"));
        let text = text.replace(ROUTES, &format!("{ROUTES}{told}"));
        let (_, rest) = text
            .split_once("<script type=\"importmap\">")
            .ok_or_else(|| anyhow::anyhow!("web/{PAGE} has no import map"))?;
        let (map, _) = rest
            .split_once("</script>")
            .ok_or_else(|| anyhow::anyhow!("the import map of web/{PAGE} does not end"))?;
        let policy = policy(&STANDARD.encode(Sha256::digest(map.as_bytes())));
        let etag = format!("\"{}\"", &hex(&Sha256::digest(text.as_bytes()))[..2 * HASH_DIGITS]);
        Ok(Self {
            etag: HeaderValue::from_str(&etag)?,
            policy: HeaderValue::from_str(&policy)?,
            file: File::new(PAGE, Bytes::from(text), true)?,
        })
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let is_known = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|known| known.contains(self.etag.to_str().unwrap_or("none")));
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.file.answer(headers, "no-cache")
        };
        let own = response.headers_mut();
        own.insert(header::ETAG, self.etag.clone());
        own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        own.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        own.insert(
            "permissions-policy",
            HeaderValue::from_static(
                "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            ),
        );
        response
    }
}

/// Scripts, styles and data from this server only; names of tokens can never become markup.
fn policy(import_map: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{import_map}'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

impl File {
    fn new(name: &str, plain: Bytes, compress: bool) -> io::Result<Self> {
        let media_type = media_type(name);
        let gzip = if compress && plain.len() >= MIN_COMPRESSED_BYTES {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&plain)?;
            Some(Bytes::from(encoder.finish()?))
        } else {
            None
        };
        Ok(Self { media_type, plain, gzip })
    }

    fn answer(&self, headers: &HeaderMap, cache: &'static str) -> Response {
        let gzip = self.gzip.as_ref().filter(|_| takes_gzip(headers));
        let body = gzip.unwrap_or(&self.plain).clone();
        let mut response = body.into_response();
        let own = response.headers_mut();
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        own.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        own.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if gzip.is_some() {
            own.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let value = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().split(',').any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::body::to_bytes;
    use flate2::read::GzDecoder;

    use super::*;

    /// All files may be this large, so that the binary stays small.
    const MAX_WHOLE_BYTES: usize = 1_200_000;

    fn gzip() -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"))])
    }

    fn text(response: &Response, name: &str) -> String {
        response.headers()[name].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn files_are_kept_by_their_hash_and_compressed_once() {
        let dashboard = Dashboard::load(None, "").unwrap();
        assert_eq!(dashboard.version.len(), HASH_DIGITS);
        let file = &dashboard.files["app.js"];
        let plain = file.answer(&HeaderMap::new(), "immutable");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        let plain = to_bytes(plain.into_body(), usize::MAX).await.unwrap();
        let small = file.answer(&gzip(), "immutable");
        assert_eq!(text(&small, "content-encoding"), "gzip");
        assert_eq!(text(&small, "content-type"), "text/javascript; charset=utf-8");
        let small = to_bytes(small.into_body(), usize::MAX).await.unwrap();
        let mut again = Vec::new();
        GzDecoder::new(&small[..]).read_to_end(&mut again).unwrap();
        assert_eq!(again, plain);
    }

    #[test]
    fn all_files_stay_small() {
        let dashboard = Dashboard::load(None, "").unwrap();
        let whole: usize = dashboard.files.values().map(|file| file.plain.len()).sum();
        assert!(whole < MAX_WHOLE_BYTES, "{whole}");
    }

    #[tokio::test]
    async fn the_page_allows_its_import_map_and_nothing_inline() {
        let dashboard = Dashboard::load(None, "get /chains,get /me").unwrap();
        let answer = dashboard.page.answer(&HeaderMap::new());
        let policy = text(&answer, "content-security-policy");
        let etag = answer.headers()[header::ETAG].clone();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains("/assets/dev/") && body.contains(&dashboard.version));
        assert!(body.contains("content=\"get /chains,get /me\""), "{body}");
        let map = body.split("importmap\">").nth(1).unwrap().split("</script>").next().unwrap();
        let hash = STANDARD.encode(Sha256::digest(map.as_bytes()));
        assert!(policy.contains(&format!("script-src 'self' 'sha256-{hash}';")), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)]);
        assert_eq!(dashboard.page.answer(&known).status(), StatusCode::NOT_MODIFIED);
        for path in dashboard.files.keys().filter(|path| path.ends_with(".mjs")) {
            assert!(path.contains('@'), "{path} does not name its version");
        }
    }

    #[test]
    fn pages_are_told_from_files_and_from_the_api() {
        for (path, expected) in [
            ("/wallets", true),
            ("/wallet/0xd8da6bf26964af9d7eed9e03e53415d37aa96045", true),
            ("/api/v1/nothing", false),
            ("/ws/nothing", false),
            ("/robots.txt", false),
            ("/assets/old/app", false),
        ] {
            assert_eq!(is_page(path), expected, "{path}");
        }
    }

    #[test]
    fn a_weight_of_zero_refuses() {
        let asks = |text: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(text),
            )]))
        };
        assert!(asks("gzip, deflate") && asks("gzip;q=0.5"));
        assert!(!asks("gzip;q=0, br") && !asks("br") && !takes_gzip(&HeaderMap::new()));
    }
}
