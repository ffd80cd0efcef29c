// A desktop reader in this computer's own port. What it sends becomes lines, and each is handed to the page's own script as
// the event `line` at the element with `data-serial`; nothing is kept here. Where a browser cannot read ports it stays hidden.

const card = document.querySelector("[data-serial]");
if (card && navigator.serial) serial(card);

function serial(card) {
  const LINE_MAX = 256;   // letters of a line; the rest is left out
  const AGAIN = 2000;     // ms until an unplugged reader is looked for
  const words = card.querySelector("[data-serial-text]"), text = card.dataset;
  let isReading = false;
  card.hidden = false;

  async function listen(port) {
    if (isReading) return;
    isReading = true;
    try {
      await port.open({ baudRate: 9600 });
    } catch {
      isReading = false;
      words.textContent = text.tBusy;
      return;
    }
    words.textContent = text.tOn;
    card.classList.add("is-on");
    let line = "";
    const decoder = new TextDecoder("latin1");
    try {
      const reader = port.readable.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        for (const letter of decoder.decode(value, { stream: true })) {
          if (letter === "\r" || letter === "\n" || letter === "\u0003") {
            if (line) card.dispatchEvent(new CustomEvent("line", { detail: line }));
            line = "";
          } else if (line.length < LINE_MAX) line += letter;
        }
      }
    } catch { /* unplugged */ }
    isReading = false;
    card.classList.remove("is-on");
    words.textContent = text.tOff;
    try { await port.close(); } catch { /* it is gone */ }
    setTimeout(known, AGAIN);
  }

  async function known() {
    const [port] = await navigator.serial.getPorts();
    if (port) listen(port);
  }

  card.querySelector("[data-serial-choose]").addEventListener("click", async () => {
    try { listen(await navigator.serial.requestPort()); } catch { /* nothing was chosen */ }
  });
  navigator.serial.addEventListener?.("connect", known);
  known();
}
