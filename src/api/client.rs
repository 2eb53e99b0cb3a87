//! One HTTP client: bearer token, gzip, time-outs, retries. It asks one origin and follows no redirects.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use flate2::write::MultiGzDecoder;
use jiff::Timestamp;
use reqwest::{
    Certificate, Response,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName,
        HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    },
    redirect::Policy,
};
use url::Url;

use super::{
    concurrency::{ConcurrencyLimit, Observation, Share},
    endpoints::{Server, loggable},
    http_date,
    problem::{Head, Problem},
    proxy,
    retry::{RetryPolicy, chance, retry_after},
    setup_problem::SetupProblem,
};
use crate::{
    error::{Error, ErrorKind, Result, in_words},
    origin::Origin,
    output::{Output, size},
    secret::Secret,
};

const CONNECT: Duration = Duration::from_secs(10);
/// How long all requests wait after a 429 that names no time.
const THROTTLED: Duration = Duration::from_secs(1);
/// A page of fifty 450-line claims is about 100 MB. If a page is larger than this limit, bbdl asks for a smaller one.
/// If that is also too large, it is an attack or a defect.
const LARGEST_BODY: usize = 256 << 20;
/// A refusal is a few words. A longer one has nothing more that bbdl needs.
const LARGEST_REFUSAL: usize = 1 << 20;

/// The most that bbdl asks of one server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many requests may be under way at the same time.
    pub jobs: usize,
    /// How long an answer may take, up to its last byte.
    pub patience: Duration,
}

impl Default for Limits {
    /// Four requests at once are polite, and about three times as fast as one. CMS's own time limit is 120 s; a
    /// little more lets its error arrive.
    fn default() -> Self {
        Self { jobs: 4, patience: Duration::from_secs(130) }
    }
}

/// Connections to one origin, and the request limit for them. Cheap to clone; clones share both.
#[derive(Clone, Debug)]
pub struct Connections {
    http: reqwest::Client,
    pace: ConcurrencyLimit,
}

impl Connections {
    /// Connections to `origin` with these limits. `authorities` are trusted in addition to those of the system.
    ///
    /// # Errors
    /// [`crate::error::Exit::NotSetUp`] if TLS or the proxy settings of the environment cannot be used.
    pub fn to(origin: &Origin, limits: Limits, authorities: Vec<Certificate>) -> Result<Self> {
        // Fails only if there is a provider already, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("bbdl/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(limits.patience);
        if !authorities.is_empty() {
            builder = builder.tls_certs_merge(authorities);
        }
        if origin.is_loopback() {
            // Plain http protects a token only because it never leaves this machine. A proxy would see it.
            builder = builder.no_proxy();
        } else if let Some(proxy) = proxy::for_server(origin)? {
            builder = builder.no_proxy().proxy(proxy);
        }
        let http = builder.build().map_err(|cause| {
            Error::new(ErrorKind::Http, format!("cannot set up https: {cause}"))
                .hint("Check HTTPS_PROXY, HTTP_PROXY, --ca-cert and the system's certificates.")
        })?;
        Ok(Self { http, pace: ConcurrencyLimit::of(limits.jobs) })
    }

    /// The limit of the requests over these connections.
    #[must_use]
    pub fn pace(&self) -> &ConcurrencyLimit {
        &self.pace
    }

    /// Asks once for a page that needs no token.
    ///
    /// # Errors
    /// Errors of the network.
    pub async fn look(&self, url: Url, patience: Duration) -> reqwest::Result<Response> {
        self.http.get(url).timeout(patience).send().await
    }
}

/// An access token and the only origin that may see it.
#[derive(Clone, Debug)]
pub struct AccessToken {
    origin: Origin,
    secret: Secret,
}

impl AccessToken {
    /// Ties a token to the origin that issued it.
    #[must_use]
    pub fn new(origin: Origin, secret: Secret) -> Self {
        Self { origin, secret }
    }

