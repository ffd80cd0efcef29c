// Waits with the page until the card was tapped, and goes on by itself.
const page = document.querySelector("[data-openid-wait]");

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function follow() {
  const { request, what } = page.dataset;
  const query = new URLSearchParams({ request, what });
  for (;;) {
    let answer = {};
    try {
      const response = await fetch(`/openid/sign-in/wait?${query}`, { cache: "no-store", credentials: "same-origin" });
      if (response.ok) {
        answer = await response.json();
        page.removeAttribute("data-lost");
      } else if (response.status === 403 || response.status === 404) {
        location.reload();
        return;
      } else {
        throw new Error(String(response.status));
      }
    } catch {
      page.setAttribute("data-lost", "");
      await pause(1500);
      continue;
    }
    if (answer.go) {
      location.replace(answer.go);
      return;
    }
    if (answer.reload) {
      location.reload();
      return;
    }
  }
}

if (page && !page.hasAttribute("data-done")) {
  follow();
}
