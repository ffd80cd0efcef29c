//! The bytes' way in and out: a serial device, a pseudo-terminal or a serial server on TCP.
//!
//! Owns opening, exclusive use and the adapter's quirks. Knows nothing of protocols. A port that ends (unplugged
//! adapters make `read` return 0 for ever) is an error for its user, who drops it and opens it again by its name.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_serial::{SerialPort, SerialPortBuilderExt, SerialStream};

/// How long a TCP serial server may take to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long one frame may take to leave; at 9600 baud the largest frame (1440 bytes) needs 1.5 s.
const WRITE_LIMIT: Duration = Duration::from_secs(3);

/// Where a line's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// A serial device or pseudo-terminal. A name from `/dev/serial/by-id` or `by-path` survives re-plugging.
    Device(PathBuf),
    /// A serial server that passes bytes through unchanged.
    Tcp {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
}

impl Port {
    /// Reads `tcp://host:port` or a device's path (relative ones are taken from `base`).
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let Some(address) = text.strip_prefix("tcp://") else {
            if text.contains("://") {
                return Err(format!("\"{text}\" is neither a device nor \"tcp://host:port\""));
            }
            if text.is_empty() {
                return Err("the port is empty; name a device such as /dev/ttyUSB0, or \"tcp://host:port\"".into());
            }
            return Ok(Self::Device(base.join(text)));
        };
        let (host, port) = address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)))
            .filter(|(host, port)| !host.is_empty() && *port != 0)
            .ok_or_else(|| format!("\"{text}\" needs a host and a port: tcp://host:port"))?;
        Ok(Self::Tcp { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => path.display().fmt(f),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open port.
pub struct OpenPort {
    io: Io,
    /// What the adapter check found, for the operator.
    pub complaint: Option<String>,
}

enum Io {
    Serial(Box<SerialStream>),
    Other(Box<dyn Duplex>),
}

impl fmt::Debug for OpenPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenPort").field("complaint", &self.complaint).finish_non_exhaustive()
    }
}

impl OpenPort {
    /// Opens `port` at `baud` (8 data bits, no parity, 1 stop bit; ignored on TCP).
    ///
    /// # Errors
    /// What the operating system said, and who holds the device if somebody does.
    pub async fn open(port: &Port, baud: u32) -> io::Result<Self> {
        match port {
            Port::Device(path) => Self::open_device(path, baud),
            Port::Tcp { host, port } => {
                let stream = timeout(CONNECT_LIMIT, TcpStream::connect((host.as_str(), *port)))
                    .await
                    .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s"))??;
                stream.set_nodelay(true)?;
                Ok(Self::over(stream))
            }
        }
    }

    /// A port over any stream, for tests and simulations without a device.
    pub fn over(io: impl Duplex + 'static) -> Self {
        Self { io: Io::Other(Box::new(io)), complaint: None }
    }

    fn open_device(path: &Path, baud: u32) -> io::Result<Self> {
        let name = path.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))?;
        // Opening asks for the kernel's exclusive mode and for an advisory lock, which also stops a second program of
        // the administrator. The lock's failure is reported as "not found".
        let stream = tokio_serial::new(name, baud).open_native_async().map_err(|error| {
            if path.exists()
                && matches!(
                    error.kind(),
                    tokio_serial::ErrorKind::NoDevice
                        | tokio_serial::ErrorKind::Io(io::ErrorKind::NotFound | io::ErrorKind::ResourceBusy)
                )
            {
                return io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    format!("another program may hold this device ({error})"),
                );
            }
            io::Error::from(error)
        })?;
        Ok(Self { io: Io::Serial(Box::new(stream)), complaint: latency_complaint(path) })
    }

    fn io(&mut self) -> &mut dyn Duplex {
        match &mut self.io {
            Io::Serial(stream) => &mut **stream,
            Io::Other(stream) => &mut **stream,
        }
    }

    /// Changes the speed of the open port. What was written before has left by then.
    ///
    /// # Errors
    /// What the system said; a serial server on TCP must be told its speed by its own settings.
    pub fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        match &mut self.io {
            Io::Serial(stream) => stream.set_baud_rate(baud).map_err(io::Error::from),
            Io::Other(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("the readers now speak {baud} baud: set the serial server to it"),
            )),
        }
    }

    /// Reads some bytes. The end of the stream is an error: a vanished adapter would otherwise be read for ever.
    ///
    /// # Errors
    /// `UnexpectedEof` when the device is gone or the server closed; else what the system said.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.io().read(buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the device is gone")),
            n => Ok(n),
        }
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// `TimedOut` when the line takes nothing for 3 s; else what the system said.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_LIMIT, self.io().write_all(bytes))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the line takes no bytes"))?
    }
}

