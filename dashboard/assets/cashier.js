// The script of the cash desk: sums while one types, the change to give back, what a drawer should hold, a form that is sent
// once, a terminal that is waited for, and a card at the reader. Without it everything works; the server
// computes all of it again, and its keys make sure that nothing is paid twice.

const find = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];

// Money is whole minor units here as everywhere. What is no amount yet is null; nothing typed is undefined.
function read(text, digits) {
  const typed = text.trim().replace(/[\s\u00a0\u202f]/g, "").replace(",", ".");
  if (!typed) return undefined;
  const parts = /^(\d{1,13})(?:\.(\d+))?$/.exec(typed);
  if (!parts || (parts[2] ?? "").length > digits) return null;
  return Number(parts[1]) * 10 ** digits + Number((parts[2] ?? "").padEnd(digits, "0") || 0);
}

const comma = document.documentElement.lang === "ru" ? "," : ".";
function say(minor, digits, currency) {
  const sign = minor < 0 ? "\u2212" : "", text = String(Math.abs(minor)).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, "\u00a0");
  return sign + whole + (digits ? comma + text.slice(-digits) : "") + "\u00a0" + currency;
}

// Sent once: a second press does nothing until the answer is there. Coming back by the history makes the page anew.
for (const form of all("form[data-once]")) {
  form.addEventListener("submit", (sent) => {
    if (form.dataset.sent) { sent.preventDefault(); return; }
    form.dataset.sent = "1";
    // After the fields were read: a button that is off would not be among them.
    setTimeout(() => { for (const button of all("button", form)) button.disabled = true; });
  });
}
addEventListener("pageshow", (shown) => { if (shown.persisted) location.reload(); });

const panel = find("aside.pay-panel");
if (panel) pay(panel);

function pay(panel) {
  const digits = Number(panel.dataset.digits), currency = panel.dataset.currency;
  const sum = find("[data-sum]", panel), received = find("[data-received]", panel), keep = find("[data-keep]", panel);
  const line = find("[data-change-line]", panel), change = find("[data-change]", panel);
  const rows = all("table.items tbody tr").map((row) => ({ row, box: find("[name=item]", row), field: find("input.money", row) }));

  function tell() {
    let due = 0, isGood = true;
    for (const { row, box, field } of rows) {
      const amount = read(field.value, digits), open = Number(field.dataset.open);
      const isBad = box.checked && (amount === null || amount > open);
      if (isBad) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
      row.classList.toggle("is-off", !box.checked);
      if (isBad) isGood = false; else if (box.checked) due += amount ?? open;
    }
    sum.textContent = isGood ? say(due, digits, currency) : "\u2014";
    const got = read(received.value, digits), isShort = got === null || (got !== undefined && isGood && got < due);
    if (isShort) received.setAttribute("aria-invalid", "true"); else received.removeAttribute("aria-invalid");
    line.hidden = !isGood || got === undefined || got === null || got < due || keep.checked;
    change.textContent = line.hidden ? "" : say(got - due, digits, currency);
  }

  for (const { box, field } of rows) {
    box.addEventListener("change", tell);
    field.addEventListener("input", () => { box.checked = true; tell(); });
    field.addEventListener("focus", () => field.select());
  }
  received.addEventListener("input", tell);
  keep.addEventListener("change", tell);
  tell();
}

const count = find("form[data-count]");
if (count) drawer(count);

function drawer(form) {
  const digits = Number(form.dataset.digits), currency = form.dataset.currency, expected = Number(form.dataset.expected);
  const pieces = all("[data-piece]", form), counted = find("#counted", form);
  const line = find("[data-difference-line]", form), told = find("[data-difference]", form);
  const tell = () => {
    const amount = read(counted.value, digits);
    line.hidden = amount === undefined || amount === null;
    if (line.hidden) return;
    const difference = amount - expected;
    told.textContent = (difference > 0 ? "+" : "") + say(difference, digits, currency);
    told.className = "mono " + (difference ? "bad" : "ok");
  };
  for (const piece of pieces) piece.addEventListener("input", () => {
    const sum = pieces.reduce((sum, one) => sum + (Number(one.value) || 0) * Number(one.dataset.piece), 0);
    counted.value = pieces.some((one) => one.value) ? (sum / 10 ** digits).toFixed(digits) : "";
    tell();
  });
  counted.addEventListener("input", tell);
  tell();
}

// A payment at a terminal: asked again and again until it has come about or not; then the page is made anew.
const waiting = find("[data-progress]");
if (waiting) {
  const AGAIN = 700;   // ms until the next question
  const ask = async () => {
    try {
      const answer = await fetch(waiting.dataset.progress, { cache: "no-store" });
      if (!answer.ok || (await answer.json()).state !== "waiting") { location.reload(); return; }
    } catch { /* the connection is away; asked again */ }
    setTimeout(ask, AGAIN);
  };
  setTimeout(ask, AGAIN);
}

// The reader in this computer's own port: whose card it is opens their account. The line is kept nowhere.
const card = find("[data-serial]");
card?.addEventListener("line", async (read) => {
  try {
    const answer = await fetch("/till/card", { method: "POST", headers: { "x-tapward-form": card.dataset.form, "content-type": "text/plain" }, body: read.detail });
    if (answer.status === 401 || answer.status === 403) { location.reload(); return; }
    const told = answer.ok ? await answer.json() : null;
    if (told?.go) location.assign(told.go);
    else if (told?.text) find("[data-serial-text]", card).textContent = told.text;
  } catch { /* the connection is away */ }
});
