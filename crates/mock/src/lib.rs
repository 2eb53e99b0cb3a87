//! An offline Blue Button: OAuth, discovery, userinfo and FHIR of API v1, v2 and v3 for made-up people, on loopback.
//!
//! [`Mock::start`] gives a test a separate server on a free port. It stops when it is dropped:
//!
//! ```
//! use bluebutton_mock::{Mock, Options};
//!
//! # fn main() -> Result<(), bluebutton_mock::StartError> {
//! let mock = Mock::start(Options::default())?;
//! println!("{} {} {}", mock.url(), mock.client_id(), mock.client_secret());
//! # Ok(())
//! # }
//! ```
//!
//! `tests/log_in.rs` of this crate is a complete log-in that you can copy. bbdl's `docs/mock.md` describes the mock's
//! answers, its [`faults`] and its controls below `/__mock/`.
//!
//! The mock shares no code with bbdl's client. They meet only over a socket, so that a mistake in one shows in the
//! other.

mod apps;
mod backend;
mod body;
mod consents;
mod control;
pub mod data;
mod expiring_map;
pub mod faults;
mod fenwick;
mod fhir;
mod html;
mod http;
mod ids;
mod json;
mod language;
mod log;
mod login_visits;
mod mutable_records;
mod oauth;
pub mod population;
pub mod records;
mod rng;
mod routing;
mod signin;
#[cfg(test)]
mod tests;
mod throttle;
mod version;
mod wire;
mod world;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::json;
use thiserror::Error;
use tokio::{net::TcpListener, sync::oneshot};

use apps::Registration;
pub use faults::{Fault, FaultError};
use mutable_records::MutableRecords;
pub use population::Population;
pub use records::Records;
use world::World;

/// What kind of access an app has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// As long as one access token lives.
    OneTime,
    /// 13 months.
    #[default]
    ThirteenMonth,
    /// Until revoked.
    Research,
}

/// The settings of a mock. The defaults are those of `bbdl mock`: a free port, one made-up enrollee with 100 claims,
/// and pages for log-in and consent.
///
/// ```
/// use bluebutton_mock::{Options, Population};
///
/// let three_people = Options { auto_consent: true, records: Box::new(Population::new(1, 3, 60)), ..Options::default() };
/// # let _ = three_people;
/// ```
pub struct Options {
    /// Port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// Whether a plain GET of the authorization URL finishes a log-in, without pages.
    pub auto_consent: bool,
    /// The delay of every answer.
    pub latency: Duration,
    /// What kind of access the app has.
    pub access: Access,
    /// Redirect URIs that the app has registered in addition to its own, such as `http://localhost:3000/callback`.
    pub redirect_uris: Vec<String>,
    /// Decides the client credentials, and when a fault with a chance below 100 % happens. Give [`Population::new`]
    /// the same seed to change people and claims too.
    pub seed: u64,
    /// What goes wrong. `"status=503#1".parse()` makes a fault; `docs/mock.md` lists all.
    pub faults: Vec<Fault>,
    /// The people and their data: made up ([`Population`]), read from files ([`data::load`]), or your own.
    pub records: Box<dyn Records>,
}

impl Default for Options {
    fn default() -> Self {
        const SEED: u64 = 1;
        Self {
            port: 0,
            auto_consent: false,
            latency: Duration::ZERO,
            access: Access::default(),
            redirect_uris: Vec::new(),
            seed: SEED,
            faults: Vec::new(),
            records: Box::new(Population::new(SEED, 1, 100)),
        }
    }
}

/// Why a mock did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port is taken, or none is free.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The requested port.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
    /// The system allows no more threads or open files.
    #[error("cannot start a server: {0}")]
    System(#[source] io::Error),
    /// This is not a redirect URI: it has no scheme, or it has a fragment or a blank.
    #[error("\"{0}\" is not a redirect URI; write it as http://localhost:3000/callback")]
    RedirectUri(String),
}

/// What all requests share.
struct Shared {
    url: String,
    auto_consent: bool,
    latency: Duration,
    records: MutableRecords,
    world: Mutex<World>,
}

