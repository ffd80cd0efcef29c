"""The clinic's own key, by another hand: written from docs/local-keys.md alone, with the library `cryptography`.

    local_keys.py vectors        prints the vectors that the other implementations are held to
    local_keys.py open < JSON    opens boxes that a browser made: {"file", "passphrase", "person", "boxes": {column: base64},
                                 "search"} -> {"clear": {column: [texts] or base64}, "tokens": [...], "query": {...}}
"""

import base64
import hashlib
import hmac
import json
import re
import sys
import unicodedata

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

GROUPS = {"names": 3, "birth": 1, "documents": 3, "contacts": 2}


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def number(key, kind):
    return mac(key, b"tapward key id 1", kind)[:8]


def derive(master, purpose):
    return HKDF(algorithm=SHA256(), length=32, salt=b"", info=purpose).derive(master)


def authenticated(key_number, place):
    parts = [part.encode() for part in place]
    return b"tapward vault 1\x02" + key_number + b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def seal(key, key_number, nonce, place, clear):
    return b"\x02" + key_number + nonce + AESGCM(key).encrypt(nonce, clear, authenticated(key_number, place))


def open_box(key, key_number, place, box):
    assert box[0] == 2, "an unknown algorithm"
    assert key_number is None or box[1:9] == key_number, "another key"
    return AESGCM(key).decrypt(box[9:21], box[21:], authenticated(box[1:9], place))


def pack(texts):
    packed = bytes([1, len(texts)])
    for text in texts:
        packed += len(text.encode()).to_bytes(2, "big") + text.encode()
    return packed + bytes(-len(packed) % 64)


def unpack(packed):
    assert packed[0] == 1
    texts, at = [], 2
    for _ in range(packed[1]):
        length = int.from_bytes(packed[at : at + 2], "big")
        texts.append(packed[at + 2 : at + 2 + length].decode())
        at += 2 + length
    assert not any(packed[at:])
    return texts


FOLDED = str.maketrans("іїйёєэґłđøı", "иииееегldoi")
APOSTROPHES = "'’‘ʼ`´′"


def is_word(letter):
    # Alphabetic as far as texts of people go: letters, letter-like numbers; numbers of every kind.
    return unicodedata.category(letter)[0] in "LN"


def words(text):
    plain = unicodedata.normalize("NFKD", text[:576]).lower()
    plain = "".join(c for c in plain if unicodedata.category(c)[0] != "M" and c not in APOSTROPHES)
    parted = "".join(c if is_word(c) else " " for c in plain.translate(FOLDED))
    return [word[:64] for word in parted.split()][:9]


def document_form(text):
    return "".join(c for c in unicodedata.normalize("NFKD", text) if is_word(c))[:64].upper()


def phone_form(text):
    return re.sub("[^0-9]", "", text)[:64][-9:]


def email_form(text):
    return text.strip().lower()


def token(index, kind, text):
    return mac(index, b"tapward index 1", kind.encode(), text.encode())[:8].hex()


def tokens(index, names, documents, contacts):
    found = set()
    for word in (word for name in names for word in words(name)):
        found |= {token(index, "p", word[:length]) for length in range(2, min(len(word), 8) + 1)}
        if len(word) > 8:
            found.add(token(index, "w", word))
    found |= {token(index, "d", document_form(text)) for text in documents[1::3]}
    for kind, value in zip(contacts[::2], contacts[1::2]):
        if kind == "phone":
            found.add(token(index, "t", phone_form(value)))
        if kind == "email":
            found.add(token(index, "e", email_form(value)))
    return sorted(found)


def query(index, typed):
    if "@" in typed:
        return {"any": [token(index, "e", email_form(typed))]}
    if len(re.findall("[0-9]", typed)) >= 4:
        return {"any": [token(index, "d", document_form(typed)), token(index, "t", phone_form(typed))]}
    return {"all": [token(index, "w" if len(word) > 8 else "p", word) for word in words(typed) if len(word) > 1]}


def read_file(text, passphrase):
    file = json.loads(text)
    assert file["what"] == "tapward clinic key" and file["version"] == 1
    if "key" in file:
        master = base64.b64decode(file["key"])
    else:
        kdf = file["kdf"]
        assert kdf["name"] == "PBKDF2-SHA-256"
        phrase = unicodedata.normalize("NFKC", passphrase).encode()
        key = hashlib.pbkdf2_hmac("sha256", phrase, base64.b64decode(kdf["salt"]), kdf["iterations"])
        bound = f"tapward key file 1|{file['id']}|{file['site']}".encode()
        master = AESGCM(key).decrypt(base64.b64decode(file["nonce"]), base64.b64decode(file["sealed"]), bound)
    assert number(master, b"local").hex() == file["id"]
    return master


