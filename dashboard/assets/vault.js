// Pages of people whose passports are sealed with the clinic's own key. Fetches boxes, opens them in this browser, fills
// the page, seals what was typed and sends it back. What was opened lives in this page only; nothing is logged, kept or
// sent in clear. The form of keys and boxes is local-keys.js; why it is so, docs/local-keys.md.

const tag = document.querySelector("script[data-keys]");
const say = JSON.parse(tag.dataset.texts);
const keys = await import(tag.dataset.keys);
const find = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const words = (code, a = "") => (say[code] ?? say.failed).replace("#", a);
let clinics = await keys.kept().catch(() => []);

// ---- asking the server ----------------------------------------------------------------------------------------------

class Refused extends Error {}

/// What went wrong, in words.
const wordsOf = (error) =>
  error instanceof keys.KeyFault ? words(error.code, error.id) : error instanceof Refused ? error.message : words("failed");

async function ask(path, body) {
  // The newest token on the page: a page that stays open is sent new ones.
  const headers = { "content-type": "application/json", "x-tapward-form": find("input[name=form]").value };
  let answer;
  try { answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }); } catch { throw new Refused(words("lost")); }
  if (answer.status === 401) { location.reload(); throw new Refused(words("lost")); }
  const isJson = answer.headers.get("content-type")?.startsWith("application/json");
  if (!answer.ok) throw new Refused(isJson ? (await answer.json()).text : words("failed"));
  return isJson ? answer.json() : new Uint8Array(await answer.arrayBuffer());
}

// ---- boxes and passports --------------------------------------------------------------------------------------------

/// A person's key and opened parts: { person, aes, names, birth, documents, contacts, photo, changed, … }.
async function opened(out) {
  if (!out.wrapped) return out;
  const person = out.person, { aes } = await keys.personKey(clinics, person, keys.unbase64(out.wrapped));
  const part = async (column, group) => {
    const sealed = out.parts[column];
    if (!sealed) return null;
    return keys.unpack(await keys.open(aes, null, ["passport", column, person], keys.unbase64(sealed)), group);
  };
  const [names, birth, documents, contacts] =
    await Promise.all([part("names", 3), part("birth", 1), part("documents", 3), part("contacts", 2)]);
  return { ...out, aes, names, birth: birth?.[0] ?? null, documents: documents && grouped(documents, 3), contacts: contacts && grouped(contacts, 2) };
}

const grouped = (texts, size) => Array.from({ length: texts.length / size }, (_, at) => texts.slice(at * size, at * size + size));
const fullName = (names) => (names ?? []).filter((name) => name).join(" ");

/// What the index is made from.
const forIndex = ({ names, documents, contacts }) => ({
  names: names ?? [],
  documents: (documents ?? []).map(([, number]) => ({ number })),
  contacts: (contacts ?? []).map(([kind, value]) => ({ kind, value })),
});

/// Seals a whole passport: under the person's own key if there is one, wrapped by the clinic's key in use.
async function sealed(to, person, passport, own) {
  const clinic = clinics.find((key) => key.id === to);
  if (!clinic) throw new keys.KeyFault(clinics.length ? "other_key" : "no_key", to);
  const key = own ? await stillOwn(clinic, person, own) : await keys.newPersonKey(clinic, person);
  const texts = {
    names: passport.names, birth: [passport.birth], documents: passport.documents.flat(), contacts: passport.contacts.flat(),
  };
  const parts = {};
  for (const [column, list] of Object.entries(texts)) {
    parts[column] = keys.base64(await keys.seal(key.aes, key.id, ["passport", column, person], keys.pack(list)));
  }
  const tokens = await keys.tokensOf(clinic, forIndex(passport));
  return { key, body: { person, wrapped: keys.base64(key.wrapped), parts, tokens } };
}

/// The person's key as it was fetched; wrapped anew if that was with the clinic's former key.
async function stillOwn(clinic, person, own) {
  const before = keys.unbase64(own.wrapped);
  const wrapped = keys.sealedBy(before) === clinic.id ? before : await keys.wrapAnew(clinics, clinic, person, before);
  return { aes: own.aes, id: ownId(own), wrapped };
}

