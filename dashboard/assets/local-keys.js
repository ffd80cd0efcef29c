// The clinic's own key, in the browser: what is sealed here the server stores and cannot read. Form and reasons:
// docs/local-keys.md; an independent program in another language opens what this one seals (a test).
//
// Keys are CryptoKeys that nobody can take out again. The 32 bytes they come from exist in clear only while a key file
// is made or loaded, and are overwritten after it. Nothing here speaks with the server or touches the page.

const utf8 = new TextEncoder(), text = new TextDecoder("utf-8", { fatal: true });
const KEY_BYTES = 32, ID_BYTES = 8, NONCE_BYTES = 12, TAG_BYTES = 16;
const AES_256_GCM = 2;            // the first byte of all that is sealed here
const PACK_STEP = 64;             // lengths are rounded up to this
const ITERATIONS = 1_000_000;     // of PBKDF2, for key files with a passphrase
const ITERATIONS_MAX = 20_000_000; // a file that asks for more would stop the page

/// What went wrong, as a code: the page has words for each.
export class KeyFault extends Error {
  constructor(code, id = "") { super(code); this.code = code; this.id = id; }
}

// ---- bytes ----------------------------------------------------------------------------------------------------------

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
export const random = (length) => crypto.getRandomValues(new Uint8Array(length));

export function base64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}

export function unbase64(written) {
  let binary;
  try { binary = atob(written); } catch { throw new KeyFault("malformed"); }
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

function join(...parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}

const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

// ---- keys -----------------------------------------------------------------------------------------------------------

const hmacKey = (bytes) => crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
const aesKey = (bytes) => crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
const hmac = async (key, ...parts) => new Uint8Array(await crypto.subtle.sign("HMAC", key, join(...parts)));

/// Which key this is: tells keys apart, tells nothing of the key.
async function idOf(bytes, kind) {
  return (await hmac(await hmacKey(bytes), utf8.encode("tapward key id 1"), utf8.encode(kind))).slice(0, ID_BYTES);
}

/// The clinic's key from its 32 bytes, which are overwritten: { id, wrap, index }.
export async function clinicKey(bytes) {
  if (bytes.length !== KEY_BYTES) throw new KeyFault("malformed");
  const id = await idOf(bytes, "local");
  const source = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveBits"]);
  bytes.fill(0);
  const derive = async (purpose) => {
    const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8.encode(purpose) };
    return new Uint8Array(await crypto.subtle.deriveBits(how, source, KEY_BYTES * 8));
  };
  const [wrap, index] = [await derive("tapward local wrap 1"), await derive("tapward local index 1")];
  const key = { id: hex(id), wrap: await aesKey(wrap), index: await hmacKey(index) };
  wrap.fill(0); index.fill(0);
  return key;
}

/// A new key of one person: { id, aes, wrapped }, wrapped by the clinic's key.
export async function newPersonKey(clinic, person) {
  const bytes = random(KEY_BYTES);
  const key = { id: hex(await idOf(bytes, "dek")), aes: await aesKey(bytes) };
  key.wrapped = await seal(clinic.wrap, clinic.id, wrapPlace(person), bytes);
  bytes.fill(0);
  return key;
}

/// A person's key, unwrapped by whichever of the clinic's keys it was wrapped with.
export async function personKey(clinics, person, wrapped) {
  const clinic = holder(clinics, wrapped);
  const bytes = await open(clinic.wrap, clinic.id, wrapPlace(person), wrapped);
  if (bytes.length !== KEY_BYTES) throw new KeyFault("malformed");
  const aes = await aesKey(bytes);
  bytes.fill(0);
  return { aes };
}

/// The same person's key, wrapped by another key of the clinic.
export async function wrapAnew(clinics, to, person, wrapped) {
  const from = holder(clinics, wrapped);
  const bytes = await open(from.wrap, from.id, wrapPlace(person), wrapped);
  const anew = await seal(to.wrap, to.id, wrapPlace(person), bytes);
  bytes.fill(0);
  return anew;
}

