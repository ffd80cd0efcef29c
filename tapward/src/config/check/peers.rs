//! Network peers: acs-link controllers, Hikvision devices, ParsecNET servers, and what they connect to.

use std::net::SocketAddr;
use std::time::Duration;

use domain::ids::{LineId, PointId};
use gateway::settings::{
    AcsLinkListener, AcsLinkPeer, Cache, DeviceEvents, HikvisionDevice, ParsecCommands, ParsecDialect, ParsecServer,
    Password, PeerProtocol, PeerReader, PeerSettings, PushListener, TlsFiles,
};
use toml::Spanned;
use wire::isapi::card::CardForm;
use wire::parsec::CardForm as ParsecCards;

use super::super::file::{self, File};
use super::wiring::{Seen, Written};
use super::{Checker, read_secret};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    AcsLink,
    Hikvision,
    Parsec,
}

const KINDS: [(&str, Kind); 3] =
    [("acs-link", Kind::AcsLink), ("hikvision", Kind::Hikvision), ("parsec", Kind::Parsec)];
/// Longest name that a peer may have for a place.
const AT_MAX_CHARS: usize = 64;

impl Checker<'_> {
    pub(super) fn peer(
        &mut self,
        peer: &file::Peer,
        file: &File,
        declared: &[PointId],
        seen: &mut Seen,
    ) -> Option<PeerSettings> {
        let id: LineId = self.parse(&peer.id, "peer.id")?;
        if !seen.lines.insert(id.clone()) {
            self.fault(&peer.id, "peer.id", format!("line or peer \"{id}\" is declared twice"));
        }
        let kind = self.word(Some(&peer.protocol), "peer.protocol", &KINDS, None)?;
        self.only_its_own_keys(peer, kind);
        let caches = [("nobody", Cache::Nobody), ("staff", Cache::Staff), ("everybody", Cache::Everybody)];
        let cache = self.word(peer.cache.as_ref(), "peer.cache", &caches, Some(Cache::Nobody));
        let protocol = match kind {
            Kind::AcsLink => self.acs_link_peer(peer, file).map(PeerProtocol::AcsLink),
            Kind::Hikvision => self.hikvision(peer, file).map(PeerProtocol::Hikvision),
            Kind::Parsec => self.parsec(peer, file).map(PeerProtocol::Parsec),
        };
        if peer.reader.is_empty() {
            self.fault(&peer.id, "peer.reader", "a peer needs at least one [[peer.reader]]");
        }
        let mut readers: Vec<PeerReader> = Vec::new();
        for reader in &peer.reader {
            let Some(read) = self.peer_reader(reader, declared, seen) else { continue };
            let direction = read.place.direction;
            if readers.iter().any(|other| other.at == read.at && other.place.direction == direction) {
                let what = format!("\"{}\" has a reader for \"{direction}\" already", read.at);
                self.fault(&reader.at, "peer.reader.at", what);
            }
            readers.push(read);
        }
        // A terminal at a door sees who asks, not who goes through.
        let reports_passage = peer.reports_passage.as_ref().map_or(kind != Kind::Hikvision, |value| *value.get_ref());
        Some(PeerSettings { id, protocol: protocol?, readers, cache: cache?, reports_passage })
    }

    fn peer_reader(&mut self, reader: &file::PeerReader, declared: &[PointId], seen: &mut Seen) -> Option<PeerReader> {
        let written = Written {
            table: "peer.reader",
            id: &reader.id,
            point: reader.point.as_ref(),
            direction: reader.direction.as_ref(),
            uid_order: reader.uid_order.as_ref(),
        };
        let place = self.place_of(&written, declared, seen)?;
        let at = reader.at.get_ref();
        if at.is_empty() || at.chars().count() > AT_MAX_CHARS || at.chars().any(char::is_control) {
            let what = format!("write the peer's own name of the place, 1 to {AT_MAX_CHARS} characters");
            self.fault(&reader.at, "peer.reader.at", what);
            return None;
        }
        Some(PeerReader { place, at: at.clone() })
    }

    /// A key that means nothing for this kind of peer is a mistake that must not pass for a setting.
    fn only_its_own_keys(&mut self, peer: &file::Peer, kind: Kind) {
        let texts = [
            (&peer.node, "node", &[Kind::AcsLink][..]),
            (&peer.connect, "connect", &[Kind::AcsLink]),
            (&peer.url, "url", &[Kind::Hikvision, Kind::Parsec]),
            (&peer.user, "user", &[Kind::Hikvision, Kind::Parsec]),
            (&peer.password, "password", &[Kind::Hikvision, Kind::Parsec]),
            (&peer.events, "events", &[Kind::Hikvision]),
            (&peer.card_form, "card_form", &[Kind::Hikvision, Kind::Parsec]),
            (&peer.certificate, "certificate", &[Kind::Hikvision, Kind::Parsec]),
            (&peer.domain, "domain", &[Kind::Parsec]),
            (&peer.org_unit, "org_unit", &[Kind::Parsec]),
            (&peer.access_group, "access_group", &[Kind::Parsec]),
        ];
        for (value, key, kinds) in texts {
            self.only_for(value.as_ref(), key, kinds, kind);
        }
        let switches = [
            (&peer.online, "online", &[Kind::Hikvision][..]),
            (&peer.set_time, "set_time", &[Kind::Hikvision]),
            (&peer.subscribe, "subscribe", &[Kind::Parsec]),
            (&peer.verify, "verify", &[Kind::Parsec]),
            (&peer.visitors, "visitors", &[Kind::Parsec]),
        ];
        for (value, key, kinds) in switches {
            self.only_for(value.as_ref(), key, kinds, kind);
        }
        self.only_for(peer.heartbeat_s.as_ref(), "heartbeat_s", &[Kind::AcsLink], kind);
        self.only_for(peer.poll_s.as_ref(), "poll_s", &[Kind::Parsec], kind);
        self.only_for(peer.verify_codes.as_ref(), "verify_codes", &[Kind::Parsec], kind);
        self.only_for(peer.commands.as_ref(), "commands", &[Kind::Parsec], kind);
        let numbers = [
            (&peer.block_type, "block_type"),
            (&peer.subscribe_format, "subscribe_format"),
            (&peer.subscribe_method, "subscribe_method"),
        ];
        for (value, key) in numbers {
            self.only_for(value.as_ref(), key, &[Kind::Parsec], kind);
        }
    }

    fn only_for<T>(&mut self, value: Option<&Spanned<T>>, key: &str, kinds: &[Kind], kind: Kind) {
        let Some(value) = value.filter(|_| !kinds.contains(&kind)) else { return };
        let names: Vec<&str> = KINDS.iter().filter(|(_, known)| kinds.contains(known)).map(|(name, _)| *name).collect();
        self.fault(value, &format!("peer.{key}"), format!("means something for {} only", names.join(" and ")));
    }

    fn needed<'a>(
        &mut self,
        peer: &file::Peer,
        value: &'a Option<Spanned<String>>,
        key: &str,
        what: &str,
    ) -> Option<&'a Spanned<String>> {
        if value.is_none() {
            self.fault(&peer.id, &format!("peer.{key}"), format!("is missing: {what}"));
        }
        value.as_ref()
    }

    fn acs_link_peer(&mut self, peer: &file::Peer, file: &File) -> Option<AcsLinkPeer> {
        let node = self.needed(peer, &peer.node, "node", "the name in the controller's certificate")?;
        if wire::acs_link::Token::new(node.get_ref()).is_err() {
            self.fault(node, "peer.node", "a node's name has 1 to 64 letters, digits and . _ : / -");
            return None;
        }
        let heartbeat = self.number(peer.heartbeat_s.as_ref(), "peer.heartbeat_s", 1..=30, 5);
        let connect = match &peer.connect {
            None => None,
            Some(to) => {
                let port = to
                    .get_ref()
                    .rsplit_once(':')
                    .and_then(|(host, port)| port.parse::<u16>().ok().filter(|port| !host.is_empty() && *port > 0));
                if port.is_none() {
                    self.fault(to, "peer.connect", format!("\"{}\" is not HOST:PORT", to.get_ref()));
                    return None;
                }
                Some(to.get_ref().clone())
            }
        };
        if connect.is_none() && file.acs_link.listen.is_none() {
            let what = "this peer connects to us, but nothing listens: write [acs_link] listen, or connect here";
            self.fault(&peer.id, "peer.connect", what);
        }
        Some(AcsLinkPeer { node: node.get_ref().clone(), connect, heartbeat: Duration::from_secs(heartbeat) })
    }

    fn hikvision(&mut self, peer: &file::Peer, file: &File) -> Option<HikvisionDevice> {
        let url = self.http_url(peer, "http://192.0.2.20")?;
        let user = self.needed(peer, &peer.user, "user", "the account on the device")?.get_ref().clone();
        let password = self.password(peer)?;
        let ways = [("push", DeviceEvents::Push), ("stream", DeviceEvents::Stream)];
        let events = self.word(peer.events.as_ref(), "peer.events", &ways, Some(DeviceEvents::Stream))?;
        let online = peer.online.as_ref().is_none_or(|value| *value.get_ref());
        if events == DeviceEvents::Push && file.push.listen.is_none() {
            let at = peer.events.as_ref().unwrap_or(&peer.id);
            self.fault(at, "peer.events", "the device calls us, but nothing listens: write [push] listen and address");
        }
        let set_time = peer.set_time.as_ref().is_none_or(|value| *value.get_ref());
        let forms = CardForm::ALL.map(|form| (form.as_str(), form));
        let cards = self.word(peer.card_form.as_ref(), "peer.card_form", &forms, Some(CardForm::default()))?;
        let certificate = self.certificate(peer, &url)?;
        Some(HikvisionDevice { url, user, password, events, online, set_time, cards, certificate })
    }

    /// The certificate that is believed; needed for `https`. The outer `None`: what is written is no fingerprint.
    fn certificate(&mut self, peer: &file::Peer, url: &str) -> Option<Option<[u8; 32]>> {
        let certificate = match &peer.certificate {
            None => None,
            Some(value) => Some(self.fingerprint(value)?),
        };
        if url.starts_with("https://") && certificate.is_none() {
            let what = "is missing: the SHA-256 fingerprint of the device's certificate, 64 hexadecimal digits";
            self.fault(peer.url.as_ref().unwrap_or(&peer.id), "peer.certificate", what);
        }
        Some(certificate)
    }

    /// 64 hexadecimal digits, as they are shown by browsers and `openssl x509 -fingerprint -sha256`.
    fn fingerprint(&mut self, value: &Spanned<String>) -> Option<[u8; 32]> {
        let plain: String = value.get_ref().chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        let byte = |at: usize| plain.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let mut bytes = [0; 32];
        for (at, slot) in bytes.iter_mut().enumerate() {
            match byte(at).filter(|_| plain.len() == 64) {
                Some(read) => *slot = read,
                None => {
                    self.fault(value, "peer.certificate", "a SHA-256 fingerprint has 64 hexadecimal digits");
                    return None;
                }
            }
        }
        Some(bytes)
    }

    fn parsec(&mut self, peer: &file::Peer, file: &File) -> Option<ParsecServer> {
        let url = self.http_url(peer, "http://192.0.2.30:10101/IntegrationService/IntegrationService.asmx")?;
        let user = self.needed(peer, &peer.user, "user", "the operator's account on the server")?.get_ref().clone();
        let password = self.password(peer)?;
        let subscribe = peer.subscribe.as_ref().is_some_and(|value| *value.get_ref());
        if let Some(at) = peer.subscribe.as_ref().filter(|_| subscribe && file.push.listen.is_none()) {
            self.fault(
                at,
                "peer.subscribe",
                "the server calls us, but nothing listens: write [push] listen and address",
            );
        }
        let poll = self.number(peer.poll_s.as_ref(), "peer.poll_s", 1..=300, 2);
        let certificate = self.certificate(peer, &url)?;
        let dialect = self.parsec_dialect(peer)?;
        for reader in &peer.reader {
            self.guid(&reader.at, "peer.reader.at");
        }
        if let Some(value) = &peer.org_unit {
            self.guid(value, "peer.org_unit");
        }
        Some(ParsecServer {
            url,
            domain: peer.domain.as_ref().map_or_else(|| "SYSTEM".to_owned(), |value| value.get_ref().clone()),
            user,
            password,
            org_unit: peer.org_unit.as_ref().map(|value| value.get_ref().clone()),
            subscribe,
            verify: peer.verify.as_ref().is_some_and(|value| *value.get_ref()),
            poll: Duration::from_secs(poll),
            certificate,
            dialect,
        })
    }

    fn parsec_dialect(&mut self, peer: &file::Peer) -> Option<ParsecDialect> {
        let forms = ParsecCards::ALL.map(|form| (form.as_str(), form));
        let cards = self.word(peer.card_form.as_ref(), "peer.card_form", &forms, Some(ParsecCards::Wiegand))?;
        if let Some(value) = &peer.access_group {
            self.guid(value, "peer.access_group");
        }
        let number = |value: &Option<Spanned<i32>>| value.as_ref().map(|value| *value.get_ref());
        let commands = peer.commands.as_ref().map(|commands| {
            let of = commands.get_ref();
            ParsecCommands { open: of.open, normal: of.normal, lock: of.lock, free: of.free, emergency: of.emergency }
        });
        Some(ParsecDialect {
            cards,
            access_group: peer.access_group.as_ref().map(|value| value.get_ref().clone()),
            visitors: peer.visitors.as_ref().is_some_and(|value| *value.get_ref()),
            block: number(&peer.block_type),
            verify_codes: peer.verify_codes.as_ref().map(|codes| codes.get_ref().clone()).unwrap_or_default(),
            subscribe: (
                number(&peer.subscribe_format).unwrap_or_default(),
                number(&peer.subscribe_method).unwrap_or_default(),
            ),
            commands: commands.unwrap_or_default(),
        })
    }

    fn guid(&mut self, value: &Spanned<String>, key: &str) {
        if let Err(error) = value.get_ref().parse::<wire::parsec::Guid>() {
            self.fault(value, key, error.to_string());
        }
    }

    fn http_url(&mut self, peer: &file::Peer, like: &str) -> Option<String> {
        let url = self.needed(peer, &peer.url, "url", &format!("write it like \"{like}\""))?;
        let text = url.get_ref();
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            self.fault(url, "peer.url", format!("\"{text}\" is not like \"{like}\""));
            return None;
        }
        if host.is_some_and(|host| host.split('/').next().is_some_and(|host| host.contains('@'))) {
            self.fault(url, "peer.url", "leave user and password out of the address: they have keys of their own");
            return None;
        }
        Some(text.clone())
    }

    fn password(&mut self, peer: &file::Peer) -> Option<Password> {
        let what = "write password = \"file:secrets/NAME\", a file of mode 0600";
        let value = self.needed(peer, &peer.password, "password", what)?;
        let Some(name) = value.get_ref().strip_prefix("file:") else {
            self.fault(value, "peer.password", format!("passwords do not stand in this file: {what}"));
            return None;
        };
        match read_secret(&self.folder.join(name)) {
            Ok(text) => Some(Password::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(what) => {
                self.fault(value, "peer.password", what);
                None
            }
        }
    }

    // ---- what peers connect to ----

    pub(super) fn acs_link(&mut self, file: &File, gateway: Option<&str>) -> Option<AcsLinkListener> {
        let written = &file.acs_link;
        let any = [&written.listen, &written.node, &written.ca, &written.cert, &written.key];
        let first = any.into_iter().flatten().next()?;
        let listen = match &written.listen {
            None => None,
            Some(value) => Some(self.socket(value, "acs_link.listen", "0.0.0.0:7443")?),
        };
        let tls = match (&written.ca, &written.cert, &written.key) {
            (Some(ca), Some(cert), Some(key)) => {
                Some(TlsFiles { ca: self.path(ca), cert: self.path(cert), key: self.path(key) })
            }
            (None, None, None) => None,
            _ => {
                self.fault(
                    first,
                    "acs_link.cert",
                    "ca, cert and key belong together: `tapward acs-link certificates` makes them",
                );
                return None;
            }
        };
        if let (Some(at), Some(value), None) = (listen, &written.listen, &tls)
            && !at.ip().is_loopback()
        {
            let what = "without certificates (ca, cert, key) only an address of this machine is allowed, such as 127.0.0.1:7443";
            self.fault(value, "acs_link.listen", what);
            return None;
        }
        let node = match &written.node {
            Some(node) if wire::acs_link::Token::new(node.get_ref()).is_err() => {
                self.fault(node, "acs_link.node", "a node's name has 1 to 64 letters, digits and . _ : / -");
                return None;
            }
            Some(node) => node.get_ref().clone(),
            None => gateway?.to_owned(),
        };
        Some(AcsLinkListener { listen, node, tls })
    }

    pub(super) fn push(&mut self, file: &File) -> Option<PushListener> {
        let value = match (&file.push.listen, &file.push.address) {
            (None, None) => return None,
            (None, Some(address)) => {
                self.fault(address, "push.listen", "is missing: the address and port to listen at");
                return None;
            }
            (Some(value), _) => value,
        };
        let listen = self.socket(value, "push.listen", "192.0.2.10:8480")?;
        let address = match &file.push.address {
            Some(address) if address.get_ref().starts_with("http://") => {
                address.get_ref().trim_end_matches('/').to_owned()
            }
            Some(address) => {
                self.fault(address, "push.address", "write how devices reach it: \"http://HOST:PORT\"");
                return None;
            }
            None if listen.ip().is_unspecified() => {
                self.fault(value, "push.address", "is missing: how devices reach it, \"http://HOST:PORT\"");
                return None;
            }
            None => format!("http://{listen}"),
        };
        Some(PushListener { listen, address })
    }

    fn socket(&mut self, value: &Spanned<String>, key: &str, like: &str) -> Option<SocketAddr> {
        let parsed = value.get_ref().parse().ok();
        if parsed.is_none() {
            self.fault(value, key, format!("\"{}\" is no address and port such as {like}", value.get_ref()));
        }
        parsed
    }
}
