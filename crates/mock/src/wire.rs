//! The mock's connections, and what goes wrong with them below HTTP: ports that refuse, connections that
//! are reset, answers whose bytes are not what their head says.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Between two tries to have the port again.
const PAUSE: Duration = Duration::from_millis(5);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where connections come in; it can be shut for a while.
pub(super) struct Door {
    /// Gone while shut, so that the port refuses.
    listener: Option<TcpListener>,
    address: SocketAddr,
    lock: Arc<Lock>,
}

#[derive(Debug, Default)]
struct Lock {
    until: Mutex<Option<Instant>>,
    turned: Notify,
}

impl Lock {
    /// Until when it is shut; asked once for each time that it was shut.
    fn turned_until(&self) -> Option<Instant> {
        locked(&self.until).take()
    }
}

impl Door {
    /// A door that is open.
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        Ok(Self { address: listener.local_addr()?, listener: Some(listener), lock: Arc::default() })
    }

    /// Refuses connections until it is time, then opens again. Whoever shuts it meanwhile is heard.
    async fn stay_shut(&mut self) {
        self.listener = None;
        while let Some(until) = self.lock.turned_until() {
            tokio::time::sleep_until(until.into()).await;
        }
        while self.listener.is_none() {
            match TcpListener::bind(self.address).await {
                Ok(listener) => self.listener = Some(listener),
                // Somebody else has the port for the moment.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

impl Listener for Door {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            if locked(&self.lock.until).is_some() {
                self.stay_shut().await;
            }
            let Some(listener) = &self.listener else { continue };
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        // An answer goes out in pieces, and none of them should wait for another's receipt.
                        let _ = stream.set_nodelay(true);
                        let wire = Wire { order: Arc::default(), lock: Arc::clone(&self.lock) };
                        return (Stream { inner: stream, wire }, from);
                    }
                    // Out of file descriptors, most likely: others close theirs.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                () = self.lock.turned.notified() => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// What one connection does instead of sending what it is given.
#[derive(Debug)]
enum Order {
    /// Lets this many bytes out, then resets the connection (RFC 9293 section 3.5.3).
    Reset { after: usize },
    /// Sends these bytes, then closes.
    Instead(Bytes),
}

/// A request's hold on the connection that it came over.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    order: Arc<Mutex<Option<Order>>>,
    lock: Arc<Lock>,
}

impl Wire {
    /// The next answer is cut off after `after` bytes, head included, by a reset.
    pub(super) fn reset(&self, after: usize) {
        *locked(&self.order) = Some(Order::Reset { after });
    }

    /// In place of the next answer these bytes are sent, and the connection closes.
    pub(super) fn send(&self, bytes: Bytes) {
        *locked(&self.order) = Some(Order::Instead(bytes));
    }

    /// No new connection is accepted for so long.
    pub(super) fn refuse(&self, span: Duration) {
        *locked(&self.lock.until) = Instant::now().checked_add(span);
        self.lock.turned.notify_one();
    }
}

impl Connected<IncomingStream<'_, Door>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().wire.clone()
    }
}

/// A connection that obeys orders.
pub(super) struct Stream {
    inner: TcpStream,
    wire: Wire,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let orders = Arc::clone(&self.wire.order);
        let mut order = locked(&orders);
        match &mut *order {
            None => Pin::new(&mut self.inner).poll_write(context, bytes),
            Some(Order::Reset { after: 0 }) => {
                // With nothing to linger for, closing is a reset.
                self.inner.set_zero_linger()?;
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Some(Order::Reset { after }) => {
                let bytes = &bytes[..bytes.len().min(*after)];
                let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
                *after -= written;
                Poll::Ready(Ok(written))
            }
            Some(Order::Instead(other)) => {
                while !other.is_empty() {
                    let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(context, other))?;
                    let _ = other.split_to(written);
                }
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
