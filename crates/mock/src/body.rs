//! Faulty response bodies: cut off, slow, or far too long.

use std::{
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::HttpBody;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::http::Break;

type Next = Poll<Option<Result<Frame<Bytes>, io::Error>>>;

/// A body that is cut off: the connection closes before its end.
pub(super) struct BreakingBody {
    announced: u64,
    half: Option<Bytes>,
    flushed: bool,
}

impl BreakingBody {
    pub(super) fn new(body: &[u8], at: Break) -> Self {
        let half = (at == Break::Within).then(|| Bytes::copy_from_slice(&body[..body.len() / 2]));
        Self { announced: body.len() as u64, flushed: half.is_none(), half }
    }
}

impl HttpBody for BreakingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Next {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // A pause makes the server send what it has. Without one, the error would discard the first half.
        if !self.flushed {
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

/// A body that is sent slowly, a few bytes at a time.
pub(super) struct SlowBody {
    body: Bytes,
    drop: usize,
    pause: Duration,
    wait: Pin<Box<Sleep>>,
}

impl SlowBody {
    /// Sends `rate` bytes a second, in at most twenty pieces.
    pub(super) fn new(body: Bytes, rate: usize) -> Self {
        const DROPS: usize = 20;
        let drop = (rate / DROPS).max(1);
        let pause = Duration::from_secs(1) / u32::try_from(rate.clamp(1, DROPS)).unwrap_or(1);
        Self { body, drop, pause, wait: Box::pin(sleep(pause)) }
    }
}

impl HttpBody for SlowBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Next {
        if self.body.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.wait.as_mut().poll(context));
        self.wait = Box::pin(sleep(self.pause));
        let drop = self.drop.min(self.body.len());
        Poll::Ready(Some(Ok(Frame::data(self.body.split_to(drop)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len() as u64)
    }
}

/// A body followed by megabytes of blanks, which are created while they are sent.
pub(super) struct PaddedBody {
    body: Option<Bytes>,
    megabytes: u64,
    /// For compressed blanks: a second member of the same gzip stream (RFC 1952 section 2.2).
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl PaddedBody {
    /// Set `is_zipped` if `body` is already compressed.
    pub(super) fn new(body: Vec<u8>, megabytes: u64, is_zipped: bool) -> Self {
        let encoder = is_zipped.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Self { body: Some(body.into()), megabytes, encoder }
    }
}

impl HttpBody for PaddedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Next {
        const MEGABYTE: usize = 1_000_000;
        let frame = |bytes: Vec<u8>| Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
        if let Some(body) = self.body.take() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        while self.megabytes > 0 {
            self.megabytes -= 1;
            let blanks = vec![b' '; MEGABYTE];
            let Some(encoder) = &mut self.encoder else { return frame(blanks) };
            encoder.write_all(&blanks)?;
            if !encoder.get_ref().is_empty() {
                return frame(std::mem::take(encoder.get_mut()));
            }
        }
        match self.encoder.take() {
            Some(encoder) => frame(encoder.finish()?),
            None => Poll::Ready(None),
        }
    }
}