const ownId = (own) => keys.sealedBy(keys.unbase64(own.parts.names));

async function sealedPhoto(own, person, full, small) {
  const photo = keys.hex(keys.random(16));
  const box = async (size, bytes) => keys.base64(await keys.seal(own.aes, own.id, ["photo", size, photo], bytes));
  return { person, photo, full: await box("full", full), small: await box("small", small), consent: true };
}

/// Draws a sealed photograph. A canvas, because pages may not show pictures from anywhere but the server.
async function draw(canvas, out, small, path, purpose) {
  const sealed = await ask(path, { photo: out.photo, small, purpose });
  const bytes = await keys.open(out.aes, null, ["photo", small ? "small" : "full", out.photo], sealed);
  const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.dataset.drawn = "";
}

// ---- what all these pages share -------------------------------------------------------------------------------------

function tell(tone, message) {
  const place = find("[data-sealed-say]");
  place.hidden = !message;
  place.textContent = message;
  if (place.classList.contains("note")) place.className = "note " + tone;
}

/// Does something when a form is sent, with its button at rest meanwhile; what goes wrong is told.
function on(form, act) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find("button:not([type=button])", form);
    button.disabled = true;
    try { await act(); } catch (error) { tell("bad", wordsOf(error)); }
    button.disabled = false;
  });
}

const missing = find("[data-sealed-nokey]");
if (missing && !clinics.length) {
  missing.hidden = false;
  find("[data-sealed-nokey-text]").textContent = words("no_key_do");
}

// Signing out ends what was kept for this tab only.
for (const form of all("form[action='/sign-out']")) form.addEventListener("submit", () => { keys.forget(null).catch(() => {}); });

// ---- finding people -------------------------------------------------------------------------------------------------

const search = find("[data-sealed-search]");
on(search, async () => {
  const list = find("[data-sealed-found]"), purpose = find("#purpose").value;
  list.replaceChildren();
  if (!clinics.length) throw new keys.KeyFault("no_key");
  const queries = await Promise.all(clinics.slice(0, 2).map((clinic) => keys.query(clinic, find("#words").value)));
  const answer = await ask("/sealed/search", { queries, purpose });
  const people = await Promise.all(answer.people.map((out) => opened(out).catch((fault) => ({ ...out, fault }))));
  people.sort((a, b) => fullName(a.names).localeCompare(fullName(b.names)));
  const cards = people.map((person) => card(person));
  list.append(...cards.map(([element]) => element));
  tell("", people.length ? words(answer.more ? "more" : "found", people.length) : words("nothing_found"));
  for (const [element, person] of cards) if (person.photo && person.aes) waiting.push([find("canvas", element), person, purpose]);
  drawWaiting();
});

function card(person) {
  const element = find("[data-sealed-card]").content.cloneNode(true).firstElementChild;
  find("a", element).href = "/sealed/" + person.person;
  find("[data-name]", element).textContent = fullName(person.names) || person.person.slice(0, 8);
  if (person.birth) find("[data-born]", element).textContent = words("born", person.birth);
  const mark = person.fault ? wordsOf(person.fault) : person.erased ? words("erased") : person.restricted ? words("restricted") : "";
  find("[data-mark]", element).textContent = mark;
  find("[data-mark]", element).hidden = !mark;
  return [element, person];
}

// Pictures come after the names, four at a time.
const waiting = [];
let drawing = 0;
function drawWaiting() {
  while (drawing < 4 && waiting.length) {
    const [canvas, person, purpose] = waiting.shift();
    drawing += 1;
    draw(canvas, person, true, "/sealed/photo", purpose).catch(() => {}).finally(() => { drawing -= 1; drawWaiting(); });
  }
}

// ---- one person -----------------------------------------------------------------------------------------------------

const page = find("[data-sealed-person]");
if (page) onePerson(page).catch((error) => tell("bad", wordsOf(error)));

