// A relying party made of the npm library `openid-client`, and the browser of a workstation. Asks for taps by lines that
// begin with "> ", on its standard output; the answer comes on its standard input.
import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";
import readline from "node:readline";
import path from "node:path";
import { pathToFileURL } from "node:url";

const library = (name, entry) => import(pathToFileURL(path.join(process.env.LIBRARY, name, entry)).href);
const entry = (name) => {
  const own = createRequire(path.join(process.env.LIBRARY, name, "package.json"))("./package.json");
  const main = own.exports?.["."] ?? own.main;
  const pick = (value) => (typeof value === "string" ? value : pick(value.import ?? value.default ?? value.node));
  return pick(main);
};
const oidc = await library("openid-client", entry("openid-client"));
const jose = await library("jose", entry("jose"));

const { ISSUER, DESK_1, DESK_2, CLIENT_ID, CLIENT_SECRET, PORT } = process.env;
const BACK = "https://mis.example/back";

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function order(text) {
  process.stdout.write(`> ${text}\n`);
  return (await answers.next()).value;
}

// What the system is told.
const told = [];
const server = http.createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    told.push({ url: request.url, body, headers: request.headers });
    response.end();
  });
});
await new Promise((done) => server.listen(Number(PORT), "127.0.0.1", done));

const config = await oidc.discovery(new URL(ISSUER), CLIENT_ID, undefined, oidc.ClientSecretBasic(CLIENT_SECRET));
const pub = await oidc.discovery(new URL(ISSUER), "public", undefined, oidc.None());

async function url(as, further = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier: verifier, expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce() };
  const address = oidc.buildAuthorizationUrl(as, {
    redirect_uri: BACK,
    scope: "openid profile fhirUser launch",
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...further,
  });
  return { address, checks };
}

// The browser: follows to our own pages, waits there as the page's script does, and stops where it would leave.
async function browse(address, cookie, whenWaiting = async () => {}) {
  let here = new URL(address);
  let asked = false;
  for (let step = 0; step < 50; step++) {
    const response = await fetch(here, { redirect: "manual", headers: { cookie } });
    if (response.status === 303) {
      const next = new URL(response.headers.get("location"), here);
      if (next.origin !== ISSUER) return next;
      here = next;
      continue;
    }
    const page = await response.text();
    if (response.status !== 200) return { status: response.status, page };
    const what = /data-what="([a-z]+)"/.exec(page)[1];
    const request = here.searchParams.get("request");
    const query = new URLSearchParams({ request, what });
    const waiting = fetch(`${ISSUER}/openid/sign-in/wait?${query}`, { headers: { cookie } });
    if (!asked) {
      asked = true;
      await whenWaiting(what);
    }
    const answer = await (await waiting).json();
    if (answer.go) return new URL(answer.go);
  }
  throw new Error("the page never went on");
}

const redeem = (as, back, checks, further = {}) =>
  oidc.authorizationCodeGrant(as, back, { ...checks, idTokenExpected: true, ...further });

// 1. Nobody is bound: the page waits, a tap at the other desk does nothing, one here signs in.
{
  const { address, checks } = await url(config);
  const begun = Math.floor(Date.now() / 1000);
  const back = await browse(address, DESK_1, async (what) => {
    assert.equal(what, "tap");
    await order("tap 2 1");
    await order("tap 1 0");
  });
  const tokens = await redeem(config, back, checks);
  const claims = tokens.claims();
  assert.equal(claims.sub, "doctor-0");
  assert.equal(claims.acr, "urn:tapward:badge");
  assert.deepEqual(claims.amr, ["user"]);
  assert.equal(claims.fhirUser, "https://mis.example/fhir/Practitioner/pr-0");
  assert.ok(claims.auth_time >= begun - 1 && claims.auth_time <= begun + 20);
  assert.equal(tokens.need_patient_banner, true);
  const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(info.preferred_username, "doctor-0");
  const active = await oidc.tokenIntrospection(config, tokens.access_token);
  assert.equal(active.active, true);

  // A code is good once, and what it gave is taken back.
  await assert.rejects(redeem(config, back, checks), (error) => error.error === "invalid_grant");
  await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, claims.sub));
}