function holder(clinics, wrapped) {
  const id = sealedBy(wrapped);
  const clinic = clinics.find((key) => key.id === id);
  if (!clinic) throw new KeyFault(clinics.length ? "other_key" : "no_key", id);
  return clinic;
}

const wrapPlace = (person) => ["passport", "wrapped_key", person];

// ---- sealing --------------------------------------------------------------------------------------------------------

/// algorithm | key id | nonce | ciphertext and tag; bound to its place [table, column, row].
export async function seal(aes, id, place, clear) {
  const nonce = random(NONCE_BYTES), keyId = unhex(id);
  const how = { name: "AES-GCM", iv: nonce, additionalData: bound(place, keyId) };
  const body = new Uint8Array(await crypto.subtle.encrypt(how, aes, clear));
  return join([AES_256_GCM], keyId, nonce, body);
}

/// What was sealed for this place. With `id`, only what this key sealed.
export async function open(aes, id, place, sealed) {
  const by = sealedBy(sealed);
  if (id && by !== id) throw new KeyFault("other_key", by);
  const nonce = sealed.subarray(1 + ID_BYTES, 1 + ID_BYTES + NONCE_BYTES);
  const how = { name: "AES-GCM", iv: nonce, additionalData: bound(place, unhex(by)) };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, aes, sealed.subarray(1 + ID_BYTES + NONCE_BYTES)));
  } catch { throw new KeyFault("altered", by); }
}

/// The id of the key that sealed something.
export function sealedBy(sealed) {
  if (!sealed || sealed.length < 1 + ID_BYTES + NONCE_BYTES + TAG_BYTES) throw new KeyFault("malformed");
  if (sealed[0] !== AES_256_GCM) throw new KeyFault("unsupported");
  return hex(sealed.subarray(1, 1 + ID_BYTES));
}

function bound(place, keyId) {
  const parts = place.flatMap((part) => { const bytes = utf8.encode(part); return [length2(bytes), bytes]; });
  return join(utf8.encode("tapward vault 1"), [AES_256_GCM], keyId, ...parts);
}

const length2 = (bytes) => [bytes.length >> 8 & 0xff, bytes.length & 0xff];
const unhex = (written) => Uint8Array.from(written.match(/../g) ?? [], (pair) => parseInt(pair, 16));

// ---- the parts of a passport ----------------------------------------------------------------------------------------

/// Version, number of texts, each text behind its length, zeros up to a multiple of 64 bytes.
export function pack(texts) {
  const parts = texts.flatMap((part) => { const bytes = utf8.encode(part); return [length2(bytes), bytes]; });
  const packed = join([1, texts.length], ...parts);
  const whole = new Uint8Array(Math.ceil(packed.length / PACK_STEP) * PACK_STEP);
  whole.set(packed);
  return whole;
}

/// The texts of a packed part; their number must be a multiple of `group`.
export function unpack(bytes, group) {
  if (bytes[0] !== 1) throw new KeyFault("unsupported");
  const texts = [];
  let at = 2;
  for (let left = bytes[1]; left > 0; left -= 1) {
    const end = at + 2 + (bytes[at] << 8 | bytes[at + 1]);
    if (!(end <= bytes.length)) throw new KeyFault("malformed");
    try { texts.push(text.decode(bytes.subarray(at + 2, end))); } catch { throw new KeyFault("malformed"); }
    at = end;
  }
  if (texts.length % group || bytes.subarray(at).some((byte) => byte)) throw new KeyFault("malformed");
  return texts;
}

// ---- finding without a name in clear --------------------------------------------------------------------------------

const PREFIX_MIN = 2, PREFIX_MAX = 8, WORDS_MAX = 9, WORD_MAX = 64, PHONE_DIGITS = 9, NUMBER_DIGITS_MIN = 4;
const FOLDED = { і: "и", ї: "и", й: "и", ё: "е", є: "е", э: "е", ґ: "г", ł: "l", đ: "d", ø: "o", ı: "i" };
const cut = (written, length) => Array.from(written).slice(0, length).join("");

export const trim = (written) => written.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, "");