async function onePerson(page) {
  const id = page.dataset.sealedPerson, mayEdit = "mayEdit" in page.dataset;
  const edit = find("[data-sealed-edit]"), facts = find("[data-sealed-facts]");
  let base = null, own = null;
  for (const rows of all("[data-sealed-rows]")) find("button", rows).addEventListener("click", () => addRow(rows, []));
  on(find("[data-sealed-reveal]"), async () => {
    const out = await opened(await ask("/sealed/reveal", { person: id, purpose: find("#why").value }));
    if (!out.wrapped) throw new keys.KeyFault("locked");
    base = out.changed;
    own = out;
    show(out);
    if (mayEdit) { fill(edit, out); edit.hidden = false; }
  });
  on(edit, async () => {
    const passport = typed(edit), person = id || keys.hex(keys.random(16));
    if (!passport.names[0] && !passport.names[1]) { find("#family").focus(); throw new keys.KeyFault("no_name"); }
    const { key, body } = await sealed(page.dataset.current, person, passport, own);
    const done = await ask("/sealed/put", { ...body, base, purpose: find("#why").value });
    if (!id) { location.assign("/sealed/" + person); return; }
    base = done.changed;
    own = { ...own, ...passport, aes: key.aes, wrapped: body.wrapped, parts: body.parts };
    show(own);
    tell("ok", words("saved"));
  });
  on(find("[data-sealed-picture]"), async () => {
    if (!own) throw new keys.KeyFault("locked");
    const { full, small } = await prepared(find("#picture").files[0]);
    const body = await sealedPhoto({ aes: own.aes, id: ownId(own) }, id, full, small);
    await ask("/sealed/photo/put", body);
    own.photo = body.photo;
    await draw(find("[data-sealed-photo]"), own, false, "/sealed/photo", find("#why").value);
    tell("ok", words("photo_saved"));
  });
  if (!id || !clinics.length) return;
  // The name and the photograph at once, as on a card; everything else waits for a reason.
  const [out] = (await ask("/sealed/cards", { persons: [id], purpose: find("#why")?.value ?? "maintenance" })).people;
  const card = await opened(out);
  if (card.names) find("[data-sealed-name]").textContent = fullName(card.names);
  const mark = card.erased ? words("erased") : card.restricted ? words("restricted") : "";
  find("[data-sealed-mark]").textContent = mark;
  find("[data-sealed-mark]").hidden = !mark;
  if (card.photo && card.aes) await draw(find("[data-sealed-photo]"), card, false, "/sealed/photo", find("#why")?.value ?? "maintenance");

  function show(out) {
    find("[data-sealed-name]").textContent = fullName(out.names);
    const labelOf = (part) => (part === "birth" ? words("label_birth") : words("label_name"));
    const kind = (rows, code) => say[`${rows}_${code}`] ?? code;
    const lines = [
      [labelOf("family"), fullName(out.names)], [labelOf("birth"), out.birth ?? ""],
      ...(out.documents ?? []).map(([code, number, issued]) => [kind("documents", code), [number, issued].filter((text) => text).join(", ")]),
      ...(out.contacts ?? []).map(([code, value]) => [kind("contacts", code), value]),
    ];
    facts.replaceChildren(...lines.filter(([, value]) => value).map(([label, value]) => {
      const line = document.createElement("div"), term = document.createElement("dt"), fact = document.createElement("dd");
      term.textContent = label;
      fact.textContent = value;
      line.append(term, fact);
      return line;
    }));
    facts.hidden = false;
  }
}

function addRow(rows, texts) {
  if (all(".sealed-row", rows).length >= Number(rows.dataset.max)) return;
  const row = find("template", rows).content.cloneNode(true).firstElementChild;
  all("select, input", row).forEach((input, at) => { if (texts[at] !== undefined) input.value = texts[at]; });
  rows.insertBefore(row, find("button", rows));
}

function fill(form, passport) {
  ["family", "given", "middle"].forEach((id, at) => { find("#" + id).value = passport.names?.[at] ?? ""; });
  find("#birth").value = passport.birth ?? "";
  for (const rows of all("[data-sealed-rows]", form)) {
    for (const row of all(".sealed-row", rows)) row.remove();
    for (const texts of passport[rows.dataset.sealedRows] ?? []) addRow(rows, texts);
  }
}

