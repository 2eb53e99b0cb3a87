//! The mock's connections, and the faults below HTTP: refused ports, reset connections, and responses whose length
//! differs from their headers.

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

/// The pause between two attempts to bind the port again.
const PAUSE: Duration = Duration::from_millis(5);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listener that can be closed for a while, so that the port refuses connections.
pub(super) struct ClosableListener {
    /// `None` while it is closed.
    listener: Option<TcpListener>,
    address: SocketAddr,
    closed: Arc<ClosedState>,
}

#[derive(Debug, Default)]
struct ClosedState {
    until: Mutex<Option<Instant>>,
    changed: Notify,
}

impl ClosedState {
    /// Takes the time until which it has to stay closed, if there is one.
    fn take_until(&self) -> Option<Instant> {
        locked(&self.until).take()
    }
}

impl ClosableListener {
    /// An open listener.
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        Ok(Self { address: listener.local_addr()?, listener: Some(listener), closed: Arc::default() })
    }

    /// Refuses connections until the time is over, then opens again. A later order extends the time.
    async fn stay_closed(&mut self) {
        self.listener = None;
        while let Some(until) = self.closed.take_until() {
            tokio::time::sleep_until(until.into()).await;
        }
        while self.listener.is_none() {
            match TcpListener::bind(self.address).await {
                Ok(listener) => self.listener = Some(listener),
                // Another program has the port for the moment.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

impl Listener for ClosableListener {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            if locked(&self.closed.until).is_some() {
                self.stay_closed().await;
            }
            let Some(listener) = &self.listener else { continue };
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        // An answer is sent in pieces, and none of them should wait until another one is
                        // acknowledged.
                        let _ = stream.set_nodelay(true);
                        let wire = Wire { order: Arc::default(), closed: Arc::clone(&self.closed) };
                        return (Stream { inner: stream, wire }, from);
                    }
                    // Probably there are no more file descriptors. Wait until others are closed.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                () = self.closed.changed.notified() => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// What a connection does instead of sending its data.
#[derive(Debug)]
enum Order {
    /// Sends this many bytes, then resets the connection (RFC 9293 section 3.5.3).
    Reset { after: usize },
    /// Sends these bytes, then closes.
    Instead(Bytes),
}

/// The connection that a request came over, as faults see it.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    order: Arc<Mutex<Option<Order>>>,
    closed: Arc<ClosedState>,
}

impl Wire {
    /// A reset cuts off the next answer after `after` bytes, including its headers.
    pub(super) fn reset(&self, after: usize) {
        *locked(&self.order) = Some(Order::Reset { after });
    }

    /// Sends these bytes instead of the next answer, and closes the connection.
    pub(super) fn send(&self, bytes: Bytes) {
        *locked(&self.order) = Some(Order::Instead(bytes));
    }

    /// Accepts no new connection for this time.
    pub(super) fn refuse(&self, span: Duration) {
        *locked(&self.closed.until) = Instant::now().checked_add(span);
        self.closed.changed.notify_one();
    }
}

impl Connected<IncomingStream<'_, ClosableListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, ClosableListener>) -> Self {
        stream.io().wire.clone()
    }
}

/// A connection that carries out an [`Order`].
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
                // With a linger time of zero, closing is a reset.
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
