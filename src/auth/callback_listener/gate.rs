//! The gate before tiny_http: it looks at the first byte of each connection and passes on what is HTTP.
//!
//! A browser set to "HTTPS only", or an antivirus program, comes with a TLS ClientHello. tiny_http waits in it for
//! the end of a line that never comes, and so would the person. Nor does tiny_http ever see a connection that says
//! nothing.

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

/// A TLS record that holds a handshake message begins with this (RFC 8446 section 5.1). No HTTP method does.
const TLS_HANDSHAKE: u8 = 0x16;
/// How long a connection may say nothing. Browsers open some ahead of time, and open another when one is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a client may take to read an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// Connections at once: more than any browser opens, and less than this process may have.
const MOST: usize = 400;

/// How much of the answers has gone out, for each connection that was passed on: by its port at our side.
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

    /// Waits until so many bytes have gone out, or the connection is gone.
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

/// A port that is open as long as this lives.
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
    /// Passes what comes to `listener` on to `server`, but for TLS, which is told of.
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
                // One that was gone before it was taken is no reason to close.
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

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.closed.store(true, Ordering::Release);
        // Wakes the thread that waits for connections, so that it sees that it is over.
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
            // What is left unread would make the system reset the connection, which some browsers take for a
            // network failure and try again.
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