/// The words of a text in their one spelling, in their order.
export function normalisedWords(written) {
  const plain = cut(written, WORDS_MAX * WORD_MAX).normalize("NFKD").toLowerCase().replace(/[\p{M}'’‘ʼ`´′]/gu, "");
  const folded = Array.from(plain, (letter) => FOLDED[letter] ?? letter).join("");
  const words = folded.split(/[^\p{Alphabetic}\p{N}]/u).filter((word) => word);
  return words.slice(0, WORDS_MAX).map((word) => cut(word, WORD_MAX));
}

const documentForm = (written) =>
  cut(written.normalize("NFKD").replace(/[^\p{Alphabetic}\p{N}]/gu, ""), WORD_MAX).toUpperCase();
const phoneForm = (written) => (written.match(/[0-9]/g) ?? []).slice(0, WORD_MAX).slice(-PHONE_DIGITS).join("");
const emailForm = (written) => trim(written).toLowerCase();

/// 16 hex digits: the first eight bytes of HMAC-SHA-256.
async function token(clinic, kind, written) {
  const parts = [utf8.encode("tapward index 1"), utf8.encode(kind), utf8.encode(written)];
  return hex((await hmac(clinic.index, ...parts)).slice(0, 8));
}

/// All hashes by which a person is to be found, each once.
export async function tokensOf(clinic, passport) {
  const wanted = new Set();
  for (const word of passport.names.flatMap(normalisedWords)) {
    const letters = Array.from(word);
    for (let length = PREFIX_MIN; length <= Math.min(letters.length, PREFIX_MAX); length += 1) {
      wanted.add("p" + letters.slice(0, length).join(""));
    }
    if (letters.length > PREFIX_MAX) wanted.add("w" + word);
  }
  for (const document of passport.documents) wanted.add("d" + documentForm(document.number));
  for (const contact of passport.contacts) {
    if (contact.kind === "phone") wanted.add("t" + phoneForm(contact.value));
    if (contact.kind === "email") wanted.add("e" + emailForm(contact.value));
  }
  return (await Promise.all(Array.from(wanted, (want) => token(clinic, want[0], want.slice(1))))).sort();
}

/// What to look for, from what somebody typed: { all: [...] } (every one of them) or { any: [...] } (any one).
export async function query(clinic, typed) {
  if (typed.includes("@")) return { any: [await token(clinic, "e", emailForm(typed))] };
  if ((typed.match(/[0-9]/g) ?? []).length >= NUMBER_DIGITS_MIN) {
    return { any: [await token(clinic, "d", documentForm(typed)), await token(clinic, "t", phoneForm(typed))] };
  }
  const words = normalisedWords(typed).filter((word) => Array.from(word).length >= PREFIX_MIN);
  if (!words.length) throw new KeyFault("too_short");
  const long = (word) => Array.from(word).length > PREFIX_MAX;
  return { all: await Promise.all(words.map((word) => token(clinic, long(word) ? "w" : "p", word))) };
}

// ---- the key file ---------------------------------------------------------------------------------------------------

const FILE_MARK = "tapward clinic key";
const filePlace = (id, site) => utf8.encode(`tapward key file 1|${id}|${site}`);

async function fileKey(passphrase, salt, iterations, use) {
  const words = await crypto.subtle.importKey("raw", utf8.encode(passphrase.normalize("NFKC")), "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return crypto.subtle.deriveKey(how, words, { name: "AES-GCM", length: 256 }, false, [use]);
}

/// A new key: { file, key }. The file is text to be saved; it is the only copy of the 32 bytes.
export async function makeKeyFile(site, made, passphrase) {
  const bytes = random(KEY_BYTES), id = hex(await idOf(bytes, "local"));
  const file = { what: FILE_MARK, version: 1, id, site, made };
  if (passphrase) {
    const salt = random(16), nonce = random(NONCE_BYTES);
    const aes = await fileKey(passphrase, salt, ITERATIONS, "encrypt");
    const how = { name: "AES-GCM", iv: nonce, additionalData: filePlace(id, site) };
    const sealed = new Uint8Array(await crypto.subtle.encrypt(how, aes, bytes));
    file.kdf = { name: "PBKDF2-SHA-256", iterations: ITERATIONS, salt: base64(salt) };
    file.nonce = base64(nonce);
    file.sealed = base64(sealed);
  } else {
    file.key = base64(bytes);
  }
  return { file: JSON.stringify(file, null, 2) + "\n", key: await clinicKey(bytes) };
}

/// Reads a key file: { key, site }. Without its passphrase: KeyFault "passphrase".
export async function readKeyFile(written, passphrase) {
  let file;
  try { file = JSON.parse(written); } catch { throw new KeyFault("not_a_key_file"); }
  if (file?.what !== FILE_MARK) throw new KeyFault("not_a_key_file");
  if (file.version !== 1) throw new KeyFault("unsupported");
  const bytes = file.sealed ? await unseal(file, passphrase) : unbase64(String(file.key));
  if (bytes.length !== KEY_BYTES || !same(await idOf(bytes, "local"), unhex(String(file.id)))) {
    bytes.fill(0);
    throw new KeyFault("damaged_file");
  }
  return { key: await clinicKey(bytes), site: String(file.site) };
}

async function unseal(file, passphrase) {
  if (!passphrase) throw new KeyFault("passphrase");
  const iterations = Number(file.kdf?.iterations);
  if (file.kdf?.name !== "PBKDF2-SHA-256" || !(iterations >= 1 && iterations <= ITERATIONS_MAX)) {
    throw new KeyFault("unsupported");
  }
  const aes = await fileKey(passphrase, unbase64(String(file.kdf.salt)), iterations, "decrypt");
  const how = { name: "AES-GCM", iv: unbase64(String(file.nonce)), additionalData: filePlace(file.id, file.site) };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, aes, unbase64(String(file.sealed))));
  } catch { throw new KeyFault("wrong_passphrase"); }
}