function typed(form) {
  const rows = (name) => all(`[data-sealed-rows=${name}] .sealed-row`, form)
    .map((row) => all("select, input", row).map((input) => keys.trim(input.value)))
    .filter((texts) => texts[1]);
  return {
    names: ["family", "given", "middle"].map((id) => keys.trim(find("#" + id).value)),
    birth: find("#birth").value, documents: rows("documents"), contacts: rows("contacts"),
  };
}

/// Decodes, crops to 3:4, scales and writes anew as JPEG: nothing of the file survives but what is seen.
async function prepared(file) {
  if (!file || file.size > 5 << 20) throw new keys.KeyFault("bad_picture");
  const picture = await createImageBitmap(file).catch(() => { throw new keys.KeyFault("bad_picture"); });
  if (picture.width < 60 || picture.height < 80 || Math.max(picture.width, picture.height) > 4096) throw new keys.KeyFault("bad_picture");
  const wide = Math.min(picture.width, picture.height * 3 / 4), high = wide * 4 / 3;
  const from = [(picture.width - wide) / 2, (picture.height - high) / 2, wide, high];
  const scaled = async (width, height) => {
    const canvas = new OffscreenCanvas(width, height), paint = canvas.getContext("2d");
    paint.imageSmoothingQuality = "high";
    paint.drawImage(picture, ...from, 0, 0, width, height);
    return new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.86 })).arrayBuffer());
  };
  return { full: await scaled(600, 800), small: await scaled(150, 200) };
}

// ---- names on other pages: what carries data-person -----------------------------------------------------------------

const NAMED = "[data-person]:not([data-named])", FACED = "canvas[data-face]:not([data-drawn])";
const known = new Map(); // the people of this page, opened once; at most so many:
const KNOWN_MAX = 500;
let naming = null;

if (find("[data-live]") && clinics.length) {
  new MutationObserver(nameSoon).observe(find("[data-live]"), { childList: true, subtree: true });
  nameSoon();
}

/// All that came within a moment are asked for at once.
function nameSoon() { naming ??= setTimeout(() => { naming = null; nameAll().catch(() => {}); }, 20); }

async function nameAll() {
  const wanted = [...new Set(all(NAMED).map((place) => place.dataset.person))].filter((id) => !known.has(id)).slice(0, 200);
  if (wanted.length) {
    if (known.size > KNOWN_MAX) known.clear();
    for (const id of wanted) known.set(id, null);
    const { people } = await ask("/sealed/live-cards", { persons: wanted, purpose: "checkpoint" });
    await Promise.all(people.map(async (out) => { known.set(out.person, await opened(out).catch(() => null)); }));
  }
  for (const place of all(NAMED)) {
    const name = fullName(known.get(place.dataset.person)?.names);
    if (!name) continue;
    place.textContent = name;
    place.dataset.named = "";
    // The lock that stood for the name.
    find(".lock", place.parentElement)?.remove();
  }
  await Promise.all(all(FACED).map((canvas) => showFace(canvas, known.get(canvas.dataset.face)).catch(() => {})));
}

/// The large photograph of a post, in place of the outline that stands for it.
async function showFace(canvas, person) {
  if (!person?.photo || !person.aes) return;
  canvas.dataset.drawn = "";
  await draw(canvas, person, false, "/sealed/live-photo", "checkpoint");
  for (const other of canvas.parentElement.children) other.hidden = other !== canvas;
}

// ---- the key --------------------------------------------------------------------------------------------------------

const keyPage = find("[data-sealed-key]");
if (keyPage) await theKey(keyPage);

