//! An offline Blue Button: OAuth, discovery, userinfo and FHIR for made-up people, on loopback.
//!
//! A server of its own that the client never imports: what they agree on, they agree on over a socket.

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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot};

use apps::Registration;
pub use faults::Fault;
use mutable_records::MutableRecords;
pub use population::Population;
pub use records::Records;
use world::World;

/// What kind of access the mock's app has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, serde::Serialize)]
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

/// How a mock is to be.
pub struct Options {
    /// Port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// Whether a plain GET finishes a log-in.
    pub auto_consent: bool,
    /// How much later every answer comes.
    pub latency: Duration,
    /// What kind of access the app has.
    pub access: Access,
    /// Other seeds have other client credentials, and other luck with faults of chance.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Whose data.
    pub records: Box<dyn Records>,
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

    /// The state. A request that panicked while it held it has left it whole: every change is one step.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running mock; it stops when dropped.
pub struct Mock {
    shared: Arc<Shared>,
    client_id: String,
    client_secret: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    /// Starts a mock; it answers when this returns.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(options: Options) -> io::Result<Self> {
        let (client_id, client_secret) = (credential(options.seed, 40), credential(options.seed ^ u64::MAX, 128));
        let app = Registration { name: oauth::APP.to_owned(), access: options.access, ..Registration::default() }
            .app(client_id.clone(), client_secret.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let shared = Arc::new(Shared {
            url: format!("http://{}", listener.local_addr()?),
            auto_consent: options.auto_consent,
            latency: options.latency,
            records: MutableRecords::new(options.records),
            world: Mutex::new(World::new(app, options.seed, options.faults)),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new().name("mock".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = routing::serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { shared, client_id, client_secret, stop: Some(stop), thread: Some(thread) })
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn url(&self) -> &str {
        self.shared.url()
    }

    /// The client id of its app.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client secret of its app: made from the seed, and no secret at all.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// What a script needs to know, as one line of JSON.
    #[must_use]
    pub fn announcement(&self) -> String {
        const LONGEST: usize = 50;
        let records = &self.shared.records;
        // Files may be of one version alone; what v3 has beyond the others is not counted.
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

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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

/// Letters and digits made from a number (splitmix64).
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