    /// The token's text, for a token store or the revocation endpoint.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The header for a request to this URL; none for a URL of any other origin.
    fn header_for(&self, url: &Url) -> Option<HeaderValue> {
        if !self.origin.covers(url) {
            return None;
        }
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.secret.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Has the access token and can get a new one.
pub trait Bearer: Clone + Send + Sync + 'static {
    /// A token that should work now.
    fn token(&self) -> impl Future<Output = Result<AccessToken>> + Send;
    /// A new token after the server has rejected this one as expired or invalid.
    fn renew(&self, rejected: &AccessToken) -> impl Future<Output = Result<AccessToken>> + Send;
}

/// The final result of a failed request, for the caller to decide.
#[derive(Debug)]
pub enum Failure {
    /// The server's last answer, after all retries.
    Answer(Problem),
    /// Anything else: no token, or no permission to ask.
    Other(Error),
}

/// The representation to ask for. The server answers 406 to one that it does not know.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// A page of a search.
    Fhir,
    /// A page of a search that can be requested in parts. If it is too much for the server, it is not retried as it
    /// is.
    Divisible,
    /// A FHIR document that is not a page of a search: the insurance card.
    Document,
    /// Plain JSON: userinfo, health.
    Json,
}

/// Asks the server, and counts the requests and the bytes received.
pub struct Client {
    connections: Connections,
    share: Share,
    server: Server,
    retry: RetryPolicy,
    output: Output,
    requests: AtomicU64,
    bytes: AtomicU64,
    /// The server's clock in its newest answer, in seconds; 0 if it did not say.
    clock: AtomicI64,
}

impl Client {
    /// A client for one server that uses these connections.
    #[must_use]
    pub fn new(connections: Connections, server: Server, retry: RetryPolicy, output: Output) -> Self {
        Self {
            share: connections.pace.join(),
            connections,
            server,
            retry,
            output,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            clock: AtomicI64::new(0),
        }
    }