impl Shared {
    fn url(&self) -> &str {
        &self.url
    }

    /// The state. It is valid even after a panic of a request that held it, because every change is one step.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A port to connect to, and the runtime that serves it.
struct Server {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    fn listen(port: u16) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::System)?;
        let failed = |source| StartError::Listen { port, source };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { runtime, listener, address })
    }

    fn serve(self, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = routing::serve(self.listener, shared) => {}
                _ = stopped => {}
            }
        });
        self.runtime.shutdown_background();
    }
}

/// A running mock in its own thread. It stops when it is dropped.
pub struct Mock {
    shared: Arc<Shared>,
    client_id: String,
    client_secret: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    /// Starts a mock. It answers when this returns.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: Options) -> Result<Self, StartError> {
        if let Some(uri) = options.redirect_uris.iter().find(|uri| !oauth::is_redirect_uri(uri)) {
            return Err(StartError::RedirectUri(uri.clone()));
        }
        let (client_id, client_secret) = (credential(options.seed, 40), credential(options.seed ^ u64::MAX, 128));
        let mut app = Registration { name: oauth::APP.to_owned(), access: options.access, ..Registration::default() };
        app.redirect_uris.extend(options.redirect_uris);
        let app = app.app(client_id.clone(), client_secret.clone());
        let (stop, stopped) = oneshot::channel();
        let (started, start) = mpsc::channel();
        // It has its own runtime and thread, so that async tests can start a mock too.
        let serve = move || {
            let server = match Server::listen(options.port) {
                Ok(server) => server,
                Err(cause) => return drop(started.send(Err(cause))),
            };
            let shared = Arc::new(Shared {
                url: format!("http://{}", server.address),
                auto_consent: options.auto_consent,
                latency: options.latency,
                records: MutableRecords::new(options.records),
                world: Mutex::new(World::new(app, options.seed, options.faults)),
            });
            if started.send(Ok(Arc::clone(&shared))).is_ok() {
                server.serve(shared, stopped);
            }
        };
        let thread = thread::Builder::new().name("mock".into()).spawn(serve).map_err(StartError::System)?;
        // A thread that ends without a message has panicked.
        let ended = |_| StartError::System(io::Error::other("the server's thread ended"));
        let shared = start.recv().map_err(ended)??;
        Ok(Self { shared, client_id, client_secret, stop: Some(stop), thread: Some(thread) })
    }

    /// Its address: scheme, host and port, such as `http://127.0.0.1:40000`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.shared.url()
    }

    /// The client id of its app.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client secret of its app. It is made from the seed, so it protects nothing.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// The faults that have not struck yet, as they are written. A test may want to know before it trusts its result.
    #[must_use]
    pub fn idle_faults(&self) -> Vec<String> {
        self.shared.world().faults().iter().filter(|fault| fault.is_idle()).map(ToString::to_string).collect()
    }

    /// What a script needs to know, as one line of JSON: `url`, `client_id`, `client_secret` and, for the first 50
    /// `enrollees`, `username`, `patient`, `name` and the number of `claims`.
    #[must_use]
    pub fn announcement(&self) -> String {
        const LONGEST: usize = 50;
        let records = &self.shared.records;
        // Files may contain only one version. Claims that only v3 has do not count.
        let claims = |index| {
            let of = |version| records.finished(version, index);
            of(version::Version::V2).max(of(version::Version::V1)).max(of(version::Version::V3))
        };
        let enrollees: Vec<_> = (0..records.enrollees().min(LONGEST))
            .map(|index| {
                let person = records.enrollee(index);
                json!({"username": person.username, "patient": person.patient, "name": person.name, "claims": claims(index)})
            })
            .collect();
        json!({
            "url": self.url(), "client_id": self.client_id, "client_secret": self.client_secret, "enrollees": enrollees,
        })
        .to_string()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Letters and digits derived from a number (splitmix64).
fn credential(seed: u64, length: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..length).map(|_| char::from(LETTERS[usize::try_from(next() % 62).unwrap_or(0)])).collect()
}
