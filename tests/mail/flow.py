"""Somebody registers at a local stack whose mails go through a real server, and verifies the address with the mail's code.

    flow.py STACK FOLDER

STACK is the local stack's program, FOLDER that of server.py.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

PATIENCE = 120
EMAIL = "zoe.o'hara@example.com"
NAME = "Zoë O’Hara & <Söhne>"


def until(what, found):
    """What `found` answers, once it is something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.1)
    raise SystemExit(f"not within {PATIENCE} s: {what}")


def call(url, body, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)["data"]


def flow(api, mails):
    registration = {"email": EMAIL, "password": "correct horse", "name": NAME}
    token = call(f"{api}/api/auth/register", registration)["tokens"]["accessToken"]
    assert call(f"{api}/api/auth/me", None, token)["user"]["emailVerified"] is False

    def newest():
        found = [json.loads(path.read_text()) for path in sorted(mails.glob("*.json"))]
        return [mail for mail in found if mail["envelopeTo"] == [EMAIL]]

    (mail,) = until("the mail of the registration", newest)
    code = re.search(r'"token": "([^"]+)"', mail["text"]).group(1)
    assert code in mail["html"], mail
    user = call(f"{api}/api/auth/verify-email", {"token": code}, token)["user"]
    assert user["emailVerified"] is True, user
    assert user["role"] == "ADMINISTRATOR", "the configured administrator, once the address is verified"
    print("registered, mailed, verified, administrator")


def main(stack, folder):
    port = json.loads((folder / "ports.json").read_text())["plain"]
    settings = {
        "WAXWING_MAIL": f"smtp://127.0.0.1:{port}",
        "WAXWING_MAIL_FROM": "Waxwing <waxwing@example.com>",
        "WAXWING_ADMIN_EMAIL": EMAIL,
        "WAXWING_BCRYPT_COST": "4",
    }
    command = [stack, "--ephemeral", "--port", "0", "--sandbox-port", "0"]
    with open(folder / "stack.log", "wb") as log, subprocess.Popen(
        command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT
    ) as process:
        try:
            address = re.compile(r"HTTP API +(\S+)")
            written = folder / "stack.log"

            def answers():
                if process.poll() is not None:
                    raise SystemExit("the local stack ended")
                return address.search(written.read_text())

            flow(until("the local stack", answers).group(1), folder / "mails")
        except BaseException:
            print((folder / "stack.log").read_text()[-4000:])
            raise
        finally:
            process.terminate()


main(sys.argv[1], pathlib.Path(sys.argv[2]))
