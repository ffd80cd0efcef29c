"""An acs-link 1.0 access control server, written from the specification and its schema with a general XML library,
and knowing nothing of Tapward's own implementation: the other opinion about what the words of the protocol mean.

It speaks the acs role over TLS 1.3 (or plain TCP), connecting or listening. Every message that it sends or gets is
validated against the schema and the rule outside it; a breach ends it with an error. What is durable (its queue of
events, what it holds of the commands, its passes) is in one file, written before it is said.

Driven by JSON lines on standard input, tells what happens by JSON lines on standard output.
"""

import argparse
import asyncio
import hashlib
import json
import os
import ssl
import sys
import uuid
from datetime import datetime, timedelta, timezone

from lxml import etree

NS = "urn:acs-link:1"
DURABLE = {
    "PassEvent", "PointStatus", "CredentialResult", "ControlResult",
    "CredentialIssue", "CredentialRevoke", "Control", "SyncBegin", "SyncEnd",
}
FRAME_MAX = 65536
PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, dtd_validation=False
)


class Breach(Exception):
    """The other side, or we, did what the specification forbids."""


def say(**words):
    print(json.dumps(words, ensure_ascii=False), flush=True)


def instant(at=None):
    return (at or datetime.now(timezone.utc)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def tag(element):
    name = etree.QName(element)
    if name.namespace != NS:
        raise Breach(f"element {element.tag} is not of {NS}")
    return name.localname


def child(parent, name, text=None, /, **attributes):
    element = etree.SubElement(parent, f"{{{NS}}}{name}", {k: v for k, v in attributes.items() if v is not None})
    element.text = text
    return element


def find(element, name):
    return element.find(f"{{{NS}}}{name}")


def text_of(element, name):
    found = find(element, name)
    return None if found is None else found.text


class Store:
    """What must survive: written to the disk before anybody is told."""

    def __init__(self, path):
        self.path = path
        self.state = {
            "epoch": str(uuid.uuid4()), "next": 1, "queue": [], "acked": 0,
            "peer_epoch": None, "held": 0, "passes": {}, "sync": None,
        }
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.state = json.load(file)
        else:
            self.save()

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.state, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)
        folder = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def __getattr__(self, name):
        return self.state[name]

    def put(self, body, kind_id=None, re=None):
        """Queues a durable event; it has its number and identity for ever from now on."""
        seq = self.state["next"]
        self.state["next"] = seq + 1
        self.state["queue"].append(
            {"seq": seq, "id": kind_id or str(uuid.uuid4()), "re": re, "body": etree.tostring(body, encoding="unicode")}
        )
        return seq


