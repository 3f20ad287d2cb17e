//! The bytes of a connection, counted: a server, or a statement, that sends more than was asked for is cut off before
//! it fills the memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much has come, and may come.
#[derive(Clone)]
pub(super) struct Meter {
    come: Arc<AtomicUsize>,
    most_bytes: usize,
}

/// A connection that ends with an error once more has come than may.
pub(super) struct Metered {
    stream: Box<dyn Stream>,
    meter: Meter,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Meter {
    pub(super) fn new(most_bytes: usize) -> Meter {
        Meter {
            come: Arc::default(),
            most_bytes,
        }
    }

    /// Whether the connection was cut off.
    pub(super) fn is_over(&self) -> bool {
        self.come.load(Ordering::Relaxed) > self.most_bytes
    }
}

impl Metered {
    pub(super) fn new(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        meter: &Meter,
    ) -> Metered {
        Metered {
            stream: Box::new(stream),
            meter: meter.clone(),
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let come = buffer.filled().len() - before;
        self.meter.come.fetch_add(come, Ordering::Relaxed);
        if self.meter.is_over() {
            // An error comes without bytes.
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::other("more than was asked for")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_connection_ends_where_its_reader_has_enough() {
        for (sent, is_over) in [(1000, false), (1001, true)] {
            let (mut there, here) = duplex(64);
            let meter = Meter::new(1000);
            let mut wire = Metered::new(here, &meter);
            let send = async move {
                // The reader may be gone by then.
                let _ = there.write_all(&vec![7; sent]).await;
            };
            let mut read = Vec::new();
            let (_, end) = tokio::join!(send, wire.read_to_end(&mut read));
            assert_eq!((end.is_err(), meter.is_over()), (is_over, is_over));
            assert!(read.len() <= 1000);
        }
    }
}
