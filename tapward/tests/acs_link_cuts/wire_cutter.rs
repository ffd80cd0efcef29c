//! A wire between a controller and its gateway that counts messages and cuts at one of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// When and how the wire is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// At this message, counted from 1 in both directions together.
    pub at: u64,
    /// Whether that message still arrives.
    pub arrives: bool,
}

/// The wire.
pub struct WireCutter {
    runtime: Runtime,
    port: u16,
    shared: Arc<Shared>,
    cuts: mpsc::UnboundedReceiver<()>,
}

struct Shared {
    gateway: watch::Sender<Option<SocketAddr>>,
    state: Mutex<State>,
    /// Rises when everything that is open must close.
    closing: watch::Sender<u64>,
    tell: mpsc::UnboundedSender<()>,
}

struct State {
    seen: u64,
    cut: Option<Cut>,
}

impl WireCutter {
    pub fn new(cut: Option<Cut>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tell, cuts) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            gateway: watch::channel(None).0,
            state: Mutex::new(State { seen: 0, cut }),
            closing: watch::channel(0).0,
            tell,
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(join(near, Arc::clone(&serving)));
            }
        });
        Self { runtime, port, shared, cuts }
    }

    /// Where the controller connects.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Messages that passed so far.
    pub fn seen(&self) -> u64 {
        self.shared.state.lock().unwrap().seen
    }

    /// Where the gateway is now; `None`: whoever connects waits.
    pub fn lead_to(&self, gateway: Option<SocketAddr>) {
        self.shared.gateway.send_replace(gateway);
    }

    /// Whether the cut has happened, waiting for it a little.
    pub fn was_cut(&mut self, wait: Duration) -> bool {
        let cut = self.cuts.recv();
        self.runtime.block_on(async { tokio::time::timeout(wait, cut).await.is_ok() })
    }
}

/// One connection from end to end.
async fn join(near: TcpStream, shared: Arc<Shared>) {
    let mut gateway = shared.gateway.subscribe();
    let Ok(address) = gateway.wait_for(Option::is_some).await.map(|address| address.unwrap()) else { return };
    let Ok(far) = TcpStream::connect(address).await else { return };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let mut closing = shared.closing.subscribe();
    closing.mark_unchanged();
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = carry(near_read, far_write, &shared) => {}
        () = carry(far_read, near_write, &shared) => {}
        _ = closing.changed() => {}
    }
}

/// Whole messages from one end to the other, until the cut or the end.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    loop {
        let mut frame = vec![0; 4];
        if from.read_exact(&mut frame).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes(frame.as_slice().try_into().unwrap()) as usize;
        frame.resize(4 + length, 0);
        if from.read_exact(&mut frame[4..]).await.is_err() {
            return;
        }
        let cut = {
            let mut state = shared.state.lock().unwrap();
            state.seen += 1;
            let seen = state.seen;
            state.cut.take_if(|cut| seen == cut.at)
        };
        if cut.is_none_or(|cut| cut.arrives) && to.write_all(&frame).await.is_err() {
            return;
        }
        if cut.is_some() {
            // Nobody gets through until the one that was cut is there again.
            shared.gateway.send_replace(None);
            shared.closing.send_modify(|count| *count += 1);
            let _ = shared.tell.send(());
            return;
        }
    }
}
