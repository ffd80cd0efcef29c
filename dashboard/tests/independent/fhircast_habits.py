"""A FHIRcast client with the habits of real ones, on the library websockets, against a running hub:
fhircast_habits.py PORT CERTIFICATE TOPIC. Says one JSON object a line; ends with {"done": true}."""

import asyncio, http.client, json, ssl, sys
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PORT, CERTIFICATE, TOPIC = int(sys.argv[1]), sys.argv[2], sys.argv[3]
TLS = ssl.create_default_context(cafile=CERTIFICATE)


def say(**what):
    print(json.dumps(what), flush=True)


def ask(method, path, kind, body):
    hub = http.client.HTTPSConnection("localhost", PORT, context=TLS, timeout=10)
    hub.request(method, path, body, {"Content-Type": kind})
    answer = hub.getresponse()
    text = answer.read().decode()
    hub.close()
    return answer.status, text


async def main():
    # JSON instead of a form, the old name of the lease, a list of events, a trailing slash.
    asked = {"hub.channel.type": "websocket", "hub.mode": "subscribe", "hub.topic": TOPIC,
             "hub.events": ["patient-open", "SYNCERROR", "heartbeat"], "hub.lease": "600", "subscriber.name": "habits"}
    status, text = ask("POST", "/fhircast/STU3/", "application/json", json.dumps(asked))
    assert status == 202, (status, text)
    endpoint = json.loads(text)["hub.channel.endpoint"]
    async with connect(endpoint, ssl=TLS, max_size=None) as socket:
        confirmed = json.loads(await socket.recv())
        assert confirmed["hub.mode"] == "subscribe" and 0 < confirmed["hub.lease_seconds"] <= 600, confirmed
        say(ready=True)
        event = json.loads(await socket.recv())
        # Rubbish, a heartbeat, an answer to nothing, then one with a number as status and a field too many.
        for noise in ["", "[", "{\"id\":", "null", json.dumps({"event": {"hub.event": "heartbeat"}}), json.dumps({"id": "x", "status": 200})]:
            await socket.send(noise)
        await socket.send(b"\x00\xff")
        await socket.send(json.dumps({"id": event["id"], "status": 200, "resource": None}))
        say(event=event)
        # An event at the address of the topic, as text, with keys in another case and a time without a zone.
        mine = {"id": 77, "timestamp": event["timestamp"].rstrip("Z"), "event": {"hub.event": "PATIENT-OPEN", "Context": [], "context": [
            {"key": "Patient", "resource": {"resourceType": "Patient", "id": "P-77"}}]}}
        status, text = ask("POST", f"/fhircast/STU3/{TOPIC}", "text/plain", json.dumps(mine))
        assert status == 202, (status, text)
        echo = json.loads(await socket.recv())
        assert echo["id"] == "77" and echo["event"]["hub.topic"] == TOPIC, echo
        assert echo["event"]["context"][0]["key"] == "patient", echo
        await socket.send(json.dumps({"id": echo["id"]}))
        # Unsubscribes with the events and without the address.
        form = f"hub.mode=unsubscribe&hub.topic={TOPIC}&hub.events=Patient-open&subscriber.name=habits&hub.channel.type=websocket"
        status, text = ask("POST", "/fhircast/STU3", "application/x-www-form-urlencoded; charset=utf-8", form)
        assert status == 202, (status, text)
        denied = json.loads(await socket.recv())
        assert denied["hub.mode"] == "denied", denied
        try:
            await socket.recv()
            raise AssertionError("the socket stays open")
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 1000, closed
    say(done=True)


asyncio.run(asyncio.wait_for(main(), 30))
