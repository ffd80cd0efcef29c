//! A clinic with two workstations, a surgeon who taps and patients, beside a running dashboard with the FHIRcast hub; and
//! programs that follow.

#![allow(dead_code, reason = "each test uses its part")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use clinic::acting::Acting;
use clinic::desk::{Desk, Factor, Rules};
use clinic::fhircast::{Hub, RecordNumber, Settings};
use clinic::staff::{self, Staff};
use dashboard::DeskSettings;
use domain::policy::{Point, PointKind};
use domain::{Direction, Entry, Epoch, GatewayId, Kind, PointId, Reason, Shipped, UtcMillis, ZoneId};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::scene;
use crate::server::Server;

pub const WITHIN: Duration = Duration::from_secs(10);
/// Who of the scene works here, and who are patients with a record number.
pub const SURGEON: u32 = 3;
pub const OTHER_SURGEON: u32 = 10;

pub struct Clinic {
    pub server: Server,
    pub desk: Desk,
    pub hub: Hub,
    seq: u64,
}

pub fn settings() -> Settings {
    Settings {
        topic_is_enough: true,
        patient_id_of: Some("mis".to_owned()),
        record_numbers: vec![RecordNumber {
            system: "mis".to_owned(),
            uri: "urn:clinic:mrn".to_owned(),
            kind: "MR".to_owned(),
        }],
        ..Settings::default()
    }
}

impl Clinic {
    pub async fn open() -> Self {
        Self::open_with(settings()).await
    }

    pub async fn open_with(settings: Settings) -> Self {
        let desk = DeskSettings { fhircast: Some(settings.clone()), ..DeskSettings::default() };
        let server = Server::start_with(vec![], desk).await;
        let (database, now) = (server.database.clone(), server.hands.now());
        let mut layout = clinic::policy::read_layout(&database).await.unwrap().unwrap();
        let zone = |name: &str| ZoneId::new(name).unwrap();
        for name in ["desk-1", "desk-2"] {
            let point = PointId::new(name).unwrap();
            layout.points.push(Point::new(point, PointKind::Workstation, zone("surgery"), zone("surgery")));
        }
        clinic::policy::put_layout(&database, layout, now).await.unwrap();
        for (n, login) in [(SURGEON, "surgeon"), (OTHER_SURGEON, "other")] {
            let person = scene::person(n);
            let one = Staff {
                person,
                role: Shipped::Doctor,
                login: Some(login.to_owned()),
                practitioner: None,
                account: None,
                specialty: None,
                ended: None,
            };
            staff::put(&database, &Acting::console(), &one, now).await.unwrap();
        }
        store::transact!(database, "test.aliases", |conn| {
            for n in 0..60_u32 {
                store::sqlx::query("INSERT INTO person_alias (system, value, person) VALUES ('mis', $1, $2)")
                    .bind(format!("P-{}", 10_000 + n))
                    .bind(scene::person(n).to_string())
                    .execute(&mut *conn)
                    .await?;
            }
            Ok(())
        })
        .unwrap();
        let rules = Rules { factor: Factor::None, ..Rules::default() };
        let desk = Desk::new(database.clone(), server.hands.clock(), rules);
        let hub = Hub::new(database.clone(), server.hands.clock(), scene::accounts_key(), settings);
        while desk.work().await.unwrap().taps > 0 {}
        Self { server, desk, hub, seq: 0 }
    }

    /// Somebody taps at a workstation now, and the bridge takes it.
    pub async fn tap(&mut self, who: u32, point: &str) {
        let now = self.server.hands.now();
        let fact = scene::fact(now, Kind::Granted, point, Direction::In, Some(who), Some(Reason::Allowed));
        self.seq += 1;
        let gateway = GatewayId::new("gateway-desks").unwrap();
        let entry = Entry { gateway, epoch: Epoch([4; 16]), seq: self.seq, fact };
        clinic::ingest::ingest(&self.server.database, vec![entry], now).await.unwrap();
        while self.desk.work().await.unwrap().taps > 0 {}
    }

    /// Time passes.
    pub fn pass(&self, ms: i64) {
        self.server.hands.pass(ms);
    }

    pub fn now(&self) -> UtcMillis {
        self.server.hands.now()
    }

