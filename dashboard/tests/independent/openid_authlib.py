"""A relying party made of Authlib and joserfc, and the browser of a workstation. Asks for taps by lines that begin with
"> " on its standard output; the answer comes on its standard input."""

import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlparse

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from authlib.jose import JsonWebKey, jwt as authlib_jwt
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER, DESK_1 = os.environ["ISSUER"], os.environ["DESK_1"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
BACK = "https://mis.example/back"
told = []


def order(text):
    print(f"> {text}", flush=True)
    return sys.stdin.readline().strip()


class Listener(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        told.append((self.path, self.headers.get("authorization"), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()

conf = requests.get(f"{ISSUER}/.well-known/openid-configuration").json()
assert conf["issuer"] == ISSUER
jwks = requests.get(conf["jwks_uri"]).json()
keys = KeySet.import_key_set(jwks)


def browse(url, when_waiting=lambda what: None):
    browser, asked = requests.Session(), False
    headers = {"cookie": DESK_1}
    for _ in range(50):
        response = browser.get(url, headers=headers, allow_redirects=False)
        if response.status_code == 303:
            url = requests.compat.urljoin(url, response.headers["location"])
            if not url.startswith(ISSUER):
                return url
            continue
        assert response.status_code == 200, (response.status_code, response.text)
        what = re.search(r'data-what="([a-z]+)"', response.text)[1]
        if not asked:
            asked = True
            when_waiting(what)
        request = parse_qs(urlparse(url).query)["request"][0]
        answer = browser.get(f"{ISSUER}/openid/sign-in/wait", params={"request": request, "what": what}, headers=headers)
        if "go" in answer.json():
            return answer.json()["go"]
    raise AssertionError("the page never went on")


def sign_in(when_waiting=lambda what: None, **further):
    verifier, nonce = generate_token(48), generate_token()
    session = OAuth2Session(
        CLIENT_ID,
        CLIENT_SECRET,
        scope="openid profile fhirUser",
        redirect_uri=BACK,
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_basic",
    )
    url, state = session.create_authorization_url(
        conf["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **further
    )
    back = browse(url, when_waiting)
    token = session.fetch_token(conf["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state)
    claims = authlib_jwt.decode(
        token["id_token"],
        JsonWebKey.import_key_set(jwks),
        claims_cls=CodeIDToken,
        claims_options={"iss": {"values": [ISSUER]}, "aud": {"values": [CLIENT_ID]}},
        claims_params={"nonce": nonce, "client_id": CLIENT_ID, "access_token": token["access_token"]},
    )
    claims.validate()
    return session, token, claims


# 1. The whole flow.
session, token, claims = sign_in(lambda what: order("tap 1 0"))
assert claims["sub"] == "doctor-0" and claims["amr"] == ["user"], claims
assert session.get(conf["userinfo_endpoint"]).json()["preferred_username"] == "doctor-0"
assert jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims["sid"] == claims["sid"]

# 2. An assertion, for a system without OpenID: checked by an independent library, then used up by the server.
post = lambda url, **form: requests.post(url, data=form, auth=(CLIENT_ID, CLIENT_SECRET))
given = post(f"{ISSUER}/openid/assertion", workstation="desk-1").json()
checked = jwt.decode(given["assertion"], keys, algorithms=["ES256"])
assert checked.header["typ"] == "tapward-assertion+jwt" and checked.claims["sub"] == "doctor-0", checked.claims
assert 0 < checked.claims["exp"] - time.time() <= 31
assert post(f"{ISSUER}/openid/assertion/verify", assertion=given["assertion"]).json()["sub"] == "doctor-0"
again = post(f"{ISSUER}/openid/assertion/verify", assertion=given["assertion"])
assert (again.status_code, again.json()["error"]) == (400, "invalid_grant"), again.text
alone = requests.post(f"{ISSUER}/openid/assertion", data={"workstation": "desk-1", "client_id": CLIENT_ID})
assert (alone.status_code, alone.json()["error"]) == (401, "invalid_client"), alone.text
# A page of another site, with the workstation's cookie: a form cannot send our header, a script must ask before.
headers = {"cookie": DESK_1, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
planted = requests.post(f"{ISSUER}/openid/assertion", data={"client_id": CLIENT_ID}, headers=headers)
assert planted.status_code == 401, planted.text
own = {"cookie": DESK_1, "x-tapward-desk": "1"}
shown = requests.post(f"{ISSUER}/openid/assertion", data={"client_id": CLIENT_ID}, headers=own)
assert shown.status_code == 200, shown.text

# 3. A confirmation (CIBA, ping).
CIBA = "urn:openid:params:grant-type:ciba"
started = post(
    conf["backchannel_authentication_endpoint"],
    scope="openid",
    login_hint="doctor-0",
    binding_message="Prescription 17",
    client_notification_token="of-the-system",
).json()
asked = post(conf["token_endpoint"], grant_type=CIBA, auth_req_id=started["auth_req_id"])
assert asked.json()["error"] == "authorization_pending", asked.text
assert order("begin 1") == "Prescription 17"
time.sleep(0.05)
order("tap 1 0")
order("deliver")
path, bearer, body = next(one for one in told if one[0] == "/ping")
assert bearer == "Bearer of-the-system" and json.loads(body)["auth_req_id"] == started["auth_req_id"]
confirmed = post(conf["token_endpoint"], grant_type=CIBA, auth_req_id=started["auth_req_id"]).json()
assert jwt.decode(confirmed["id_token"], keys, algorithms=["RS256"]).claims["sub"] == "doctor-0"

# 4. Broken requests are answered in the words of the standard.
for data, kind, wanted in [
    ({"grant_type": "password", "username": "x", "password": "y"}, None, "unsupported_grant_type"),
    ({"grant_type": "authorization_code"}, None, "invalid_request"),
    (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded", "invalid_request"),
    (b'{"grant_type": "authorization_code"}', "application/json", "invalid_request"),
    (b"\xff\xfe%zz&&=&=", "application/x-www-form-urlencoded", None),
]:
    headers = {"content-type": kind} if kind else {}
    answer = requests.post(conf["token_endpoint"], data=data, auth=(CLIENT_ID, CLIENT_SECRET), headers=headers)
    assert answer.status_code == 400, answer.text
    assert wanted is None or answer.json()["error"] == wanted, answer.text
wrong = requests.post(conf["token_endpoint"], data={"grant_type": "authorization_code"}, auth=(CLIENT_ID, "wrong"))
assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client"), wrong.text
assert "www-authenticate" in wrong.headers
huge = requests.post(conf["token_endpoint"], data=b"a" * 70_000, headers={"content-type": "application/x-www-form-urlencoded"})
assert huge.status_code == 413, huge.status_code

print("done")