// 2. An open session answers at once, silently too, also a system without a secret; another's code is refused.
{
  const { address, checks } = await url(pub, { prompt: "none" });
  const back = await browse(address, DESK_1);
  await assert.rejects(redeem(config, back, checks), (error) => error.error === "invalid_grant");
  const tokens = await redeem(pub, back, checks);
  assert.equal(tokens.claims().sub, "doctor-0");
  await oidc.tokenRevocation(pub, tokens.access_token);
  await assert.rejects(oidc.fetchUserInfo(pub, tokens.access_token, "doctor-0"));
}

// 3. A fresh tap is wanted: by prompt and by age. The library checks auth_time against max_age itself.
for (const further of [{ prompt: "login" }, { max_age: "0" }]) {
  const { address, checks } = await url(config, further);
  const back = await browse(address, DESK_1, async (what) => {
    assert.equal(what, "fresh");
    await order("tap 1 0");
  });
  const age = further.max_age ? { maxAge: 30 } : {};
  await redeem(config, back, checks, age);
}

// 4. Refusals come back as the standard says, or do not leave our pages.
{
  const { address, checks } = await url(config, { prompt: "none", max_age: "0", scope: "openid" });
  await new Promise((done) => setTimeout(done, 1100));
  const back = await browse(address, DESK_1);
  await assert.rejects(redeem(config, back, checks), (error) => error.error === "login_required");
  const plain = await url(config, { code_challenge_method: "plain" });
  const refused = await browse(plain.address, DESK_1);
  assert.equal(refused.searchParams.get("error"), "invalid_request");
  assert.equal(refused.searchParams.get("iss"), ISSUER);
  const evil = await url(config, { redirect_uri: "https://evil.example/" });
  assert.equal((await browse(evil.address, DESK_1)).status, 400);
  const stranger = await url(config);
  assert.equal((await browse(stranger.address, "")).status, 403, "a browser that is no workstation's");
}

// 5. Another doctor's tap ends the first session; the system hears of it and understands.
{
  const { address, checks } = await url(config);
  const back = await browse(address, DESK_1);
  const tokens = await redeem(config, back, checks);
  await order("tap 1 2");
  assert.ok(Number(await order("deliver")) >= 1);
  const call = told.find((one) => one.url === "/logout" && one.body.startsWith("logout_token="));
  const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
  const token = decodeURIComponent(call.body.slice("logout_token=".length));
  const { payload } = await jose.jwtVerify(token, keys, { issuer: ISSUER, typ: "logout+jwt" });
  assert.equal(payload.sid, tokens.claims().sid);
  assert.ok("http://schemas.openid.net/event/backchannel-logout" in payload.events);
  await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, "doctor-0"));
}

// 6. Signing out there.
{
  const { address, checks } = await url(config);
  const tokens = await redeem(config, await browse(address, DESK_1), checks);
  const end = oidc.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: "https://mis.example/bye",
    state: "s",
  });
  assert.equal((await browse(end, DESK_1)).href, "https://mis.example/bye?state=s");
  const again = await url(config, { prompt: "none" });
  const back = await browse(again.address, DESK_1);
  assert.equal(back.searchParams.get("error"), "login_required");
}

// 7. How long from the tap to tokens that were checked.
{
  const times = [];
  const taps = Number(process.env.TAPS ?? 200);
  for (let n = 0; n < taps; n++) {
    const { address, checks } = await url(config, { prompt: "login" });
    let begun;
    const back = await browse(address, DESK_1, async () => {
      begun = performance.now();
      await order(`tap 1 ${n % 2}`);
    });
    const tokens = await redeem(config, back, checks);
    times.push(performance.now() - begun);
    assert.equal(tokens.claims().sub, `doctor-${n % 2}`);
  }
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))].toFixed(0);
  console.log(`tap to tokens, ${taps} taps: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`);
}

server.close();
console.log("done");
process.exit(0);
