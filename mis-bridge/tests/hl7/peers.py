"""Systems that are not ours at the other end of MLLP.

  peers.py server-hl7apy    a server of hl7apy; it ends the connection after each answer
  peers.py server-hl7       an asyncio server of hl7
  peers.py client-hl7 PORT  sends the messages of standard input, each ended with 0x1C, one by one over one connection

A server writes its port on the first line, then for each message its number, its structure and how many errors the strict
validation of hl7apy finds in it. The client writes for each answer its code and the number that it names."""
import asyncio
import sys

import hl7
import hl7.client
from hl7apy import mllp
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message


def say(*words):
    print(*words, flush=True)


def judge(text):
    try:
        message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
        message.validate()
        return message.name, 0
    except Exception as error:
        print(repr(error), file=sys.stderr)
        return "-", 1


class Handler(mllp.AbstractHandler):
    def reply(self):
        text = self.incoming_message
        name, errors = judge(text)
        message = parse_message(text)
        say(message.msh.msh_10.value, name, errors)
        answer = Message("ACK", version="2.5.1")
        answer.msh.msh_9 = "ACK^%s^ACK" % message.msh.msh_9.msh_9_2.value
        answer.msh.msh_10 = "A" + message.msh.msh_10.value[:19]
        answer.msh.msh_11 = "P"
        answer.msa.msa_1 = "AA"
        answer.msa.msa_2 = message.msh.msh_10.value
        return answer.to_mllp()


def server_hl7apy():
    kinds = ["ADT^A04^ADT_A01", "ADT^A03^ADT_A03", "ADT^A08^ADT_A01", "ADT^A11^ADT_A09", "DFT^P03^DFT_P03"]
    server = mllp.MLLPServer("127.0.0.1", 0, {kind: (Handler,) for kind in kinds})
    say(server.server_address[1])
    server.serve_forever()


async def server_hl7():
    from hl7.mllp import start_hl7_server

    async def talk(reader, writer):
        while not writer.is_closing():
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                return
            name, errors = judge(str(message))
            say(message.extract_field("MSH", 1, 10), name, errors)
            writer.writemessage(message.create_ack())
            await writer.drain()

    server = await start_hl7_server(talk, "127.0.0.1", 0, encoding="utf-8")
    say(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def client_hl7(port):
    messages = [part for part in sys.stdin.buffer.read().split(b"\x1c") if part]
    with hl7.client.MLLPClient("127.0.0.1", int(port)) as client:
        for message in messages:
            answer = client.send_message(message)
            parsed = hl7.parse(answer.strip(b"\x0b\x1c\r").decode("ascii"))
            say(parsed.extract_field("MSA", 1, 1), parsed.extract_field("MSA", 1, 2), parsed.extract_field("MSH", 1, 12))


{"server-hl7apy": server_hl7apy, "server-hl7": lambda: asyncio.run(server_hl7()), "client-hl7": client_hl7}[
    sys.argv[1]
](*sys.argv[2:])
