// The script of a workstation's page: what happens at the desk appears by itself, clocks run, idleness is said in time,
// and a reader in this computer's own port is listened to. Without it the page works by reloading.

const find = (selector, within = document) => within.querySelector(selector);
const page = find("[data-desk]");

if (page) desk(page);

function desk(page) {
  const text = page.dataset;
  const LOST_AFTER = 5000;   // ms without a word from the server
  const RETRY = 1000;        // ms until the next try
  const SAID_FOR = 12000;    // ms that a sentence about a tap stays
  const HERE_EVERY = 15000;  // ms between two signs of life while somebody is at work

  const link = find("[data-link-state]"), linkText = find("[data-link-text]");
  const over = find("[data-over]", page), overText = find("[data-over-text]", page);
  const notice = find("[data-notice]", page), idle = find("[data-idle]", page), idleText = find("[data-idle-text]", page);

  let after = text.after, key = text.session, form = text.form;
  let ahead = Number(text.now) - Date.now();      // the server's clock minus ours
  let shownClock = "";
  let heardAt = performance.now(), source = null, saidTimer = 0;
  let used = Number(text.used), warn = Number(text.warn), lock = Number(text.lock);
  let hereAt = 0, waiting = new Map();

  function connect() {
    source = new EventSource("/desk/stream?after=" + after);
    source.addEventListener("beat", (message) => {
      const beat = JSON.parse(message.data);
      ahead = beat.now - Date.now();
      shownClock = beat.clock;
      used = beat.used;
      tokens(beat.form);
      heard();
    });
    source.addEventListener("board", (message) => {
      after = message.lastEventId || after;
      const board = JSON.parse(message.data);
      ahead = board.now - Date.now();
      used = board.used; warn = board.warn; lock = board.lock;
      document.body.dataset.state = board.state;
      const isOther = board.key !== key;
      key = board.key;
      for (const [name, html] of Object.entries(board.parts)) put(name, html, isOther);
      tokens(board.form);
      if (isOther || "limits" in board.parts || "services" in board.parts) adder.refresh(isOther);
      heard();
      tick();
    });
    source.addEventListener("said", (message) => { const said = JSON.parse(message.data); say(said.tone, said.text); heard(); });
    source.addEventListener("over", () => { source.close(); location.reload(); });
    source.onerror = () => { source.close(); setTimeout(retry, RETRY); };
  }

  async function retry() {
    try {
      const answer = await fetch("/desk/stream?after=" + after, { method: "HEAD", cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) { location.reload(); return; }
    } catch { setTimeout(retry, RETRY); return; }
    connect();
  }

  // A part that somebody is typing in is not taken away under their hands, unless it has become another matter.
  function put(name, html, isOther) {
    const part = find(`[data-part="${name}"]`);
    if (!part || same(part, html)) return;
    const typing = part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
    const isOpen = find("details[open]", part);
    if (!isOther && (typing || isOpen)) { waiting.set(name, html); return; }
    waiting.delete(name);
    part.innerHTML = html;
    if (isOther) find("[autofocus]", part)?.focus();
  }

  const plain = (html) => html.replace(/ value="[0-9a-f]{64}"/g, "").replace(/>\d\d:\d\d:\d\d</g, "><").replace(/\s+/g, " ").trim();
  function same(part, html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    for (const counting of holder.content.querySelectorAll("[data-until]")) counting.textContent = "";
    const now = part.cloneNode(true);
    for (const counting of now.querySelectorAll("[data-until]")) counting.textContent = "";
    return plain(now.innerHTML) === plain(holder.innerHTML);
  }

  document.addEventListener("focusout", () => setTimeout(() => { for (const [name, html] of waiting) put(name, html, false); }));

  function tokens(token) {
    form = token;
    for (const field of document.querySelectorAll("input[name=form]")) field.value = token;
  }

  function say(tone, words) {
    const said = document.createElement("p");
    said.className = "note live " + tone;
    said.textContent = words;
    notice.replaceChildren(said);
    clearTimeout(saidTimer);
    saidTimer = setTimeout(() => notice.replaceChildren(), SAID_FOR);
  }

  // What was said before does not stand beside what is refused now.
  function hush() {
    clearTimeout(saidTimer);
    notice.replaceChildren();
  }

  function heard() {
    heardAt = performance.now();
    if (link.dataset.linkState === "live") return;
    link.dataset.linkState = "live";
    linkText.textContent = text.tLive;
    page.classList.remove("is-lost");
    over.hidden = true;
  }

  const two = (n) => String(n).padStart(2, "0");
  const clock = (seconds) => `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const short = (seconds) => seconds < 3600 ? `${Math.floor(seconds / 60)}:${two(seconds % 60)}` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;

  function tick() {
    const now = Date.now() + ahead;
    for (const place of document.querySelectorAll("[data-since]")) {
      const lasted = Math.max(0, now - Number(place.dataset.since));
      place.textContent = clock(Math.floor(lasted / 1000));
      if (place.dataset.planned) place.classList.toggle("is-over", lasted > Number(place.dataset.planned));
    }
    for (const place of document.querySelectorAll("[data-until]")) {
      const left = Math.max(0, Math.floor((Number(place.dataset.until) - now) / 1000));
      place.textContent = place.dataset.formText.replace("#", left >= 3600 ? short(left) : `${Math.ceil(left / 60)} min`);
    }
    const left = used ? lock - (now - used) : 0;
    const isIdle = used > 0 && now - used >= warn && left > 0 && document.body.dataset.state === "open";
    idle.hidden = !isIdle;
    if (isIdle) idleText.textContent = text.tIdle.replace("#", short(Math.ceil(left / 1000)));
    if (performance.now() - heardAt > LOST_AFTER && link.dataset.linkState !== "lost") {
      link.dataset.linkState = "lost";
      const lost = text.tLost.replace("#", shownClock || clock(Math.floor((now / 1000) % 86400)));
      linkText.textContent = lost;
      overText.textContent = lost;
      over.hidden = false;
      page.classList.add("is-lost");
    }
  }
  setInterval(tick, 500);

  // Somebody is here: the server, which owns the one timer, is told now and then.
  async function here() {
    if (document.body.dataset.state !== "open" || performance.now() - hereAt < HERE_EVERY) return;
    hereAt = performance.now();
    try {
      const answer = await fetch("/desk/here", { method: "POST", headers: { "x-tapward-form": form } });
      if (answer.ok) { used = Date.now() + ahead; tick(); }
    } catch { /* the connection is away; the page says so by itself */ }
  }
  for (const sign of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(sign, here, { passive: true });

  const adder = services(() => form, say, hush, text.tServiceDone);
  connect();
  tick();
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (shown) => { if (shown.persisted) location.reload(); });
  find("[data-serial]")?.addEventListener("line", (read) => card(read.detail, form, say));
}

// A line of the reader in this computer's port: handed on and kept nowhere.
async function card(line, form, say) {
  try {
    const answer = await fetch("/desk/tap", { method: "POST", headers: { "x-tapward-form": form, "content-type": "text/plain" }, body: line });
    const told = answer.ok ? await answer.json() : null;
    if (told?.text) say("bad", told.text);
  } catch { /* the connection is away; the page says so by itself */ }
}

// Services of the visit: what is typed is looked for at once, arrows choose, Enter registers, and what was refused opens by
// itself when the patient has paid. What the server answers is put in place; without this script the forms do the same.
function services(form, say, hush, done) {
  const SOON = 120;          // ms after the last letter
  const section = find("[data-services]"), place = section && find("[data-adder]", section);
  if (!place) return { refresh() {} };
  let timer = 0, asked = 0, isSending = false, isLate = false;

  const list = () => find("[data-offers]", place);
  const field = () => find("#find-service", place);
  const rows = () => [...place.querySelectorAll("[data-offer]")];
  const chosen = () => find("[data-offer][aria-current]", place);
  const count = (row) => find("[name=pieces]", row);

  function choose(row) {
    chosen()?.removeAttribute("aria-current");
    if (!row) return;
    row.setAttribute("aria-current", "true");
    row.scrollIntoView({ block: "nearest" });
  }

  // The part is put in place without taking the field from under the hands: what is typed, how many, and which line is
  // chosen stay as they are.
  function put(html, keeps) {
    const typed = field()?.value ?? "", held = document.activeElement, wasIn = place.contains(held);
    const id = wasIn ? held.id : "", at = wasIn && held.matches("input[type=search]") ? held.selectionStart : null;
    const wasOpen = !!find("[data-to-patient][open]", place), was = chosen()?.dataset.offer;
    const counts = new Map(rows().map((row) => [row.dataset.offer, count(row)?.value]));
    place.innerHTML = html;
    section.hidden = !html.trim() && !find("[data-part=services]", section)?.innerHTML.trim();
    const now = field();
    if (keeps) {
      if (now) now.value = typed;
      for (const row of rows()) {
        const pieces = count(row), before = counts.get(row.dataset.offer);
        if (pieces && before !== undefined && before !== pieces.value) { pieces.value = before; price(row); }
      }
      choose(rows().find((row) => row.dataset.offer === was) ?? (typed.trim() ? rows()[0] : null));
    }
    if (wasOpen) find("[data-to-patient]", place)?.setAttribute("open", "");
    if (id) {
      const again = document.getElementById(id);
      again?.focus({ preventScroll: true });
      if (at !== null && again) again.setSelectionRange(at, at);
    }
  }

  async function look(words, keeps) {
    const number = ++asked, was = list()?.dataset ?? {};
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ find: words, wanted: was.wanted, pieces: was.pieces, old: was.old })) if (value) query.set(name, value);
    try {
      const answer = await fetch("/desk/services?" + query, { cache: "no-store" });
      if (!answer.ok) return;
      const html = await answer.text();
      if (number === asked) put(html, keeps);
    } catch { /* the connection is away; the page says so by itself */ }
  }

  // What so many pieces cost: until the server has said it nothing is shown, and what is sent before is asked again.
  async function price(row) {
    const pieces = count(row), wanted = pieces.value;
    find("[name=of]", row).value = "";
    find("[data-net]", row).textContent = "…";
    if (!pieces.checkValidity()) return;
    try {
      const answer = await fetch("/desk/services?" + new URLSearchParams({ offer: row.dataset.offer, pieces: wanted }), { cache: "no-store" });
      if (!answer.ok) return;
      const holder = document.createElement("template");
      holder.innerHTML = await answer.text();
      if (pieces.value === wanted) for (const part of ["[data-sum]", "[data-hint]"]) find(part, row).replaceWith(find(part, holder.content));
    } catch { /* as above */ }
  }

  place.addEventListener("input", (typed) => {
    if (typed.target.name === "pieces") { price(typed.target.closest("[data-offer]")); return; }
    if (typed.target !== field()) return;
    clearTimeout(timer);
    choose(null);
    asked += 1;
    timer = setTimeout(() => look(field().value, true), SOON);
  });

  place.addEventListener("keydown", (press) => {
    const open = find("[data-to-patient][open]", place);
    if (press.key === "Escape" && open) { open.removeAttribute("open"); press.stopPropagation(); return; }
    if (press.target !== field()) return;
    const all = rows(), at = all.indexOf(chosen());
    if (press.key === "ArrowDown" || press.key === "ArrowUp") {
      press.preventDefault();
      choose(all[press.key === "ArrowDown" ? Math.min(at + 1, all.length - 1) : Math.max(at - 1, 0)]);
    } else if (press.key === "Enter") {
      press.preventDefault();
      const way = chosen() && find("form", chosen());
      if (way && find("button", way)) way.requestSubmit();
    }
  });

  place.addEventListener("submit", async (sent) => {
    const way = sent.target;
    if (way.matches("[data-adder-find]")) {
      sent.preventDefault();
      look(field().value, true);
      return;
    }
    if (!way.matches("[data-register]")) return;
    sent.preventDefault();
    if (isSending) return;
    isSending = true;
    clearTimeout(timer);
    asked += 1;
    find("[name=form]", way).value = form();
    const before = field()?.value;
    try {
      const answer = await fetch("/desk/services", { method: "POST", headers: { "x-tapward-part": "1", "x-tapward-form": form() }, body: new URLSearchParams(new FormData(way)) });
      if (answer.status !== 200 && answer.status !== 422) { location.reload(); return; }
      const html = await answer.text();
      // Who types on while this is sent keeps what was typed.
      const goesOn = field()?.value !== before;
      put(html, goesOn);
      if (goesOn) isLate = true;
      if (answer.ok) {
        say("ok", done.replace("#", way.dataset.name));
        field()?.focus({ preventScroll: true });
      } else hush();
      if (!answer.ok && !goesOn) {
        const next = find("[data-ready] button, [data-refused] summary", place);
        next?.focus({ preventScroll: true });
        (next?.closest("[data-ready], [data-refused]") ?? find("[role=alert]", place))?.scrollIntoView({ block: "nearest" });
      }
    } catch { say("bad", place.dataset.tBusy); }
    finally {
      isSending = false;
      if (isLate) { isLate = false; look(field()?.value ?? "", true); }
    }
  });

  return {
    refresh(isOther) {
      // What is being sent is answered with how things stand then; what comes meanwhile is looked at afterwards.
      if (isSending) { isLate = true; return; }
      look(isOther ? "" : field()?.value ?? "", !isOther);
    },
  };
}