    /// The server that is asked.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The HTTP client itself, for the token endpoint, which has its own rules.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.connections.http
    }

    /// How many requests of this client may be under way at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.share.limit()
    }

    /// The retry policy.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// Where this client reports to.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Requests made and bytes of body received (after decompression) so far.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// The server's clock in its newest answer (`Date`, RFC 9110 section 6.6.1), if it said so. To the second, and it
    /// never goes backwards.
    #[must_use]
    pub fn clock(&self) -> Option<Timestamp> {
        let told = Timestamp::from_second(self.clock.load(Ordering::Relaxed)).ok()?;
        (told > Timestamp::UNIX_EPOCH).then(|| told.checked_add(jiff::SignedDuration::from_secs(1)).unwrap_or(told))
    }

    /// Gets a document and reads it with `read`. If `read` refuses it, the answer counts as unreadable and the
    /// request is repeated.
    ///
    /// Renews a rejected token once. Retries temporary problems as the policy says.
    ///
    /// # Errors
    /// [`Failure`] with the last problem.
    pub async fn get<T>(
        &self,
        bearer: &impl Bearer,
        url: &Url,
        wanted: Wanted,
        read: impl Fn(String) -> std::result::Result<T, String>,
    ) -> std::result::Result<T, Failure> {
        let mut token = bearer.token().await.map_err(Failure::Other)?;
        let mut renewed = false;
        let mut repetition = 0;
        loop {
            let problem = match self.try_once(&token, url, wanted).await {
                Ok(body) => match read(body) {
                    Ok(document) => return Ok(document),
                    Err(said) => Problem::Unreadable { said },
                },
                Err(problem) => problem,
            };
            if problem == Problem::TokenRejected && !renewed {
                renewed = true;
                self.output.trace(1, || "the access token was rejected: asking for a new one".to_owned());
                token = bearer.renew(&token).await.map_err(Failure::Other)?;
                continue;
            }
            if matches!((&problem, wanted), (Problem::TooMuch { .. }, Wanted::Divisible)) {
                return Err(Failure::Answer(problem));
            }
            let Some(pause) = self.retry.pause(&problem, repetition, chance()) else {
                return Err(Failure::Answer(problem));
            };
            repetition += 1;
            self.output.trace(2, || format!("{problem:?}; asking again in {:.1} s", pause.as_secs_f64()));
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once(&self, token: &AccessToken, url: &Url, wanted: Wanted) -> std::result::Result<String, Problem> {
        let Some(authorization) = token.header_for(url) else {
            return Err(Problem::Unreadable { said: "the request would have left the configured server".to_owned() });
        };
        let accept = match wanted {
            Wanted::Fhir | Wanted::Divisible | Wanted::Document => "application/fhir+json",
            Wanted::Json => "application/json",
        };
        let mut turn = self.share.turn().await;
        let request = self.connections.http.get(url.clone()).header(AUTHORIZATION, authorization);
        let request = request.header(ACCEPT, accept).header(ACCEPT_ENCODING, "gzip");
        let started = Instant::now();
        self.requests.fetch_add(1, Ordering::Relaxed);
        let sent = request.send().await;
        let took = started.elapsed();
        let spent = sent.as_ref().ok().and_then(|response| spent(response.headers()));
        let is_throttled = sent.as_ref().is_ok_and(|response| response.status().as_u16() == 429);
        let is_search = matches!(wanted, Wanted::Fhir | Wanted::Divisible);
        let answer = self.receive(sent, is_search).await.map_err(|problem| problem.after(started.elapsed()));
        turn.observed(match &answer {
            Err(Problem::Temporary { retry_after, .. }) => {
                Observation::TooMuch(retry_after.or(is_throttled.then_some(THROTTLED)))
            }
            Err(Problem::Unreachable { .. } | Problem::TooMuch { .. }) => Observation::TooMuch(None),
            Err(_) => Observation::Nothing,
            Ok(_) => spent.map_or(Observation::Answers(took), Observation::Spent),
        });
        drop(turn);
        self.output.trace(1, || {
            let what = match &answer {
                Ok(body) => format!("200, {}", size(body.len() as u64)),
                Err(problem) => format!("{problem:?}"),
            };
            format!("GET {} → {what} in {:.2} s", loggable(url), started.elapsed().as_secs_f64())
        });
        answer
    }

    async fn receive(&self, sent: reqwest::Result<Response>, is_search: bool) -> std::result::Result<String, Problem> {
        let mut response = sent.map_err(|cause| broken(&cause))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        if let Some(date) = text(&headers, &DATE).and_then(http_date::parse) {
            self.clock.fetch_max(date.as_second(), Ordering::Relaxed);
        }
        let mut body = Body::of(&headers, if status == 200 { LARGEST_BODY } else { LARGEST_REFUSAL });
        let mut taken = Ok(());
        while let Some(chunk) = response.chunk().await.map_err(|cause| broken(&cause))? {
            taken = body.take(&chunk);
            if taken.is_err() {
                break;
            }
        }
        let body = match taken.and_then(|()| body.finish()) {
            Ok(body) => body,
            // The status and headers show what a refusal means, even if its body is lost.
            Err(_) if status != 200 => Vec::new(),
            Err(cause) => return Err(unusable(&cause)),
        };
        self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        if status != 200 {
            let head = Head {
                status,
                content_type: text(&headers, &CONTENT_TYPE),
                authenticate: text(&headers, &WWW_AUTHENTICATE),
                retry_after: text(&headers, &RETRY_AFTER).and_then(|text| retry_after(text, Timestamp::now())),
                is_search,
            };
            return Err(Problem::read(head, &body));
        }
        if !text(&headers, &CONTENT_TYPE).is_some_and(|kind| kind.contains("json")) {
            return Err(Problem::Unreadable { said: "it is not JSON".to_owned() });
        }
        String::from_utf8(body).map_err(|_| Problem::Unreadable { said: "it is not UTF-8".to_owned() })
    }
}

/// How reading a body ended.
pub(crate) enum BodyEnd {
    /// All of it was read.
    Whole,
    /// There is more than was to be read.
    TooLarge,
    /// The connection failed.
    BrokenOff(String),
}

/// Reads a body into `bytes`, up to `largest` bytes of it.
pub(crate) async fn read_body(response: &mut Response, bytes: &mut Vec<u8>, largest: usize) -> BodyEnd {
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let (fits, rest) = chunk.split_at(chunk.len().min(largest - bytes.len()));
                bytes.extend_from_slice(fits);
                if !rest.is_empty() {
                    return BodyEnd::TooLarge;
                }
            }
            Ok(None) => return BodyEnd::Whole,
            Err(cause) => return BodyEnd::BrokenOff(network_words(&cause)),
        }
    }
}