/// Sets an FTDI-like adapter's latency timer to 1 ms if it may, and says so if it cannot: at the default of 16 ms a bus
/// of 32 readers is four times slower.
fn latency_complaint(path: &Path) -> Option<String> {
    let device = path.canonicalize().ok()?;
    let timer = Path::new("/sys/bus/usb-serial/devices").join(device.file_name()?).join("latency_timer");
    let read_ms = || std::fs::read_to_string(&timer).ok()?.trim().parse::<u32>().ok();
    if read_ms()? <= 1 || (std::fs::write(&timer, "1").is_ok() && read_ms()? <= 1) {
        return None;
    }
    Some(format!("latency timer is {} ms, 1 ms is needed: echo 1 > {}", read_ms()?, timer.display()))
}

#[cfg(test)]
mod tests {
    use rustix::pty;

    use super::*;

    #[test]
    fn ports_are_devices_or_tcp_servers() {
        let base = Path::new("/etc/tapward");
        assert_eq!(Port::parse("/dev/ttyUSB0", base).unwrap(), Port::Device("/dev/ttyUSB0".into()));
        assert_eq!(Port::parse("pty/entrance", base).unwrap(), Port::Device("/etc/tapward/pty/entrance".into()));
        assert_eq!(Port::parse("tcp://[::1]:4001", base).unwrap(), Port::Tcp { host: "::1".into(), port: 4001 });
        for bad in ["tcp://host", "tcp://:4001", "tcp://host:0", "tcp://host:99999", "udp://host:1", ""] {
            assert!(Port::parse(bad, base).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn pitfall_30_a_vanished_device_is_an_error_not_an_endless_read() {
        let (near, far) = tokio::io::duplex(64);
        let mut port = OpenPort::over(near);
        drop(far);
        let error = port.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn pitfall_28_a_line_that_takes_no_bytes_does_not_block_for_ever() {
        let (near, _far) = tokio::io::duplex(4);
        let error = OpenPort::over(near).write(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn pitfall_29_a_device_held_by_another_program_is_a_clear_error() {
        let pair = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&pair).unwrap();
        pty::unlockpt(&pair).unwrap();
        let name = pty::ptsname(&pair, Vec::new()).unwrap();
        let port = Port::Device(name.to_str().unwrap().into());
        let held = OpenPort::open(&port, 115_200).await.unwrap();
        let error = OpenPort::open(&port, 115_200).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{error}");
        drop(held);
        OpenPort::open(&port, 115_200).await.unwrap();
    }

    #[tokio::test]
    async fn an_open_device_changes_its_speed_and_a_serial_server_says_that_it_cannot() {
        let pair = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&pair).unwrap();
        pty::unlockpt(&pair).unwrap();
        let name = pty::ptsname(&pair, Vec::new()).unwrap();
        let mut port = OpenPort::open(&Port::Device(name.to_str().unwrap().into()), 9600).await.unwrap();
        port.set_baud(38_400).unwrap();
        let Io::Serial(stream) = &port.io else { panic!("a device") };
        assert_eq!(stream.baud_rate().unwrap(), 38_400);
        let (near, _far) = tokio::io::duplex(4);
        assert!(OpenPort::over(near).set_baud(38_400).unwrap_err().to_string().contains("38400"));
    }
}