class Client:
    def __init__(self, arguments):
        self.arguments = arguments
        self.schema = etree.XMLSchema(etree.parse(arguments.schema))
        self.store = Store(arguments.state)
        self.reader = None
        self.writer = None
        self.version = "1.0"
        self.heartbeat_s = 5.0
        self.window = 1
        self.sent_to = 0
        self.told_held = 0
        self.frame_max = FRAME_MAX
        self.heard_at = 0.0
        self.tasks = []
        self.connections = 0
        self.lose_acks = 0
        # What this connection sent already, so that only repetitions are marked as such.
        self.ever_sent = set()

    # ---- messages ----

    def message(self, body, ident=None, stream=None, seq=None, re=None, replay=None):
        root = etree.Element(f"{{{NS}}}Msg", nsmap={None: NS})
        root.set("v", self.version)
        root.set("id", ident or str(uuid.uuid4()))
        if stream:
            root.set("stream", stream)
            root.set("seq", str(seq))
        if re:
            root.set("re", re)
        root.set("sentAt", instant())
        if replay:
            root.set("replay", "true")
        root.append(body)
        return root

    def check(self, root, whose):
        if not self.schema.validate(root):
            raise Breach(f"{whose} message does not fit the schema: {self.schema.error_log.last_error}")
        if etree.QName(root).localname != "Msg" or len(root) != 1:
            raise Breach(f"{whose} message is not one Msg with one body")
        kind = tag(root[0])
        numbered = root.get("stream") is not None, root.get("seq") is not None
        if numbered != ((True, True) if kind in DURABLE else (False, False)):
            raise Breach(f"{whose} {kind} has stream and seq {numbered}")
        for node in root.iter():
            if not isinstance(node.tag, str):
                raise Breach(f"{whose} message holds a comment, an instruction or an entity")
        return kind

    def send(self, root):
        self.check(root, "our")
        data = etree.tostring(root, encoding="UTF-8", xml_declaration=False)
        if len(data) > self.frame_max:
            raise Breach(f"our message has {len(data)} bytes, agreed are {self.frame_max}")
        self.writer.write(len(data).to_bytes(4, "big") + data)

    def body(self, kind, **attributes):
        return etree.Element(
            f"{{{NS}}}{kind}", {k: v for k, v in attributes.items() if v is not None}, nsmap={None: NS}
        )

    async def receive(self, limit_s):
        reader = self.reader

        async def whole():
            head = await reader.readexactly(4)
            length = int.from_bytes(head, "big")
            if length == 0 or length > FRAME_MAX:
                raise Breach(f"a frame of {length} bytes is announced")
            return await reader.readexactly(length)

        data = await asyncio.wait_for(whole(), limit_s)
        if data.startswith(b"\xef\xbb\xbf"):
            raise Breach("a byte order mark")
        tree = etree.fromstring(data, PARSER)
        if tree.getroottree().docinfo.doctype:
            raise Breach("a document type declaration")
        kind = self.check(tree, "their")
        self.heard_at = asyncio.get_running_loop().time()
        return tree, tree[0], kind

    # ---- connection ----

    def context(self, server):
        a = self.arguments
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["acs-link/1"])
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(a.ca)
        context.load_cert_chain(a.cert, a.key)
        return context

    def check_identity(self):
        tls = self.writer.get_extra_info("ssl_object")
        if tls is None:
            return
        if tls.version() != "TLSv1.3" or tls.selected_alpn_protocol() != "acs-link/1":
            raise Breach(f"{tls.version()} with ALPN {tls.selected_alpn_protocol()}")
        names = [value for kind, value in tls.getpeercert().get("subjectAltName", ()) if kind == "URI"]
        if f"urn:acs-link:node:{self.arguments.gateway}" not in names:
            raise Breach(f"the certificate names {names}, not {self.arguments.gateway}")

    async def connect(self):
        a = self.arguments
        host, port = a.connect.rsplit(":", 1)
        context = self.context(server=False) if a.ca else None
        self.reader, self.writer = await asyncio.open_connection(host, int(port), ssl=context)
        self.check_identity()
        await self.open(connector=True)

    async def accept(self):
        a = self.arguments
        context = self.context(server=True) if a.ca else None
        arrived = asyncio.Queue()
        server = await asyncio.start_server(lambda r, w: arrived.put_nowait((r, w)), "127.0.0.1", a.listen, ssl=context)
        say(listening=server.sockets[0].getsockname()[1])
        self.server = server
        self.reader, self.writer = await arrived.get()
        self.check_identity()
        await self.open(connector=False)

    def greeting(self, kind, **more):
        store = self.store
        greeting = self.body(
            kind, node=self.arguments.node, role="acs", epoch=store.epoch, minV="1.0", maxV="1.0",
            maxFrame=str(FRAME_MAX), **more,
        )
        if store.held:
            child(greeting, "Received", stream="commands", seq=str(store.held))
        child(greeting, "Cap", "access-request")
        return greeting

    async def open(self, connector):
        self.connections += 1
        if connector:
            hello = self.message(self.greeting("Hello"))
            self.send(hello)
            root, body, kind = await self.receive(5)
            if kind == "Error":
                say(got="error", code=body.get("code"), fatal=body.get("fatal") == "true", text=text_of(body, "Text"))
                raise Breach(f"refused: {body.get('code')}")
            if kind != "Welcome" or root.get("re") != hello.get("id"):
                raise Breach(f"{kind} instead of a Welcome to our Hello")
            self.version = body.get("useV")
            heartbeat, self.window = int(body.get("heartbeatMs")), int(body.get("window"))
        else:
            root, body, kind = await self.receive(5)
            if kind != "Hello":
                raise Breach(f"{kind} instead of a Hello")
            heartbeat, self.window = 2000, 16
            welcome = self.greeting("Welcome", useV="1.0", heartbeatMs=str(heartbeat), window=str(self.window))
            self.send(self.message(welcome, re=root.get("id")))
        if body.get("role") != "gw" or body.get("node") != self.arguments.gateway:
            raise Breach(f"we talk to {body.get('role')} {body.get('node')}")
        if not 1000 <= heartbeat <= 30000:
            raise Breach(f"a heartbeat each {heartbeat} ms")
        self.heartbeat_s = heartbeat / 1000
        self.frame_max = min(FRAME_MAX, int(body.get("maxFrame", FRAME_MAX)))
        if self.store.peer_epoch != body.get("epoch"):
            # Their stream is another one: it begins at 1.
            fresh = self.store.peer_epoch is None
            if not fresh:
                say(got="reset", epoch=body.get("epoch"))
            self.store.state.update(peer_epoch=body.get("epoch"), held=0, sync=None)
            self.store.save()
        self.told_held = self.store.held
        held = {r.get("stream"): int(r.get("seq")) for r in body.iterfind(f"{{{NS}}}Received")}
        say(got="welcome", node=body.get("node"), held=held.get("events", 0), window=self.window)
        self.on_received(held)
        self.sent_to = max(held.get("events", 0), self.store.acked)
        self.tasks = [asyncio.create_task(self.listen()), asyncio.create_task(self.beat())]
        self.flush()

    async def close(self, reason):
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        if self.writer:
            self.writer.transport.abort()
            self.reader = self.writer = None
            say(closed=reason)

    # ---- what is said by itself ----

    async def beat(self):
        while True:
            await asyncio.sleep(self.heartbeat_s)
            beat = self.body("Heartbeat", clock="synced", queued=str(len(self.store.queue)))
            if self.store.held:
                child(beat, "Received", stream="commands", seq=str(self.store.held))
                self.told_held = self.store.held
            self.send(self.message(beat))
            if asyncio.get_running_loop().time() - self.heard_at > 3 * self.heartbeat_s:
                say(got="silence")
                asyncio.create_task(self.close("three heartbeats missed"))

    def flush(self):
        """Sends what fits the window."""
        if self.writer is None:
            return
        for event in self.store.queue:
            if event["seq"] <= self.sent_to:
                continue
            if event["seq"] > self.store.acked + self.window:
                break
            again = event["id"] in self.ever_sent
            body = etree.fromstring(event["body"], PARSER)
            self.send(self.message(body, event["id"], "events", event["seq"], event["re"], again))
            self.ever_sent.add(event["id"])
            self.sent_to = event["seq"]

    def on_received(self, held):
        if "events" not in held:
            return
        seq = held["events"]
        if seq >= self.store.next:
            raise Breach(f"SEQ_AHEAD: they hold {seq}, we sent {self.store.next - 1}")
        if self.lose_acks > 0:
            self.lose_acks -= 1
            return
        if seq > self.store.acked:
            self.store.state["acked"] = seq
            self.store.state["queue"] = [event for event in self.store.queue if event["seq"] > seq]
            self.store.save()
            say(acked=seq)
        self.flush()

    async def ack_soon(self):
        await asyncio.sleep(0.05)
        if self.writer and self.store.held > self.told_held:
            ack = self.body("Ack")
            child(ack, "Received", stream="commands", seq=str(self.store.held))
            self.told_held = self.store.held
            self.send(self.message(ack))

    # ---- what is heard ----

    async def listen(self):
        try:
            while True:
                await self.on_message(*await self.receive(3 * self.heartbeat_s))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.TimeoutError) as error:
            say(got="end", why=type(error).__name__)
            asyncio.create_task(self.close("the connection ended"))
        except Breach as breach:
            say(breach=str(breach))
            asyncio.create_task(self.close("breach"))
        except etree.XMLSyntaxError as error:
            say(breach=f"not XML: {error}")
            asyncio.create_task(self.close("breach"))

    async def on_message(self, root, body, kind):
        if kind in ("Heartbeat", "Ack"):
            self.on_received({r.get("stream"): int(r.get("seq")) for r in body.iterfind(f"{{{NS}}}Received")})
        elif kind == "AccessDecision":
            say(
                got="decision", re=root.get("re"), decision=body.get("decision"), reason=body.get("reason"),
                valid_ms=round((parse_instant(body.get("validUntil")) - datetime.now(timezone.utc))
                               / timedelta(milliseconds=1)),
                show=text_of(body, "Show"),
            )
        elif kind == "Error":
            say(got="error", code=body.get("code"), fatal=body.get("fatal") == "true", text=text_of(body, "Text"))
        elif kind == "Bye":
            say(got="bye", reason=body.get("reason"))
        elif kind in DURABLE:
            self.on_command(root, body, kind)
        else:
            raise Breach(f"a {kind} from a gateway")

    def on_command(self, root, body, kind):
        if root.get("stream") != "commands":
            raise Breach(f"{kind} in the stream {root.get('stream')}")
        seq = int(root.get("seq"))
        if seq > self.store.held + 1:
            raise Breach(f"SEQ_GAP: {seq} after {self.store.held}")
        if seq <= self.store.held:
            say(got="again", seq=seq, replay=root.get("replay") == "true")
            self.told_held = 0
            asyncio.create_task(self.ack_soon())
            return
        status, code, words = getattr(self, "do_" + kind)(body)
        answer = "ControlResult" if kind == "Control" else "CredentialResult"
        self.store.put(self.body(answer, status=status, code=code, at=instant()), re=root.get("id"))
        self.store.state["held"] = seq
        self.store.save()
        say(got=kind, seq=seq, status=status, replay=root.get("replay") == "true", **words)
        asyncio.create_task(self.ack_soon())
        self.flush()

    def revise(self, key, rev):
        known = self.store.passes.get(key)
        if known and rev == known["rev"]:
            return "duplicate"
        if known and rev < known["rev"]:
            return "stale"
        return "done"

    def do_CredentialIssue(self, body):
        key, rev = body.get("key"), int(body.get("rev"))
        status = self.revise(key, rev)
        credential, valid = find(body, "Credential"), find(body, "Valid")
        if status == "done":
            self.store.passes[key] = {
                "rev": rev, "format": credential.get("format"), "value": credential.text,
                "person": text_of(body, "Person"), "from": valid.get("from"), "until": valid.get("until"),
                "levels": [level.text for level in body.iterfind(f"{{{NS}}}Level")],
            }
        if self.store.sync is not None:
            self.store.sync["lines"][key] = rev
        return status, None, {"key": key, "rev": rev, "person": text_of(body, "Person")}

    def do_CredentialRevoke(self, body):
        key, rev = body.get("key"), int(body.get("rev"))
        status = self.revise(key, rev)
        if status == "done":
            self.store.passes[key] = {"rev": rev, "format": None}
        return status, None, {"key": key, "rev": rev, "reason": body.get("reason")}

    def do_Control(self, body):
        points = [point.text for point in body.iterfind(f"{{{NS}}}Point")]
        words = {"action": body.get("action"), "points": points, "actor": body.get("actor")}
        if parse_instant(body.get("expiresAt")) <= datetime.now(timezone.utc):
            return "expired", "COMMAND_EXPIRED", words
        return "done", None, words

    def do_SyncBegin(self, body):
        self.store.state["sync"] = {"id": body.get("syncId"), "lines": {}}
        return "done", None, {"of": body.get("of")}

    def do_SyncEnd(self, body):
        sync = self.store.sync
        self.store.state["sync"] = None
        lines = sorted(f"{key}|{rev}" for key, rev in (sync or {"lines": {}})["lines"].items())
        digest = hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
        wanted = body.get("sha256")
        good = (
            sync is not None and sync["id"] == body.get("syncId") and int(body.get("count")) == len(lines)
            and wanted in (None, digest)
        )
        words = {"count": int(body.get("count")), "counted": len(lines), "digest": wanted == digest}
        if not good:
            return "rejected", "SYNC_MISMATCH", words
        for key in set(self.store.passes) - set(sync["lines"]):
            del self.store.passes[key]
        return "done", None, words | {"passes": len(self.store.passes)}

    # ---- what we are told to do ----

    def do_request(self, word):
        body = self.body(
            "AccessRequest", occurredAt=instant(), answerWithinMs=str(word.get("within", 700)),
            fallback=word.get("fallback", "deny"),
        )
        child(body, "Point", word["point"])
        child(body, "Credential", word["credential"], format=word["format"])
        child(body, "Direction", word["direction"])
        message = self.message(body)
        self.send(message)
        say(asked=message.get("id"))

    def do_event(self, word):
        at = datetime.now(timezone.utc) - timedelta(milliseconds=word.get("ago_ms", 0))
        body = self.body(
            "PassEvent", eventId=word.get("event_id") or f"{self.arguments.node}:{self.store.next}",
            occurredAt=instant(at), clock=word.get("clock", "synced"), request=word.get("request"),
        )
        child(body, "Point", word["point"])
        if "credential" in word:
            child(body, "Credential", word["credential"], format=word["format"])
        if "person" in word:
            child(body, "Person", word["person"])
        child(body, "Direction", word["direction"])
        child(body, "Result", code=word["code"], reason=word.get("reason"), by=word.get("by"))
        child(body, "Ext", "Главный вход", name="note")
        self.queue(body)

    def do_status(self, word):
        body = self.body("PointStatus", state=word["state"], occurredAt=instant())
        child(body, "Point", word["point"])
        self.queue(body)

    def queue(self, body):
        seq = self.store.put(body)
        self.store.save()
        say(queued=seq)
        self.flush()

    async def obey(self, word):
        do = word["do"]
        if do == "connect":
            await (self.connect() if self.arguments.connect else self.accept())
        elif do == "drop":
            await self.close("asked to")
        elif do == "bye":
            self.send(self.message(self.body("Bye", reason="shutdown")))
            await self.writer.drain()
            await self.close("bye")
        elif do == "lose_acks":
            self.lose_acks = word["count"]
        elif do == "raw":
            self.writer.write(bytes.fromhex(word["hex"]))
        elif do == "passes":
            say(passes=self.store.passes)
        elif do == "state":
            say(acked=self.store.acked, next=self.store.next, held=self.store.held, queued=len(self.store.queue))
        else:
            getattr(self, "do_" + do)(word)


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--connect", help="host:port of the gateway")
    arguments.add_argument("--listen", type=int, default=0, help="port to listen on if not connecting")
    arguments.add_argument("--node", required=True)
    arguments.add_argument("--gateway", required=True)
    arguments.add_argument("--ca")
    arguments.add_argument("--cert")
    arguments.add_argument("--key")
    arguments.add_argument("--state", required=True)
    arguments.add_argument("--schema", required=True)
    client = Client(arguments.parse_args())
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    say(ready=client.store.epoch)
    while line := await words.readline():
        word = json.loads(line)
        if word["do"] == "quit":
            break
        try:
            await client.obey(word)
        except (Breach, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            say(failed=f"{type(error).__name__}: {error}")
            await client.close("failed")
    await client.close("quit")


asyncio.run(main())