/// A body as it arrives, decompressed on the way, up to a size limit.
enum Body {
    Plain(Limited),
    Gzip(Box<MultiGzDecoder<Limited>>),
}

impl Body {
    fn of(headers: &HeaderMap, most: usize) -> Self {
        let body = Limited { bytes: Vec::new(), most };
        let is_gzip = text(headers, &CONTENT_ENCODING)
            .is_some_and(|encoding| ["gzip", "x-gzip"].iter().any(|name| encoding.eq_ignore_ascii_case(name)));
        if is_gzip { Self::Gzip(Box::new(MultiGzDecoder::new(body))) } else { Self::Plain(body) }
    }

    fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(body) => body.write_all(chunk),
            Self::Gzip(body) => body.write_all(chunk),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(body) => Ok(body.bytes),
            Self::Gzip(body) => body.finish().map(|body| body.bytes),
        }
    }
}

struct Limited {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Limited {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + part.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is wrong with a body that arrived.
fn unusable(cause: &io::Error) -> Problem {
    if cause.kind() == io::ErrorKind::FileTooLarge {
        return Problem::TooMuch { said: format!("the answer is larger than {}", size(LARGEST_BODY as u64)) };
    }
    Problem::network(format!("the answer does not decompress: {}", crate::error::sanitized(&in_words(cause))))
}

/// What went wrong below HTTP. If an answer does not come in time, the request was too much for the server.
fn broken(cause: &reqwest::Error) -> Problem {
    if let Some(missing) = SetupProblem::of(cause) {
        return Problem::SetupProblem(missing);
    }
    let said = network_words(cause);
    if cause.is_timeout() && !cause.is_connect() { Problem::TooMuch { said } } else { Problem::network(said) }
}

/// How long the server asks clients to wait after this answer: `X-RateLimit-Reset`, in seconds, if
/// `X-RateLimit-Remaining` is 0. Both may be the word `None`.
fn spent(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<f64>().ok();
    (number("x-ratelimit-remaining")? == 0.0).then_some(())?;
    Duration::try_from_secs_f64(number("x-ratelimit-reset")?).ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A network failure in words that contain neither the URL's query nor anything from the answer.
#[must_use]
pub(crate) fn network_words(cause: &reqwest::Error) -> String {
    match (cause.is_timeout(), cause.is_connect()) {
        (true, _) => innermost_words(cause),
        (_, true) => format!("no connection: {}", innermost_words(cause)),
        (_, false) => format!("the connection broke: {}", innermost_words(cause)),
    }
}

/// As [`network_words`], after words that say already that there is no connection.
#[must_use]
pub(crate) fn innermost_words(cause: &reqwest::Error) -> String {
    if cause.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = cause;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let words = innermost.downcast_ref::<io::Error>().map_or_else(|| innermost.to_string(), in_words);
    crate::error::sanitized(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_only_to_its_own_origin() {
        let token = AccessToken::new("https://api.example".parse().unwrap(), Secret::new("abc".into()));
        assert!(token.header_for(&Url::parse("https://api.example/v2/fhir/Patient").unwrap()).is_some());
        for other in ["https://api.example.evil/", "http://api.example/", "https://api.example:8443/"] {
            assert!(token.header_for(&Url::parse(other).unwrap()).is_none(), "{other}");
        }
    }

    #[test]
    fn an_exceeded_rate_limit_is_recognized() {
        let headers = |remaining, reset| {
            let pairs = [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)];
            pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).into_iter().collect()
        };
        assert_eq!(spent(&headers("0", "1.5")), Some(Duration::from_millis(1500)));
        for (remaining, reset) in [("3", "1.5"), ("None", "None"), ("0", "-1"), ("0", "inf"), ("0", "None")] {
            assert_eq!(spent(&headers(remaining, reset)), None, "{remaining} {reset}");
        }
    }

    fn received(encoding: &'static str, chunks: &[&[u8]]) -> std::result::Result<Vec<u8>, Problem> {
        received_up_to(LARGEST_BODY, encoding, chunks)
    }

    fn received_up_to(most: usize, encoding: &'static str, chunks: &[&[u8]]) -> std::result::Result<Vec<u8>, Problem> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
        let mut body = Body::of(&headers, most);
        for chunk in chunks {
            body.take(chunk).map_err(|cause| unusable(&cause))?;
        }
        body.finish().map_err(|cause| unusable(&cause))
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_compressed_body_is_unpacked_however_it_is_split() {
        let text = "claims, ".repeat(50_000);
        let whole = packed(text.as_bytes());
        for length in [1, 7, 1000, whole.len()] {
            let chunks: Vec<&[u8]> = whole.chunks(length).collect();
            assert_eq!(received("gzip", &chunks).unwrap(), text.as_bytes(), "{length}");
        }
        assert_eq!(received("x-gzip", &[&whole]).unwrap(), text.as_bytes(), "RFC 9110 section 8.4.1.3");
        assert_eq!(received("identity", &[b"cla", b"ims"]).unwrap(), b"claims");
        // RFC 1952 section 2.2: gzip members simply follow one another.
        assert_eq!(received("GZIP", &[&packed(b"cla"), &packed(b"ims")]).unwrap(), b"claims");
        for at in [whole.len() - 1, whole.len() / 2, 20, 1, 0] {
            let cut = received("gzip", &[&whole[..at]]);
            assert!(matches!(cut, Err(Problem::Unreachable { .. })), "{at}: {}", cut.is_ok());
        }
        let mut damaged = whole.clone();
        damaged[whole.len() - 6] ^= 1;
        assert!(matches!(received("gzip", &[&damaged]), Err(Problem::Unreachable { .. })));
    }

    #[test]
    fn a_body_that_would_unpack_to_too_much_is_refused() {
        let bomb = packed(&vec![b' '; LARGEST_BODY + 1]);
        assert!(bomb.len() < LARGEST_BODY / 100);
        assert!(matches!(received("gzip", &[&bomb]), Err(Problem::TooMuch { .. })));
        let words = packed(&vec![b' '; LARGEST_REFUSAL + 1]);
        assert!(matches!(received_up_to(LARGEST_REFUSAL, "gzip", &[&words]), Err(Problem::TooMuch { .. })));
        assert_eq!(received("gzip", &[&words]).unwrap().len(), LARGEST_REFUSAL + 1);
    }

    #[test]
    fn a_token_does_not_print() {
        let token = AccessToken::new("https://api.example".parse().unwrap(), Secret::new("hush-hush".into()));
        assert!(!format!("{token:?}").contains("hush"));
        let header = token.header_for(&Url::parse("https://api.example/").unwrap()).unwrap();
        assert!(!format!("{header:?}").contains("hush"));
    }
}
