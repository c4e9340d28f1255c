"""An SMTP server with four doors, for the suite `mail`: aiosmtpd, which nobody here wrote.

    server.py FOLDER

makes a certificate authority and listens on free ports of 127.0.0.1. When all doors are open it writes
FOLDER/ca.pem and, last, FOLDER/ports.json. Each mail that it takes becomes FOLDER/mails/<n>.json. It ends with SIGTERM.

| door | what it wants |
| --- | --- |
| plain | nothing |
| starttls | STARTTLS, then user `waxwing` with the password `right password` |
| tls | TLS from the first byte, then the same |
| stranger | STARTTLS with a certificate that nobody trusts |
| silent | it takes connections and says nothing |

`refused@example.com` is refused for good (550), `later@example.com` for now (451).
"""

import asyncio
import email
import email.policy
import itertools
import json
import os
import pathlib
import signal
import ssl
import sys

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"waxwing", b"right password"


class Mails:
    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count(1)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == "refused@example.com":
            return "550 5.1.1 There is no such mailbox"
        if address == "later@example.com":
            return "451 4.2.1 The mailbox is busy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
        mail = {
            "envelopeFrom": envelope.mail_from,
            "envelopeTo": envelope.rcpt_tos,
            "from": message["From"],
            "to": message["To"],
            "subject": message["Subject"],
            "hasDate": message["Date"] is not None,
            "contentType": message.get_content_type(),
            "text": parts.get("text/plain"),
            "html": parts.get("text/html"),
            "encrypted": server.transport.get_extra_info("sslcontext") is not None,
            "authenticated": bool(session.authenticated),
        }
        number = next(self.numbers)
        unfinished = self.folder / f".{number}"
        unfinished.write_text(json.dumps(mail))
        os.rename(unfinished, self.folder / f"{number}.json")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (USER, PASSWORD), handled=False)


def context_of(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def main(folder):
    mails = Mails(folder / "mails")
    mails.folder.mkdir(parents=True)
    authority = trustme.CA()
    ours, strange = context_of(authority), context_of(trustme.CA())
    guarded = {"auth_required": True, "authenticator": authenticate}
    doors = {
        "plain": (lambda: SMTP(mails), None),
        "starttls": (lambda: SMTP(mails, tls_context=ours, require_starttls=True, **guarded), None),
        # Within TLS from the start aiosmtpd does not know that it may take a password.
        "tls": (lambda: SMTP(mails, auth_require_tls=False, **guarded), ours),
        "stranger": (lambda: SMTP(mails, tls_context=strange, require_starttls=True), None),
        "silent": (asyncio.Protocol, None),
    }
    loop = asyncio.get_running_loop()
    servers = {
        name: await loop.create_server(door, "127.0.0.1", 0, ssl=context) for name, (door, context) in doors.items()
    }
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    (folder / ".ports").write_text(json.dumps(ports))
    os.rename(folder / ".ports", folder / "ports.json")
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


asyncio.run(main(pathlib.Path(sys.argv[1])))
