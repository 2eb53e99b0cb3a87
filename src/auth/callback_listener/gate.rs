//! The gate before tiny_http: it looks at the first byte of each connection, and passes on only HTTP.
//!
//! A browser set to "HTTPS only", or an antivirus program, sends a TLS ClientHello. tiny_http would look in it for a
//! line end that never comes, and the person would have to wait. The gate also keeps silent connections away from
//! tiny_http.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The first byte of a TLS record with a handshake message (RFC 8446 section 5.1). No HTTP method starts with it.
const TLS_HANDSHAKE: u8 = 0x16;
/// How long a connection may stay silent. Browsers open some ahead of time, and open another if one is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a client may take to read an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// Limit of open connections: more than any browser opens, and fewer than this process may have.
const MOST: usize = 400;

/// How many bytes of the answers have gone out, for each connection that was passed on, by its port on our side.
#[derive(Debug, Default)]
pub(crate) struct AdmittedConnection {
    bytes: Mutex<HashMap<u16, u64>>,
    more: Condvar,
}

impl AdmittedConnection {
    fn bytes(&self) -> MutexGuard<'_, HashMap<u16, u64>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that have gone out so far.
    pub(crate) fn so_far(&self, port: u16) -> u64 {
        self.bytes().get(&port).copied().unwrap_or(0)
    }

    /// Waits until this many bytes have gone out, or the connection is gone.
    pub(crate) fn wait_for(&self, port: u16, bytes: u64, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut now = self.bytes();
        while now.get(&port).is_some_and(|passed| *passed < bytes) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            now = self.more.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn count(&self, port: u16, bytes: u64) {
        *self.bytes().entry(port).or_default() += bytes;
        self.more.notify_all();
    }

    fn forget(&self, port: u16) {
        self.bytes().remove(&port);
        self.more.notify_all();
    }
}

/// A port that stays open until this is dropped.
pub(super) struct Gate {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

/// What every connection needs.
struct Way {
    server: SocketAddr,
    passed: Arc<AdmittedConnection>,
    open: AtomicUsize,
    on_tls: Box<dyn Fn() + Send + Sync>,
}

impl Gate {
    /// Passes connections from `listener` on to `server`, except TLS, which it reports.
    pub(super) fn open(
        listener: TcpListener,
        server: SocketAddr,
        passed: &Arc<AdmittedConnection>,
        on_tls: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        let way =
            Arc::new(Way { server, passed: Arc::clone(passed), open: AtomicUsize::new(0), on_tls: Box::new(on_tls) });
        thread::Builder::new().spawn(move || {
            for client in listener.incoming() {
                if is_closed.load(Ordering::Acquire) {
                    return;
                }
                // A connection that closed before we accepted it is no reason to stop.
                let Ok(client) = client else { continue };
                if way.open.fetch_add(1, Ordering::AcqRel) >= MOST {
                    way.open.fetch_sub(1, Ordering::AcqRel);
                    continue;
                }
                let own = Arc::clone(&way);
                let pass = move || {
                    let _ = own.pass(client);
                    own.open.fetch_sub(1, Ordering::AcqRel);
                };
                if thread::Builder::new().spawn(pass).is_err() {
                    way.open.fetch_sub(1, Ordering::AcqRel);
                }
            }
        })?;
        Ok(Self { address, closed })
    }

    /// The address of the port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.closed.store(true, Ordering::Release);
        // Wakes the thread that waits for connections, so that it sees that it has to end.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
    }
}

impl Way {
    fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(SILENCE))?;
        let mut first = [0];
        if client.peek(&mut first)? == 0 {
            return Ok(());
        }
        if first[0] == TLS_HANDSHAKE {
            (self.on_tls)();
            // Reads what the client sent. Otherwise the system would reset the connection, and some browsers would
            // take that for a network failure and try again.
            let _ = client.read(&mut [0; 4096]);
            return client.shutdown(Shutdown::Both);
        }
        client.set_read_timeout(None)?;
        client.set_write_timeout(Some(UNREAD))?;
        let server = TcpStream::connect(self.server)?;
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        thread::Builder::new().spawn(move || {
            let _ = io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        })?;
        let port = server.local_addr()?.port();
        self.passed.count(port, 0);
        let answered = self.answer(server, &mut client, port);
        self.passed.forget(port);
        client.shutdown(Shutdown::Both).and(answered)
    }

    fn answer(&self, mut server: TcpStream, client: &mut TcpStream, port: u16) -> io::Result<()> {
        let mut part = [0; 8192];
        loop {
            let length = server.read(&mut part)?;
            if length == 0 {
                return Ok(());
            }
            client.write_all(&part[..length])?;
            self.passed.count(port, length as u64);
        }
    }
}
