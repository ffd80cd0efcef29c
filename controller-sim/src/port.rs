//! Where a simulated line is reached: a pseudo-terminal published under a stable name, or a TCP listener that plays a
//! serial server.
//!
//! Owns the file descriptors and the symbolic link. A write never waits: bytes that the other end does not take in
//! time are gone, as on a wire.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, ioctl_tiocnxcl, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpStream};

/// How long a pseudo-terminal is quiet before it is made open to others again: a program that was killed leaves its
/// exclusive claim on the terminal behind.
const QUIET: Duration = Duration::from_millis(200);

/// The near end of a line.
#[derive(Debug)]
pub(crate) enum Port {
    Pty(Pty),
    Tcp { listener: TcpListener, stream: Option<TcpStream> },
}

#[derive(Debug)]
pub(crate) struct Pty {
    near: AsyncFd<OwnedFd>,
    /// Held open so that the terminal stays as it is while nobody uses it.
    far: OwnedFd,
    link: PathBuf,
}

impl Port {
    /// Opens `tcp://host:port`, or a pseudo-terminal whose name is published at a path.
    pub(crate) async fn open(name: &str) -> io::Result<Self> {
        match name.strip_prefix("tcp://") {
            Some(address) => Ok(Self::Tcp { listener: TcpListener::bind(address).await?, stream: None }),
            None => Pty::open(Path::new(name)).map(Self::Pty),
        }
    }

    /// The address to connect to, of a TCP line.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Pty(_) => None,
            Self::Tcp { listener, .. } => listener.local_addr().ok(),
        }
    }

    /// Waits for bytes. Safe to cancel.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pty(pty) => pty.read(buffer).await,
            Self::Tcp { listener, stream } => loop {
                let Some(peer) = stream else {
                    *stream = Some(accept(listener).await?);
                    continue;
                };
                tokio::select! {
                    // One panel at a time: the newest, for the old one may be half dead.
                    accepted = accept(listener) => *stream = Some(accepted?),
                    ready = peer.readable() => {
                        match ready.and_then(|()| peer.try_read(buffer)) {
                            Ok(0) => *stream = None,
                            Ok(len) => return Ok(len),
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                            Err(_) => *stream = None,
                        }
                    }
                }
            },
        }
    }

    /// Writes what the other end takes at once; the rest is lost.
    pub(crate) fn write(&self, bytes: &[u8]) {
        // Nobody there, or a full buffer: a wire does not care either.
        let _ = match self {
            Self::Pty(pty) => rustix::io::write(pty.near.get_ref(), bytes).map_err(io::Error::from),
            Self::Tcp { stream: Some(stream), .. } => stream.try_write(bytes),
            Self::Tcp { stream: None, .. } => Ok(0),
        };
    }
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Pty {
    fn open(link: &Path) -> io::Result<Self> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let name = ptsname(&near, Vec::new())?;
        let far = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&far)?;
        settings.make_raw();
        tcsetattr(&far, OptionalActions::Now, &settings)?;
        let flags = rustix::fs::fcntl_getfl(&near)?;
        rustix::fs::fcntl_setfl(&near, flags | OFlags::NONBLOCK)?;

        let target = name.to_str().map_err(|_| io::Error::other("the pseudo-terminal's name is not text"))?;
        publish(Path::new(target), link)?;
        #[expect(deprecated, reason = "its successor is unsafe; with an OwnedFd, which never changes, this is sound")]
        let near = AsyncFd::new(near)?;
        Ok(Self { near, far, link: link.into() })
    }

    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = tokio::time::timeout(QUIET, self.near.readable()).await;
            let Ok(ready) = ready else {
                ioctl_tiocnxcl(&self.far)?;
                continue;
            };
            let read = ready?.try_io(|near| Ok(rustix::io::read(near.get_ref(), &mut *buffer)?));
            match read {
                Ok(Ok(0)) | Err(_) => {}
                Ok(result) => return result,
            }
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Gone with its adapter. Left alone if somebody replaced it.
        if let (Ok(target), Ok(own)) = (std::fs::read_link(&self.link), ptsname(self.near.get_ref(), Vec::new()))
            && own.to_str().is_ok_and(|own| Path::new(own) == target)
        {
            let _ = std::fs::remove_file(&self.link);
        }
    }
}

/// Puts a symbolic link in place in one step; replaces an old link, never a file.
fn publish(target: &Path, link: &Path) -> io::Result<()> {
    if let Ok(there) = std::fs::symlink_metadata(link)
        && !there.file_type().is_symlink()
    {
        let what = format!("{} exists and is not a symbolic link: choose another port name", link.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    if let Some(folder) = link.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut fresh = link.as_os_str().to_owned();
    fresh.push(".new");
    let _ = std::fs::remove_file(&fresh);
    std::os::unix::fs::symlink(target, &fresh)?;
    std::fs::rename(&fresh, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pseudo_terminal_is_published_and_its_link_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("dev/entrance");
        let mut port = Port::open(link.to_str().unwrap()).await.unwrap();
        let mut far = std::fs::OpenOptions::new().read(true).write(true).open(&link).unwrap();
        std::io::Write::write_all(&mut far, b"\x53\r\n\x00\xff").unwrap();
        let mut buffer = [0; 64];
        let mut got = Vec::new();
        while got.len() < 5 {
            let len = port.read(&mut buffer).await.unwrap();
            got.extend_from_slice(&buffer[..len]);
        }
        assert_eq!(got, b"\x53\r\n\x00\xff", "raw: nothing translated, nothing echoed");
        port.write(b"\x04\x03\n");
        let mut back = [0; 3];
        std::io::Read::read_exact(&mut far, &mut back).unwrap();
        assert_eq!(&back, b"\x04\x03\n");
        drop(port);
        assert!(std::fs::symlink_metadata(&link).is_err());
    }

    #[tokio::test]
    async fn a_stale_link_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("entrance");
        std::os::unix::fs::symlink("/dev/pts/no-such", &link).unwrap();
        let port = Port::open(link.to_str().unwrap()).await.unwrap();
        assert!(std::fs::metadata(&link).is_ok());
        drop(port);
        std::fs::write(&link, "mine").unwrap();
        assert_eq!(Port::open(link.to_str().unwrap()).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&link).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_tcp_line_takes_the_newest_panel() {
        let mut port = Port::open("tcp://127.0.0.1:0").await.unwrap();
        let address = port.address().unwrap();
        let first = TcpStream::connect(address).await.unwrap();
        first.try_write(b"a").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(port.read(&mut buffer).await.unwrap(), 1);
        let second = TcpStream::connect(address).await.unwrap();
        second.writable().await.unwrap();
        second.try_write(b"bc").unwrap();
        let len = port.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"bc");
    }
}
