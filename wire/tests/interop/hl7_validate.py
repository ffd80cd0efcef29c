"""Validates HL7 messages from standard input, each ended with 0x1C, with hl7apy against the tables of 2.5.1. Writes for each
its structure and the number of errors; the errors themselves go to standard error."""
import sys
import tempfile

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

for raw in sys.stdin.buffer.read().split(b"\x1c"):
    if not raw:
        continue
    text = raw.decode("utf-8")
    errors = []
    try:
        message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
        with tempfile.NamedTemporaryFile("r", suffix=".txt") as report:
            try:
                message.validate(report_file=report.name)
            except Exception as error:
                errors.append(repr(error))
            errors += [line for line in report.read().splitlines() if line.startswith("Error")]
        name = message.name
        if message.to_er7().replace("\n", "\r").rstrip("\r") != text.rstrip("\r"):
            errors.append("written again by the validator it is another message")
    except Exception as error:
        name = text.split("|")[8]
        errors.append(repr(error))
    for error in errors:
        print(name, error, file=sys.stderr)
    print(name, len(errors))
