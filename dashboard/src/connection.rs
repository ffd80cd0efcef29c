//! What one connection may take: a bounded number of them, headers within a time, and a client that reads. Without the
//! last a stalled reader would keep its place for ever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_server::Server;
use axum_server::accept::Accept;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// Connections at once; browsers open up to six each. One more is closed at once.
const CONNECTIONS_MAX: usize = 1024;
/// From the first byte of a request to the end of its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Longest headers of a request, in bytes.
const HEADERS_MAX_BYTES: usize = 32 * 1024;
/// From the connection to its first byte: who says nothing keeps no place.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client without TLS may take to read that it should use it.
const REFUSAL_WITHIN: Duration = Duration::from_secs(2);
/// What a request without TLS is answered. It may hold a password or key by then: it is never answered otherwise, nor
/// sent on by itself.
const PLAIN_REFUSED: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
     Cache-Control: no-store\r\nConnection: close\r\nContent-Length: 64\r\n\r\n\
     This port speaks TLS only. Open the same address with https://.\n";
/// A client that takes no byte for this long is cut off.
const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// Sets the limits of reading requests. HTTP/1 only, and so that a connection may become a WebSocket: the server's own
/// switch for the former would forbid the latter.
pub fn bound_headers<A>(server: &mut Server<SocketAddr, A>) {
    let builder = server.http_builder();
    *builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(HEADERS_MAX_BYTES);
}

/// Accepts connections up to the limit.
#[derive(Debug, Clone)]
pub struct Bounded {
    places: Arc<Semaphore>,
}

impl Default for Bounded {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Bounded {
    type Stream = Reading;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Reading, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = Arc::clone(&self.places).try_acquire_owned();
        Box::pin(async move {
            let place = place.map_err(|_| {
                tracing::warn!(most = CONNECTIONS_MAX, "dashboard.connections.full");
                io::Error::other("all connections are in use")
            })?;
            stream.set_nodelay(true)?;
            let mut first = [0];
            timeout(FIRST_BYTE_WITHIN, stream.peek(&mut first)).await??;
            if first[0].is_ascii_alphabetic() {
                refuse_plain(stream).await?;
                return Err(io::Error::other("a request without TLS"));
            }
            Ok((Reading { stream, late: None, _place: place }, service))
        })
    }
}

/// Behind TLS: so many bytes must have come in time before the version of HTTP is known and the limits of
/// [`bound_headers`] hold. No request is shorter.
const VERSION_BYTES: usize = 24;

/// Accepts what `inner` accepts, and cuts off who then says nothing.
#[derive(Debug, Clone)]
pub struct Prompt<A>(pub A);

impl<A, I, S> Accept<I, S> for Prompt<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = Prompted<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Prompted<A::Stream>, A::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepting = self.0.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let late = Box::pin(sleep_until(Instant::now() + HEADERS_WITHIN));
            Ok((Prompted { stream, late: Some(late), read: 0 }, service))
        })
    }
}

/// A connection whose other side must begin in time.
pub struct Prompted<S> {
    stream: S,
    /// Runs until enough has come.
    late: Option<Pin<Box<Sleep>>>,
    read: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(late) = &mut self.late else { return result };
        if result.is_pending() {
            ready!(late.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client asks nothing")));
        }
        self.read = self.read.saturating_add(buf.filled().len().saturating_sub(before));
        if self.read >= VERSION_BYTES {
            self.late = None;
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Says once that this is the wrong way, and closes.
async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    let talk = async {
        // What was sent is read first: closing over unread bytes would throw the answer away.
        let mut unread = [0; 4096];
        let _ = stream.read(&mut unread).await?;
        stream.write_all(PLAIN_REFUSED.as_bytes()).await?;
        stream.shutdown().await
    };
    timeout(REFUSAL_WITHIN, talk).await?
}

/// A connection whose other side must read.
pub struct Reading {
    stream: TcpStream,
    /// Runs while the other side takes nothing.
    late: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Reading {
    fn watch<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.late = None;
            return result;
        }
        let late = self.late.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + WRITE_WITHIN)));
        ready!(late.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl AsyncRead for Reading {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Reading {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
