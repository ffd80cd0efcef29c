"""A mail server for tests: takes letters over real SMTP and prints each as a line of JSON. Arguments: how it behaves
(good, refuse, later, no-tls, login), certificate, key."""
import asyncio, base64, json, ssl, sys
from aiosmtpd.smtp import AuthResult, SMTP

behaviour, certificate, key = sys.argv[1:4]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if behaviour == "refuse":
            return f"550 5.1.1 <{address}> is nobody here"
        if behaviour == "later":
            return "451 4.3.0 the disk is full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        tls = session.ssl is not None
        letter = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": tls, "login": bool(session.authenticated),
                  "bytes": base64.b64encode(envelope.content).decode()}
        print(json.dumps(letter), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    right = data.login == b"tapward" and data.password == b"the mail password"
    return AuthResult(success=right)


def protocol():
    context = None
    if behaviour != "no-tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    return SMTP(Handler(), tls_context=context, require_starttls=context is not None, authenticator=authenticate,
                auth_required=behaviour == "login", auth_require_tls=True)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends when the test does: its end of the pipe closes.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
