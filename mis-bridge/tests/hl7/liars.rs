//! A peer that does what a test says: for each message of each connection a list of acts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wire::hl7::mllp::{Framed, Framer};
use wire::hl7::view::Header;
use wire::hl7::{Charset, Message};

/// What a peer does with a message.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes these bytes.
    Say(Vec<u8>),
    /// Writes them one by one.
    Drip(Vec<u8>),
    /// Lets some time pass.
    Wait(Duration),
    /// Closes the connection.
    Close,
}

/// A message as a peer got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Of which connection, from 0.
    pub connection: usize,
    /// Its number.
    pub control: String,
    /// Its event.
    pub event: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

type Plan = dyn Fn(&Got, usize) -> Vec<Act> + Send + Sync;

/// A listening peer.
pub struct Liar {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Liar {
    /// `plan` is given each message and how many came before it.
    pub async fn start(plan: impl Fn(&Got, usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::with_tls(None, plan).await
    }

    pub async fn with_tls(
        tls: Option<TlsAcceptor>,
        plan: impl Fn(&Got, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (known, plan): (_, Arc<Plan>) = (Arc::clone(&got), Arc::new(plan));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                stream.set_nodelay(true).unwrap();
                let (known, plan, tls) = (Arc::clone(&known), Arc::clone(&plan), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, connection, &known, &*plan).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, connection, &known, &*plan).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, got }
    }

    /// What it got until now.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    known: &Mutex<Vec<Got>>,
    plan: &Plan,
) {
    let mut framer = Framer::new(1_000_000);
    let mut piece = [0; 4096];
    loop {
        let Ok(count @ 1..) = stream.read(&mut piece).await else { return };
        let mut input = &piece[..count];
        while let Some(Framed::Message(bytes)) = framer.take(&mut input) {
            let message = Message::parse(&bytes, 1_000_000, Charset::Utf8).unwrap();
            let header = Header::read(&message).unwrap();
            let got = Got { connection, control: header.control, event: header.event, bytes };
            let before = {
                let mut known = known.lock().unwrap();
                known.push(got.clone());
                known.len() - 1
            };
            for act in plan(&got, before) {
                let done = match act {
                    Act::Say(bytes) => stream.write_all(&bytes).await,
                    Act::Drip(bytes) => drip(&mut stream, &bytes).await,
                    Act::Wait(time) => {
                        tokio::time::sleep(time).await;
                        Ok(())
                    }
                    Act::Close => return,
                };
                if done.is_err() {
                    return;
                }
            }
        }
    }
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
