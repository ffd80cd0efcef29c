//! Who listens on the way: a wire tap before the broker, and a mail server that keeps what it is given.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Bytes that were heard.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

/// Passes every connection on to `port` and keeps what goes both ways; its own port.
pub async fn wire_tap(port: u16) -> (u16, Heard) {
    let (listener, heard) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Heard::default());
    let (own, kept) = (listener.local_addr().unwrap().port(), heard.clone());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass_on(near_in, far_out, kept.clone()));
            tokio::spawn(pass_on(far_in, near_out, kept.clone()));
        }
    });
    (own, heard)
}

async fn pass_on(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, heard: Heard) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        heard.add(&bytes[..count]);
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
}

/// A mail server that takes everything; its port.
pub async fn mail_server() -> (u16, Heard) {
    let (listener, heard) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Heard::default());
    let (port, kept) = (listener.local_addr().unwrap().port(), heard.clone());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(take_mail(socket, kept.clone()));
        }
    });
    (port, heard)
}

async fn take_mail(socket: TcpStream, heard: Heard) {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut in_body = false;
    if write.write_all(b"220 mail.example\r\n").await.is_err() {
        return;
    }
    while let Ok(Some(line)) = lines.next_line().await {
        heard.add(line.as_bytes());
        heard.add(b"\n");
        let answer: &[u8] = match (in_body, line.as_str()) {
            (true, ".") => {
                in_body = false;
                b"250 taken\r\n"
            }
            (true, _) => continue,
            (false, "DATA") => {
                in_body = true;
                b"354 go on\r\n"
            }
            (false, "QUIT") => b"221 bye\r\n",
            (false, _) => b"250 ok\r\n",
        };
        if write.write_all(answer).await.is_err() {
            return;
        }
    }
}
