// The script of the pages about people: unmasking in place, checks when a field is left, the camera, printing. Without it
// everything works but the camera; forms then answer with a whole page.

const find = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];

// A person who walked away: what was unmasked is masked again after this time, in milliseconds.
const MASK_AFTER = 120000;
// As the server takes it, in bytes.
const PICTURE_MAX = 5 * 1024 * 1024;

// Unmasking and the like: the answer's page takes the place of this one, and what is being read does not jump.
let masking = 0;
document.addEventListener("submit", async (sent) => {
  const form = sent.target.closest("form[data-in-place]");
  if (!form) return;
  const purpose = find("#purpose");
  const kept = find("[data-purpose]", form);
  if (kept && purpose) kept.value = purpose.value;
  if (purpose && !purpose.value && !form.action.endsWith("/looks")) {
    sent.preventDefault();
    purpose.setAttribute("aria-invalid", "true");
    purpose.focus();
    return;
  }
  sent.preventDefault();
  const fields = new URLSearchParams(new FormData(form, sent.submitter));
  const focus = sent.submitter?.closest("[data-field]")?.dataset.field;
  try {
    const answer = await fetch(form.action, { method: "POST", body: fields, headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = find("[data-swap]", page), old = find("[data-swap]");
    if (!fresh || !old) { location.reload(); return; }
    old.replaceWith(document.adoptNode(fresh));
    const row = focus && find(`[data-field="${focus}"] dd`);
    if (row) { row.tabIndex = -1; row.focus({ preventScroll: true }); }
    clearTimeout(masking);
    masking = setTimeout(() => location.replace(location.href), MASK_AFTER);
  } catch { form.submit(); }
});

// A field says what is wrong with it when it is left, and no longer when it is right again.
for (const form of all("form[data-check]")) {
  const say = (field) => {
    const place = document.getElementById(`${field.id}-problem`);
    const is = field.validity;
    const text = is.valid ? "" : is.valueMissing ? form.dataset.tMissing : is.rangeOverflow ? form.dataset.tLater : form.dataset.tWrong;
    field.toggleAttribute("aria-invalid", !is.valid);
    if (!is.valid) field.setAttribute("aria-invalid", "true");
    if (place && (text || field.dataset.said)) place.textContent = text ?? "";
    field.dataset.said = text ? "1" : "";
    return is.valid;
  };
  form.addEventListener("focusout", (left) => { if (left.target.matches("input, select")) say(left.target); });
  form.addEventListener("submit", (sent) => {
    const wrong = all("input:not([type=hidden]), select", form).filter((field) => !say(field));
    if (wrong.length) { sent.preventDefault(); wrong[0].focus(); }
  });
}

// Printing a list for a muster.
for (const button of all("[data-print]")) {
  button.hidden = false;
  button.dataset.key = "p";
  button.addEventListener("click", () => print());
}

const studio = find("[data-camera]");
if (studio) camera(studio);

// The camera: what it sees is cut to 3:4 here and put into the form as a file; it is sent when the form is.
function camera(studio) {
  const input = find("#photo"), text = find("[data-camera-text]");
  const video = find("[data-video]"), shot = find("[data-shot]"), portrait = find(".portrait", studio);
  const keys = find("[data-camera-keys]"), start = find("[data-camera-start]");
  const take = find("[data-camera-take]"), again = find("[data-camera-again]");
  let stream = null;

  const show = (what) => {
    portrait.hidden = what !== "portrait"; video.hidden = what !== "video"; shot.hidden = what !== "shot";
    start.hidden = what === "video" || what === "shot"; take.hidden = what !== "video"; again.hidden = what !== "shot";
  };
  const stop = () => { stream?.getTracks().forEach((track) => track.stop()); stream = null; };
  // Cut to the middle at 3:4, as the server does.
  const draw = (source, width, height) => {
    const wide = Math.min(width, height * 3 / 4), high = wide * 4 / 3;
    shot.getContext("2d").drawImage(source, (width - wide) / 2, (height - high) / 2, wide, high, 0, 0, shot.width, shot.height);
    show("shot");
  };
  const open = async () => {
    text.textContent = "";
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 1280 } } });
    } catch (refused) {
      text.textContent = refused.name === "NotAllowedError" ? studio.dataset.tDenied : studio.dataset.tNone;
      return;
    }
    video.srcObject = stream;
    await video.play();
    show("video");
    take.focus();
  };

  if (navigator.mediaDevices?.getUserMedia) {
    keys.hidden = false;
    start.addEventListener("click", open);
    again.addEventListener("click", () => { input.value = ""; open(); });
    take.addEventListener("click", () => {
      draw(video, video.videoWidth, video.videoHeight);
      stop();
      shot.toBlob((blob) => {
        const files = new DataTransfer();
        files.items.add(new File([blob], "photo.jpg", { type: "image/jpeg" }));
        input.files = files.files;
        find("[name=consent]").focus();
      }, "image/jpeg", 0.92);
    });
  }
  input.addEventListener("change", async () => {
    text.textContent = "";
    const file = input.files[0];
    if (!file) { show("portrait"); return; }
    const wrong = !["image/jpeg", "image/png"].includes(file.type) ? studio.dataset.tFormat : file.size > PICTURE_MAX ? studio.dataset.tLarge : "";
    if (wrong) { text.textContent = wrong; input.value = ""; return; }
    stop();
    try {
      const picture = await createImageBitmap(file);
      draw(picture, picture.width, picture.height);
      if (!navigator.mediaDevices) again.hidden = true;
    } catch { text.textContent = studio.dataset.tFormat; }
  });
  addEventListener("pagehide", stop);
}