// ---- keeping keys in this browser -----------------------------------------------------------------------------------

const STORE = "tapward-keys", TAB = "tapward-tab", TAB_MAX_MS = 12 * 3_600_000;

/// A request of the database as a promise.
const done = (request) => new Promise((good, bad) => {
  request.onsuccess = () => good(request.result);
  request.onerror = () => bad(new KeyFault("no_store"));
});

/// The store of keys; null where none was ever kept, unless one is to be made. A page that is left while a store is being
/// made would stop the next page from opening it: so only keeping a key makes one.
async function store(mode, make) {
  if (!make && indexedDB.databases && !(await indexedDB.databases()).some(({ name }) => name === STORE)) return null;
  const opening = indexedDB.open(STORE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("key", { keyPath: "id" });
  const database = await done(opening);
  return { keys: database.transaction("key", mode).objectStore("key"), close: () => database.close() };
}

/// This tab's mark: it ends with the tab. Not a secret.
function tab() {
  let mark = sessionStorage.getItem(TAB);
  if (!mark) sessionStorage.setItem(TAB, mark = hex(random(8)));
  return mark;
}

/// Keeps a key: on this workstation until it is forgotten, or for this tab only.
export async function keep(key, onWorkstation) {
  const { keys, close } = await store("readwrite", true);
  const former = await done(keys.get(key.id));
  const stays = onWorkstation || former?.tab === null;
  await done(keys.put({ ...key, tab: stays ? null : tab(), at: Date.now() }));
  close();
}

/// The keys at hand, the one loaded last first. Those of tabs that are gone are removed on the way.
export async function kept() {
  const opened = await store("readwrite", false);
  if (!opened) return [];
  const { keys, close } = opened, here = tab(), good = [];
  for (const key of await done(keys.getAll())) {
    if (key.tab === null || key.tab === here) good.push(key);
    else if (Date.now() - key.at > TAB_MAX_MS) await done(keys.delete(key.id));
  }
  close();
  return good.sort((a, b) => b.at - a.at);
}

/// Forgets one key, or with `id` null all that belong to tabs (at signing out).
export async function forget(id) {
  const opened = await store("readwrite", false);
  if (!opened) return;
  const { keys, close } = opened;
  for (const key of await done(keys.getAll())) {
    if (id === null ? key.tab !== null : key.id === id) await done(keys.delete(key.id));
  }
  close();
}
