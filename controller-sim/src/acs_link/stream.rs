//! One connection: plain or TLS, read and written by one future that can be dropped between any two bytes.
//!
//! Owns the socket. Knows nothing of messages.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::tls::{Ends, any_name};

/// TCP and TLS handshake together.
const OPEN_TIME: Duration = Duration::from_secs(5);

/// An open connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What came of waiting for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Read(usize),
    Wrote(usize),
}

impl Stream {
    /// Connects to `host:port`.
    pub(super) async fn connect(to: &str, ends: Option<&Ends>) -> io::Result<Self> {
        in_time(async {
            let tcp = TcpStream::connect(to).await?;
            tcp.set_nodelay(true)?;
            match ends {
                None => Ok(Self::Plain(tcp)),
                Some(ends) => Ok(Self::Tls(Box::new(ends.connector.connect(any_name(), tcp).await?.into()))),
            }
        })
        .await
    }

    /// Finishes a connection that the gateway made.
    pub(super) async fn accept(tcp: TcpStream, ends: Option<&Ends>) -> io::Result<Self> {
        in_time(async {
            tcp.set_nodelay(true)?;
            let Some(ends) = ends else { return Ok(Self::Plain(tcp)) };
            let tls = ends.acceptor.accept(tcp).await?;
            ends.check_client(tls.get_ref().1.peer_certificates())?;
            Ok(Self::Tls(Box::new(tls.into())))
        })
        .await
    }

    /// Whether it is protected.
    pub(super) const fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Ends it with a reset instead of an end.
    pub(super) fn reset(self) {
        let tcp = match &self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        };
        // If it cannot be set, the connection ends in order: the test that wants a reset will say so.
        let _ = tcp.set_zero_linger();
    }

    /// Reads into `buffer` (unless it is empty) or writes of `out` (unless that is empty), whichever comes first.
    pub(super) async fn exchange(&mut self, buffer: &mut [u8], out: &[u8]) -> io::Result<Done> {
        poll_fn(|context| {
            if !out.is_empty() {
                match Pin::new(&mut *self).poll_write(context, out) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(written) => return Poll::Ready(written.map(Done::Wrote)),
                    Poll::Pending => {}
                }
            }
            // What TLS holds back is on its way as soon as the socket takes it.
            if let Poll::Ready(Err(error)) = Pin::new(&mut *self).poll_flush(context) {
                return Poll::Ready(Err(error));
            }
            if buffer.is_empty() {
                return Poll::Pending;
            }
            let mut into = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *self).poll_read(context, &mut into))?;
            match into.filled().len() {
                0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                len => Poll::Ready(Ok(Done::Read(len))),
            }
        })
        .await
    }
}

async fn in_time<T>(opening: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(OPEN_TIME, opening).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
