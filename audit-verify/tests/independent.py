"""Checks an export and a proof of an audit log from the words of docs/audit.md alone: SHA-256 and JSON, nothing of ours.

Prints the root of the export and "proved" for the proof; any disagreement is an exception.
"""

import hashlib
import json
import sys


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(entry):
    data = b"\x01" + entry["no"].to_bytes(8, "big") + entry["at_ms"].to_bytes(8, "big", signed=True)
    for name in (
        "actor_kind actor session address action outcome subject object fields purpose detail note_hash glass".split()
    ):
        value = entry.get(name)
        if value is None:
            data += b"\x00"
            continue
        value = bytes.fromhex(value) if name == "note_hash" else value.encode()
        data += b"\x01" + len(value).to_bytes(4, "big") + value
    if "note" in entry:
        salted = b"tapward audit note 1\x00" + bytes.fromhex(entry["note_salt"]) + entry["note"].encode()
        assert sha(salted).hex() == entry["note_hash"], entry["no"]
    assert sha(b"\x00", data).hex() == entry["leaf"], entry["no"]
    return sha(b"\x00", data)


def root(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\x01", root(leaves[:k]), root(leaves[k:]))


def climb(index, size, path, hashed):
    """RFC 9162, 2.1.3.2."""
    fn, sn = index, size - 1
    for p in path:
        assert sn != 0
        if fn & 1 or fn == sn:
            hashed = sha(b"\x01", p, hashed)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            hashed = sha(b"\x01", hashed, p)
        fn >>= 1
        sn >>= 1
    assert sn == 0
    return hashed


lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
first, entries, last = lines[0], lines[1:-1], lines[-1]
assert first["tapward_audit_export"] == 1 and first["whole"] and last["end"]
assert [entry["no"] for entry in entries] == list(range(1, last["size"] + 1))
leaves = [leaf(entry) for entry in entries]
assert root(leaves).hex() == last["root"]
word, site, size, head_root, _, _, _ = last["head"].split(" ")
assert word == "tapward-audit-head-1" and site == first["site"]
assert root(leaves[: int(size)]).hex() == head_root
print(last["root"])

proof = json.load(open(sys.argv[2], encoding="utf-8"))
assert proof["tapward_audit_proof"] == 1
path = [bytes.fromhex(h) for h in proof["path"]]
assert climb(proof["entry"]["no"] - 1, proof["size"], path, leaf(proof["entry"])).hex() == proof["root"]
assert proof["head"].split(" ")[2:4] == [str(proof["size"]), proof["root"]]
print("proved")