    /// The binding at a workstation.
    pub async fn session(&self, point: &str) -> String {
        self.desk.current(&PointId::new(point).unwrap()).await.unwrap().expect("somebody is bound").id
    }

    /// The topic of the binding at a workstation.
    pub async fn topic(&self, point: &str) -> String {
        let session = self.session(point).await;
        self.hub.topic(&session).await.unwrap().expect("a topic").reveal().to_owned()
    }

    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.server.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// One request; status and body.
    pub async fn ask(&self, method: &str, path: &str, kind: &str, body: impl Into<Vec<u8>>) -> (u16, String) {
        self.ask_as(method, path, &format!("Content-Type: {kind}\r\n"), body).await
    }

    /// As [`Clinic::ask`] with these header lines.
    pub async fn ask_as(&self, method: &str, path: &str, headers: &str, body: impl Into<Vec<u8>>) -> (u16, String) {
        let (config, address, body) = (self.client(), self.server.address, body.into());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
            address.port(),
            body.len()
        );
        let answer = tokio::task::spawn_blocking(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let socket = std::net::TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(WITHIN)).unwrap();
            let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket);
            let _ =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).and_then(|()| stream.flush());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        let answer = answer.await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }

    /// Posts a form to the hub.
    pub async fn form(&self, fields: &[(&str, &str)]) -> (u16, String) {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask("POST", "/fhircast/STU3", "application/x-www-form-urlencoded", body).await
    }

    /// Publishes an event.
    pub async fn publish(&self, event: &Value) -> (u16, String) {
        self.ask("POST", "/fhircast/STU3", "application/json", event.to_string()).await
    }

    /// Subscribes; the address of the socket.
    pub async fn subscribe(&self, topic: &str, events: &str, name: &str) -> String {
        let fields = [
            ("hub.channel.type", "websocket"),
            ("hub.mode", "subscribe"),
            ("hub.topic", topic),
            ("hub.events", events),
            ("subscriber.name", name),
        ];
        let (status, body) = self.form(&fields).await;
        assert_eq!(status, 202, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["hub.channel.endpoint"].as_str().unwrap().to_owned()
    }

    /// Opens a socket.
    pub async fn dial(&self, url: &str) -> Result<Follower, String> {
        let connector = Some(Connector::Rustls(self.client()));
        let opened = connect_async_tls_with_config(url, None, false, connector).await;
        opened.map(|(socket, _)| Follower { socket, topic: String::new() }).map_err(|error| error.to_string())
    }

    /// Subscribes and opens the socket; the confirmation has been read.
    pub async fn follow(&self, topic: &str, events: &str, name: &str) -> Follower {
        let url = self.subscribe(topic, events, name).await;
        let mut follower = self.dial(&url).await.unwrap();
        let confirmed = follower.read().await;
        assert_eq!(confirmed["hub.mode"], "subscribe", "{confirmed}");
        assert_eq!(confirmed["hub.topic"], topic);
        assert!(confirmed["hub.lease_seconds"].as_i64().unwrap() > 0);
        follower.topic = topic.to_owned();
        follower
    }
}

/// A program that follows.
pub struct Follower {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub topic: String,
}

impl Follower {
    /// The next message; `Null` when the socket is closed in order.
    pub async fn read(&mut self) -> Value {
        loop {
            match timeout(WITHIN, self.socket.next()).await.expect("a message in time") {
                Some(Ok(Frame::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                Some(Ok(Frame::Close(_))) | None => return Value::Null,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next event, acknowledged; its name is as expected.
    pub async fn event(&mut self, name: &str) -> Value {
        let event = self.read().await;
        assert_eq!(event["event"]["hub.event"], name, "{event}");
        assert_eq!(event["event"]["hub.topic"], self.topic);
        self.acknowledge(&event, "200").await;
        event
    }

    pub async fn acknowledge(&mut self, event: &Value, status: &str) {
        self.say(&serde_json::json!({ "id": event["id"], "status": status }).to_string()).await;
    }

    pub async fn say(&mut self, text: &str) {
        self.socket.send(Frame::Text(text.into())).await.unwrap();
    }

    /// Nothing comes for a while.
    pub async fn hears_nothing(&mut self) {
        let heard = timeout(Duration::from_millis(400), self.socket.next()).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}
