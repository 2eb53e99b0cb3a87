//! The ports of the redirect listener: tiny_http behind its gates.

use std::{
    io, iter, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::AtomicUsize,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use tiny_http::Server;

use super::{
    Event, ListenError,
    gate::{AdmittedConnection, Gate},
};
use crate::auth::callback_listener::answer::PendingRequest;
use crate::error::in_words;

/// The ports for the browser, and the server behind them.
pub(super) struct ListeningSockets {
    gates: Vec<Gate>,
    server: Arc<Server>,
    /// Dropped with the listener. Then the thread that nudges the pool ends.
    _nudger: Sender<()>,
}

impl ListeningSockets {
    /// Listens on the first of these addresses, and on the others if possible.
    pub(super) fn at(addresses: &[SocketAddr], sender: &Sender<Event>) -> Result<Self, ListenError> {
        let mut ports = Vec::new();
        for (number, address) in addresses.iter().copied().enumerate() {
            match TcpListener::bind(address) {
                Ok(port) => ports.push(port),
                Err(cause) => match refused(address, &cause) {
                    // `localhost` may be IPv4 only. But if another program listens on the other address, the browser
                    // would bring the code to that program.
                    ListenError::Refused { .. } if number > 0 => {}
                    error => return Err(error),
                },
            }
        }
        Self::open(ports, sender)
    }

    /// The address for the browser.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.gates.first().map(Gate::address)
    }

    fn open(ports: Vec<TcpListener>, sender: &Sender<Event>) -> Result<Self, ListenError> {
        let behind =
            [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|ip| SocketAddr::new(ip, 0));
        let server = Server::http(behind[0]).or_else(|_| Server::http(behind[1]));
        let refuse = |cause: String| ListenError::Refused { address: behind[0], cause };
        let server =
            Arc::new(server.map_err(|cause| refuse(cause.downcast_ref().map_or_else(|| cause.to_string(), in_words)))?);
        let address = server.server_addr().to_ip().ok_or_else(|| refuse("no address".to_owned()))?;
        let passed = Arc::new(AdmittedConnection::default());
        let gates = ports.into_iter().map(|port| {
            let sender = sender.clone();
            Gate::open(port, address, &passed, move || sender.send(Event::Tls).unwrap_or_default())
        });
        let gates = gates.collect::<io::Result<_>>().map_err(|cause| refuse(in_words(&cause)))?;
        let (own, sender, writing) = (Arc::clone(&server), sender.clone(), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            while let Ok(request) = own.recv() {
                if sender.send(Event::Request(PendingRequest::new(request, &writing, &passed))).is_err() {
                    break;
                }
            }
            // Requests still in the queue would be dropped with the server. `answer` says why they must not be.
            const MOST: usize = 10_000;
            iter::from_fn(|| own.try_recv().ok().flatten()).take(MOST).for_each(mem::forget);
        });
        Ok(Self { gates, server, _nudger: nudge(address) })
    }
}

impl Drop for ListeningSockets {
    fn drop(&mut self) {
        // Ends the thread that hands requests over. It has the last handle, so the port closes.
        self.server.unblock();
    }
}

/// Keeps tiny_http's pool of threads going until the returned sender is dropped.
///
/// The pool counts a thread as free until it has woken up. If several connections come at once (a browser opens some
/// ahead of time), more of them can be queued for one free thread than it can ever serve. If the first one then stays
/// silent, the real callback would wait behind it forever. Another connection makes the pool start a thread, which
/// looks into the queue when it is done. So this makes a few short connections from time to time.
fn nudge(address: SocketAddr) -> Sender<()> {
    const EVERY: Duration = Duration::from_millis(250);
    const AT_ONCE: usize = 3;
    let (alive, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
            let _ = (0..AT_ONCE).try_for_each(|_| TcpStream::connect(address).map(drop));
        }
    });
    alive
}

fn refused(address: SocketAddr, cause: &io::Error) -> ListenError {
    if cause.kind() == io::ErrorKind::AddrInUse {
        ListenError::PortTaken { port: address.port(), host: address.ip().to_string() }
    } else {
        ListenError::Refused { address, cause: in_words(cause) }
    }
}
