"""libosdp's control panel for one reader behind a pseudo-terminal, for wire/tests/interop_libosdp_panel.rs.

Usage: panel.py ADDRESS KEY_HEX [install]
Prints "slave PATH", then "online 0|1" and "secure 0|1" at each change, and events: "card BITS HEX", "keys HEX",
"status TYPE HEX", "done COMMAND STATUS".
Takes lines on standard input: led | buzzer | text | output NUMBER CODE TIMER | status local|input | keyset HEX |
retry | quit.
"""

import os
import select
import sys
import tty

import osdp
import osdp_sys


class Line(osdp.Channel):
    """The panel's end of the pseudo-terminal."""

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


def report(_reader, event):
    kind = event["event"]
    if kind == osdp.Event.CardRead:
        say("card %d %s" % (event["length"], bytes(event["data"]).hex()))
    elif kind == osdp.Event.KeyPress:
        say("keys %s" % bytes(event["data"]).hex())
    elif kind == osdp.Event.Status:
        names = {osdp.StatusReportType.Local: "local", osdp.StatusReportType.Input: "input",
                 osdp.StatusReportType.Output: "output", osdp.StatusReportType.Remote: "remote"}
        say("status %s %s" % (names[event["type"]], bytes(event["report"]).hex()))
    return 0


def command(words):
    if words[0] == "led":
        return {"command": osdp.Command.LED, "reader": 0, "led_number": 0, "control_code": 2, "on_count": 5,
                "off_count": 5, "on_color": osdp.CommandLEDColor.Green, "off_color": osdp.CommandLEDColor.Black,
                "timer_count": 20, "temporary": True}
    if words[0] == "buzzer":
        return {"command": osdp.Command.Buzzer, "reader": 0, "control_code": 2, "on_count": 1, "off_count": 1,
                "rep_count": 2}
    if words[0] == "text":
        return {"command": osdp.Command.Text, "reader": 0, "control_code": 1, "temp_time": 0, "offset_row": 1,
                "offset_col": 1, "data": "WELCOME"}
    if words[0] == "output":
        return {"command": osdp.Command.Output, "output_no": int(words[1]), "control_code": int(words[2]),
                "timer_count": int(words[3])}
    if words[0] == "status":
        kind = osdp.StatusReportType.Local if words[1] == "local" else osdp.StatusReportType.Input
        return {"command": osdp.Command.Status, "type": kind, "report": bytes(4)}
    if words[0] == "keyset":
        return {"command": osdp.Command.Keyset, "type": 1, "data": bytes.fromhex(words[1])}
    return None


def main():
    address = int(sys.argv[1])
    key = bytes.fromhex(sys.argv[2])
    install = sys.argv[3:] == ["install"]
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    say("slave " + os.ttyname(slave))
    flags = [osdp.LibFlag.InstallMode] if install else [osdp.LibFlag.EnforceSecure]
    info = osdp.PDInfo(address, Line(master), scbk=key, flags=flags)
    osdp_sys.set_loglevel(osdp.LogLevel.Critical)
    panel = osdp_sys.ControlPanel([info.get()])
    panel.set_event_callback(report)
    panel.set_command_completion_callback(lambda _reader, done, status: say("done %d %d" % (done["command"], status)))
    before = None
    pending = b""
    while True:
        panel.refresh()
        now = (panel.status() & 1, panel.sc_status() & 1)
        if now != before:
            say("online %d" % now[0])
            say("secure %d" % now[1])
            before = now
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], 0.002)
        if not ready:
            continue
        chunk = os.read(sys.stdin.fileno(), 4096)
        if not chunk:
            return
        pending += chunk
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            words = line.decode().split()
            if words[0] == "quit":
                return
            if words[0] == "retry":
                panel.disable_pd(0)
                panel.refresh()
                panel.enable_pd(0)
            elif not panel.submit_command(0, command(words)):
                say("refused " + words[0])


main()