def opened(asked):
    master = read_file(asked["file"], asked.get("passphrase") or "")
    wrap, index = derive(master, b"tapward local wrap 1"), derive(master, b"tapward local index 1")
    person, boxes = asked["person"], {name: base64.b64decode(box) for name, box in asked["boxes"].items()}
    key = open_box(wrap, number(master, b"local"), ["passport", "wrapped_key", person], boxes.pop("wrapped_key"))
    clear = {}
    for column, box in boxes.items():
        if column in GROUPS:
            clear[column] = unpack(open_box(key, number(key, b"dek"), ["passport", column, person], box))
            assert len(clear[column]) % GROUPS[column] == 0
        else:
            place = ["photo", column, asked["photo"]]
            clear[column] = base64.b64encode(open_box(key, number(key, b"dek"), place, box)).decode()
    made = tokens(index, clear["names"], clear.get("documents", []), clear.get("contacts", []))
    return {"clear": clear, "tokens": made, "query": query(index, asked.get("search", ""))}


def vectors():
    master, key, person = bytes(range(32)), bytes(range(100, 132)), "0123456789abcdef0123456789abcdef"
    wrap, index = derive(master, b"tapward local wrap 1"), derive(master, b"tapward local index 1")
    parts = {
        "names": ["Семёнова-Йовчик", "Мар'яна", "Володимирівна"],
        "birth": ["1987-04-21"],
        "documents": ["passport", "СН 123-477", "Київ, 2011", "id_card", "№ 000 771 ß", ""],
        "contacts": ["phone", "+380 67 555 01 99", "email", " Olena@Example.ORG ", "address", "Лісова 4, кв. 7"],
    }
    boxes = {
        column: seal(key, number(key, b"dek"), bytes([at] * 12), ["passport", column, person], pack(texts)).hex()
        for at, (column, texts) in enumerate(parts.items(), 1)
    }
    local = number(master, b"local")
    texts = ["  Семёнова-Йовчик  ", "Мар'яна Ґалаґан", "ŁUKASZ Żółć", "Їжакевич Євген", "ﬁ Ⅷ 北京", "… — !", "",
             "O’Neil 3rd", "Đorđe Øster ıI", "ΣΊΣΥΦΟΣ ΌΣ", "Ştefănescu", "a" * 70, "b c d e f g h i j k", "Э́дуард Щёкин"]
    typed = ["ко", "Константинопольская", "олена конст", "сн123477", "0675550199", " olena@example.ORG ", "Ян 12"]
    print(json.dumps({
        "master": master.hex(), "number": local.hex(), "wrap": wrap.hex(), "index": index.hex(),
        "person": person, "key": key.hex(), "key_number": number(key, b"dek").hex(),
        "wrapped": seal(wrap, local, bytes(12), ["passport", "wrapped_key", person], key).hex(),
        "parts": parts, "packed": {column: pack(texts).hex() for column, texts in parts.items()}, "boxes": boxes,
        "words": [[text, words(text)] for text in texts],
        "tokens": tokens(index, parts["names"], parts["documents"], parts["contacts"]),
        "queries": [[text, query(index, text)] for text in typed],
        "file": file_with_passphrase(master, local), "passphrase": "ﬁve quiet mornings",
    }, ensure_ascii=False, indent=1))


def file_with_passphrase(master, local):
    salt, nonce, site = bytes(range(16)), bytes(range(12)), "clinic-3"
    key = hashlib.pbkdf2_hmac("sha256", "five quiet mornings".encode(), salt, 5000)
    sealed = AESGCM(key).encrypt(nonce, master, f"tapward key file 1|{local.hex()}|{site}".encode())
    plain = lambda data: base64.b64encode(data).decode()
    kdf = {"name": "PBKDF2-SHA-256", "iterations": 5000, "salt": plain(salt)}
    return json.dumps({"what": "tapward clinic key", "version": 1, "id": local.hex(), "site": site,
                       "made": "2026-11-22", "kdf": kdf, "nonce": plain(nonce), "sealed": plain(sealed)})


if __name__ == "__main__":
    if sys.argv[1:] == ["vectors"]:
        vectors()
    else:
        json.dump(opened(json.load(sys.stdin)), sys.stdout, ensure_ascii=False)
