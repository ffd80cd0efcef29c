// The script of all pages: keys, menus, and the live page. Everything works without it except moving by itself.
// What it puts into the page comes from this server only, already made safe there.

const find = (selector) => document.querySelector(selector);

// Keys: what an element names in data-key, unless somebody is typing.
document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.altKey || press.metaKey || press.defaultPrevented) return;
  const typing = press.target.closest?.("input, select, textarea");
  if (press.key === "Escape") {
    const open = find("details[data-menu][open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); return; }
    if (typing) { press.target.blur(); return; }
  }
  if (typing) return;
  const target = [...document.querySelectorAll("[data-key]")].find((element) => element.dataset.key === press.key);
  if (!target) return;
  press.preventDefault();
  if (target.matches("input")) target.focus();
  else if (target.matches(".fold > summary")) unfold(target.parentElement);
  else target.click();
});

// A key opens what is folded away, and one types at once; only its summary closes it.
function unfold(fold) {
  fold.open = true;
  (fold.querySelector("input:not([type=hidden]), select, textarea") ?? fold).focus();
}

// A menu closes when something else is pressed.
document.addEventListener("click", (press) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(press.target)) menu.open = false;
  }
});

// A one-time link is shown whole, with this server's address.
for (const place of document.querySelectorAll("[data-link]")) {
  place.textContent = location.origin + place.dataset.link;
}

const page = find("[data-live]");
if (page) live(page);

