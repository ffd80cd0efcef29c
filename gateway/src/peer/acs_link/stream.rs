//! The bytes of one connection, in TLS or in clear. Owns no protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

/// How long a peer may take to hear our last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub enum Stream {
    /// In clear, on this machine.
    Plain(TcpStream),
    /// In TLS.
    Secure(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether nobody between can read or change it.
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// Writes the last bytes and closes. What still comes is read and thrown away meanwhile: a socket that is closed
    /// with unread bytes is reset, and the peer would never hear why. Takes at most [`LAST_WORDS`].
    pub async fn close_with(mut self, words: Vec<u8>) {
        let closing = async {
            self.write_all(&words).await?;
            self.shutdown().await?;
            let mut unread = [0; 1024];
            while self.read(&mut unread).await? > 0 {}
            io::Result::Ok(())
        };
        // It may have gone already; it was told as well as it could be.
        let _ = timeout(LAST_WORDS, closing).await;
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
