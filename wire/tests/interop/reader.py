"""One OSDP reader by libosdp behind a pseudo-terminal, for wire/tests/interop_libosdp.rs.

Usage: reader.py ADDRESS KEY_HEX|install
Prints "slave PATH", then "command CODE" for each command the reader obeys and "keyset".
Takes lines on standard input: card BITS HEX | keypad DIGITS | tamper 0|1 | inputs HEX |
silent | resume | restart | quit.
"""

import os
import select
import sys
import threading
import tty

import osdp


class Line(osdp.Channel):
    """The reader's end of the pseudo-terminal; can be unplugged."""

    def __init__(self, fd):
        super().__init__()
        self.fd = fd
        self.id = 1

    def read(self, max_bytes):
        try:
            return os.read(self.fd, max_bytes)
        except BlockingIOError:
            return b""

    def write(self, buf):
        return os.write(self.fd, buf)

    def flush(self):
        pass


def say(text):
    print(text, flush=True)


def make(line, address, key):
    def obey(command):
        if command["command"] == osdp.Command.Keyset:
            say("keyset")
        elif command["command"] == osdp.Command.Status:
            # The Python binding cannot hand a report back; the reader answers NAK.
            return -1, None
        else:
            say("command %d" % command["command"])
        return 0, None

    capabilities = osdp.PDCapabilities([
        (osdp.Capability.ContactStatusMonitoring, 1, 4),
        (osdp.Capability.OutputControl, 1, 2),
        (osdp.Capability.CardDataFormat, 1, 1),
        (osdp.Capability.LEDControl, 1, 1),
        (osdp.Capability.AudibleControl, 1, 1),
        (osdp.Capability.TextOutput, 1, 1),
        (osdp.Capability.CheckCharacter, 1, 0),
        (osdp.Capability.CommunicationSecurity, 1, 1),
    ])
    flags = [osdp.LibFlag.InstallMode] if key is None else [osdp.LibFlag.EnforceSecure]
    info = osdp.PDInfo(address, line, scbk=key, flags=flags, id=osdp.PdId(1, 7, 0x0A0B0C, 4711, 0x010203))
    reader = osdp.PeripheralDevice(info, capabilities, log_level=osdp.LogLevel.Critical, command_handler=obey)
    reader.lock = threading.Lock()
    return reader


def main():
    address = int(sys.argv[1])
    key = None if sys.argv[2] == "install" else bytes.fromhex(sys.argv[2])
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    say("slave " + os.ttyname(slave))
    line = Line(master)
    reader = make(line, address, key)
    silent = False
    pending = b""
    while True:
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], 0.001)
        if ready:
            chunk = os.read(sys.stdin.fileno(), 4096)
            if not chunk:
                return
            pending += chunk
        while b"\n" in pending:
            order, pending = pending.split(b"\n", 1)
            words = order.decode().split()
            if words[0] == "card":
                reader.submit_event({"event": osdp.Event.CardRead, "reader_no": 0, "direction": 0,
                                     "format": osdp.CardFormat.Wiegand, "length": int(words[1]),
                                     "data": bytes.fromhex(words[2])})
            elif words[0] == "keypad":
                reader.submit_event({"event": osdp.Event.KeyPress, "reader_no": 0, "data": words[1].encode()})
            elif words[0] == "tamper":
                reader.submit_event({"event": osdp.Event.Status, "type": osdp.StatusReportType.Local,
                                     "report": bytes([int(words[1]), 0])})
            elif words[0] == "inputs":
                reader.submit_event({"event": osdp.Event.Status, "type": osdp.StatusReportType.Input,
                                     "report": bytes.fromhex(words[1])})
            elif words[0] == "silent":
                silent = True
            elif words[0] == "resume":
                silent = False
            elif words[0] == "restart":
                reader = None
                reader = make(line, address, key)
                silent = False
            elif words[0] == "quit":
                return
        if silent:
            # The cable is cut: what arrives is heard by nobody.
            line.read(4096)
        else:
            reader.ctx.refresh()


main()