function live(page) {
  const text = page.dataset;
  const feed = find("[data-feed]"), now = find("[data-now]"), post = find("[data-post]"), say = find("[data-say]");
  const link = find("[data-link-state]"), linkText = find("[data-link-text]");
  const clock = find("[data-clock]"), day = find("[data-day]"), over = find("[data-over]"), overText = find("[data-over-text]");
  const rowsMax = Number(text.rows);
  const LOST_AFTER = 5000;   // ms without a word from the server
  const HOLD = 6000;         // ms that a refusal stays large while others pass
  const RETRY = 1000;        // ms until the next try

  let after = text.after;                  // the last event on this page
  let newestAt = Number(text.newest) || 0; // when it happened, by the server's clock
  let serverAhead = 0;                     // the server's clock minus ours
  let heardAt = performance.now();
  let heldUntil = 0;
  let source = null;
  let shownClock = clock.textContent;

  function connect() {
    const join = text.stream.includes("?") && !text.stream.endsWith("?") ? "&" : "";
    source = new EventSource(text.stream + join + "after=" + after);
    source.addEventListener("beat", (message) => {
      const beat = JSON.parse(message.data);
      serverAhead = beat.now - Date.now();
      shownClock = beat.clock;
      clock.textContent = beat.clock;
      day.textContent = beat.day;
      for (const field of document.querySelectorAll("input[name=form]")) field.value = beat.form;
      heard();
    });
    source.addEventListener("entry", (message) => {
      if (Number(message.lastEventId) <= Number(after)) return;
      after = message.lastEventId;
      heard();
      show(JSON.parse(message.data), message.lastEventId);
    });
    source.addEventListener("post", (message) => {
      const open = post.querySelector("details")?.open;
      post.innerHTML = JSON.parse(message.data).html;
      if (open && post.querySelector("details")) post.querySelector("details").open = true;
      heard();
    });
    // The session has ended: the server shows the sign-in page in place of this one.
    source.addEventListener("over", () => { source.close(); location.reload(); });
    // Ours to retry, from exactly the event that this page has.
    source.onerror = () => { source.close(); setTimeout(retry, RETRY); };
  }

  async function retry() {
    // An ended session answers 401 here; a stream cannot say so.
    try {
      const answer = await fetch("/live/stream?after=" + after, { method: "HEAD", cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) { location.reload(); return; }
    } catch { setTimeout(retry, RETRY); return; }
    connect();
  }

  function heard() {
    heardAt = performance.now();
    if (link.dataset.linkState !== "live") {
      link.dataset.linkState = "live";
      page.classList.remove("is-lost");
      over.hidden = true;
      age();
    }
  }

  function show(entry, id) {
    newestAt = Math.max(newestAt, entry.at);
    if (entry.place === "outcome" && change(entry)) {
      const large = now.firstElementChild;
      if (large?.dataset.slot === entry.slot && !entry.late) now.innerHTML = entry.now;
    } else {
      add(entry.row, id);
      // A refusal stays large for a while, whoever else passes meanwhile; another refusal or alarm takes its place.
      // What somebody tells afterwards is in the table only: late is not live.
      if (!entry.late && (entry.tone === "bad" || performance.now() >= heldUntil)) now.innerHTML = entry.now;
    }
    if (entry.tone === "bad" && !entry.late) {
      heldUntil = performance.now() + HOLD;
      if (entry.say) say.textContent = entry.say;
      tones();
    }
    age();
  }

  // What became of a grant changes its line, if it is there.
  function change(entry) {
    const row = [...feed.rows].find((row) => row.dataset.slot === entry.slot && row.hasAttribute("data-open"));
    if (!row) return false;
    row.removeAttribute("data-open");
    const chip = row.querySelector(".chip");
    chip.className = "chip " + entry.tone;
    chip.textContent = entry.result;
    row.classList.add("changed");
    return true;
  }

  function add(html, id) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const row = holder.content.firstElementChild;
    row.classList.add("new");
    // Who reads further down keeps the place.
    const before = feed.getBoundingClientRect().height, reads = scrollY > 240;
    feed.prepend(row);
    while (feed.rows.length > rowsMax) feed.lastElementChild.remove();
    if (reads) scrollBy(0, feed.getBoundingClientRect().height - before);
  }

  function age() {
    if (link.dataset.linkState !== "live") return;
    if (!newestAt) { linkText.textContent = text.tQuiet; return; }
    const seconds = Math.max(0, Math.round((Date.now() + serverAhead - newestAt) / 1000));
    const [form, n] = seconds < 60 ? [text.tS, seconds] : seconds < 3600 ? [text.tMin, Math.floor(seconds / 60)] : [text.tH, Math.floor(seconds / 3600)];
    linkText.textContent = text.tLive.replace("#", form.replace("#", n));
  }

  setInterval(() => {
    age();
    if (performance.now() - heardAt > LOST_AFTER && link.dataset.linkState !== "lost") {
      link.dataset.linkState = "lost";
      const lost = text.tLost.replace("#", shownClock);
      linkText.textContent = lost;
      overText.textContent = lost;
      over.hidden = false;
      page.classList.add("is-lost");
    }
  }, 500);

  // Sound: two short low tones at a refusal. Browsers want a press before any sound; the button says what is.
  const button = find("[data-sound]"), buttonText = find("[data-sound-text]");
  let sound = null;
  if (window.AudioContext) {
    button.hidden = false;
    button.dataset.key = "m";
    button.addEventListener("click", async () => {
      if (sound) { await sound.close(); sound = null; } else { sound = new AudioContext(); await sound.resume(); tones(); }
      button.setAttribute("aria-pressed", String(Boolean(sound)));
      buttonText.textContent = sound ? text.tSoundOn : text.tSoundOff;
    });
  }

  function tones() {
    if (!sound || sound.state !== "running") return;
    for (const [at, hertz] of [[0, 233], [0.2, 196]]) {
      const begin = sound.currentTime + at, tone = sound.createOscillator(), volume = sound.createGain();
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0, begin);
      volume.gain.linearRampToValueAtTime(0.35, begin + 0.015);
      volume.gain.linearRampToValueAtTime(0, begin + 0.16);
      tone.connect(volume).connect(sound.destination);
      tone.start(begin);
      tone.stop(begin + 0.17);
    }
  }

  connect();
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (shown) => { if (shown.persisted) location.reload(); });
}