async function theKey(page) {
  const { site, current } = page.dataset;
  const forgetting = find("[data-sealed-forget]");
  let made = null;

  function holds() {
    const which = (key) => {
      const where = words(key.tab === null ? "holds_workstation" : "holds_tab", key.id);
      if (key.id === page.dataset.current || !page.dataset.current) return where;
      return where + " " + words(key.id === page.dataset.former ? "holds_former" : "holds_other");
    };
    find("[data-sealed-holds]").textContent = clinics.length ? clinics.map(which).join(" ") : words("holds_none");
    forgetting.hidden = !clinics.length;
  }

  async function read(input, phrase) {
    const file = input.files[0];
    if (!file || file.size > 16_384) throw new keys.KeyFault("not_a_key_file");
    return keys.readKeyFile(await file.text(), phrase);
  }

  on(find("[data-sealed-load]"), async () => {
    const phrase = find("#key-phrase");
    let loaded;
    try { loaded = await read(find("#key-file"), phrase.value); } catch (error) {
      if (error.code === "passphrase" || error.code === "wrong_passphrase") phrase.focus();
      throw error;
    }
    phrase.value = "";
    const wanted = [page.dataset.current, page.dataset.former].filter((id) => id);
    if (wanted.length && !wanted.includes(loaded.key.id)) throw new Refused(words("not_this_key", loaded.key.id));
    await keys.keep(loaded.key, find("#key-keep").checked);
    clinics = await keys.kept();
    holds();
    tell("ok", loaded.site === site ? words("loaded", loaded.key.id) : words("other_site", loaded.site));
  });

  forgetting.addEventListener("click", async () => {
    for (const key of clinics) await keys.forget(key.id);
    clinics = [];
    holds();
    tell("ok", words("holds_none"));
  });

  on(find("[data-sealed-make]"), async () => {
    const [phrase, again] = [find("#make-phrase"), find("#make-again")];
    if (phrase.value !== again.value) { again.focus(); throw new keys.KeyFault("passphrase_differs"); }
    if (phrase.value && Array.from(phrase.value).length < 12) { phrase.focus(); throw new keys.KeyFault("passphrase_short"); }
    if (current && !clinics.some((key) => key.id === current)) throw new Refused(words("other_key", current));
    const day = new Date().toISOString().slice(0, 10);
    const { file, key } = await keys.makeKeyFile(site, day, phrase.value);
    made = { key, phrase: phrase.value };
    phrase.value = again.value = "";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file], { type: "application/json" }));
    link.download = `${site}-${key.id}.key.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    find("[data-sealed-prove]").hidden = false;
    find("#prove-file").focus();
    tell("info", words("made", link.download));
  });

  // The server is told of a key only when its file was saved and read again: a key that nobody has would be the end.
  on(find("[data-sealed-prove]"), async () => {
    const { key } = await read(find("#prove-file"), made.phrase);
    if (key.id !== made.key.id) throw new Refused(words("not_this_key", key.id));
    await ask("/sealed/key", { key: key.id, after: current || null });
    await keys.keep(key, false);
    made = null;
    sessionStorage.setItem("tapward-said", words("announced", key.id));
    location.reload();
  });

  find("[data-sealed-change]")?.addEventListener("click", async (event) => {
    event.target.disabled = true;
    try { await changeAll(page); } catch (error) { tell("bad", wordsOf(error)); }
    event.target.disabled = false;
  });

  const said = sessionStorage.getItem("tapward-said");
  if (said) { sessionStorage.removeItem("tapward-said"); tell("ok", said); }
  holds();
}

/// Wraps everybody's key anew, page by page. Stopped, it goes on from the first who is left.
async function changeAll(page) {
  const to = clinics.find((key) => key.id === page.dataset.current);
  if (!to) throw new keys.KeyFault("other_key", page.dataset.current);
  const bar = find("[data-sealed-progress]");
  for (;;) {
    const { people, left } = await ask("/sealed/key/next", {});
    tell("info", words("changing", left));
    const anew = await Promise.all(people.map(async (out) => {
      const before = keys.unbase64(out.wrapped);
      const after = await keys.wrapAnew(clinics, to, out.person, before);
      const tokens = await keys.tokensOf(to, forIndex(await opened(out)));
      return { person: out.person, before: out.wrapped, after: keys.base64(after), tokens };
    }));
    const state = await ask("/sealed/key/wrapped", { people: anew });
    bar.max = state.sealed + state.left;
    bar.value = state.sealed;
    if (!state.former || !people.length) break;
  }
  sessionStorage.setItem("tapward-said", words("changed"));
  location.reload();
}
