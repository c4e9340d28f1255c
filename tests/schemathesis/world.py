"""What the run works on: accounts, instances, keys and messages of a fresh local stack, made through its API.

Whatever an operation uses up (a session, a password, an instance, a key, a user) is made anew for each of its calls, so
that no operation has to be left out for ending another one's means.
"""

import itertools
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from threading import Thread

import requests

API = os.environ["WAXWING_API"]
SANDBOX = os.environ["WAXWING_SANDBOX"]
ADMINISTRATOR = os.environ["WAXWING_ADMIN_EMAIL"]
PASSWORD = "correct horse battery"
# How long anything may take, in seconds: far more than it takes on a busy machine.
PATIENCE = 120
# All that there are: by default a key has all but the last one.
SCOPES = [
    "messages:send", "messages:read", "media:write", "media:read", "contacts:read", "contacts:write", "groups:read",
    "groups:write", "presence:write", "stats:read", "instance:read", "webhook:read", "webhook:write",
]  # fmt: skip
# It begins as one does, which is enough for the sandbox.
JPEG = b"\xff\xd8\xff\xe0a picture"

numbers = itertools.count(1)
session = requests.Session()


def call(method, path, token=None, headers=None, **more):
    headers = {"X-Forwarded-For": source(), **(headers or {})}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    answer = session.request(method, API + path, headers=headers, timeout=PATIENCE, **more)
    answer.raise_for_status()
    return answer.json()["data"]


def source():
    """Another address for each request: failed logins of one operation must not lock out the others."""
    number = next(numbers)
    return f"2001:db8::{number >> 16:x}:{number & 0xFFFF:x}"


def until(what, probe, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds} s")


class User:
    def __init__(self, email=None):
        self.email = email or f"user{next(numbers)}@example.com"
        made = call("POST", "/api/auth/register", json={"email": self.email, "password": PASSWORD, "name": "Ada"})
        self.token = made["tokens"]["accessToken"]
        self.refresh_token = made["tokens"]["refreshToken"]
        self.id = made["user"]["id"]
        self.subscription = made["subscription"]["id"]

    def code(self):
        """The code of the newest mail to this user."""
        mails = until("a mail", lambda: call("GET", "/dev/mailbox", params={"to": self.email}))
        return re.search(r"\b[A-Za-z0-9]{43}\b", mails[0]["text"]).group()

    def verify(self):
        call("POST", "/api/auth/verify-email", self.token, json={"token": self.code()})

    def member(self):
        self.verify()
        body = {"email": f"user{next(numbers)}@example.com", "name": "Ada"}
        return call("POST", "/api/subscription/members", self.token, json=body)["id"]

    def instance(self):
        name = f"spare{next(numbers)}"
        return call("POST", "/api/instances", self.token, json={"name": name})["name"]

    def key(self, instance, **more):
        body = {"name": "schemathesis", "rateLimit": 1_000_000, **more}
        return call("POST", f"/api/instances/{instance}/keys", self.token, json=body)

    def connect(self, instance):
        """Connects an instance and answers its first QR code."""
        path = f"/api/instances/{instance}"
        call("POST", f"{path}/connect", self.token)
        is_shown = lambda: call("GET", f"{path}/status", self.token)["status"] == "AWAITING_QR"
        until("a QR code", is_shown)
        return call("GET", f"{path}/qr", self.token)["code"]

    def instance_with_passkey(self, stage):
        """An instance of which a passkey is wanted, or that its code is compared; and the body that gives it."""
        instance = self.instance()
        code = self.connect(instance)
        phone = requests.post(f"{SANDBOX}/admin/phones", json={"passkey": True}, timeout=PATIENCE).json()["phone"]
        # It answers when all is done, and most of the time nothing is.
        scan = lambda: requests.post(f"{SANDBOX}/admin/mock-phone/scan-qr?phone={phone}", data=code, timeout=400)
        Thread(target=scan, daemon=True).start()
        path = f"/api/instances/{instance}/passkey"

        def wanted(stage):
            headers = {"Authorization": f"Bearer {self.token}", "X-Forwarded-For": source()}
            data = session.get(API + path, headers=headers, timeout=PATIENCE).json().get("data")
            return data if data and data["stage"] == stage else None

        options = until("a passkey", lambda: wanted("assertion"))["options"]
        used = requests.post(f"{SANDBOX}/admin/phones/{phone}/passkey", json={"options": options}, timeout=PATIENCE)
        credential = used.json()
        if stage == "confirmation":
            call("POST", path, self.token, json={"credential": credential})
            return instance, {"code": until("a code to compare", lambda: wanted("confirmation"))["code"]}
        return instance, {"credential": credential}

    def pairing_token(self, instance=None):
        """The token of a pairing link, of an instance that shows a QR code where none is named."""
        if instance is None:
            instance = self.instance()
            self.connect(instance)
        link = call("POST", f"/api/instances/{instance}/pairing-link", self.token)
        return link["url"].rsplit("/", 1)[1]


class World:
    def __init__(self):
        self.administrator = User(ADMINISTRATOR)
        self.administrator.verify()
        self.user = User()
        self.instance = self.user.instance()
        # What comes and goes is kept, to be forwarded.
        call("PUT", f"/api/instances/{self.instance}", self.user.token, json={"contentDays": 7})
        code = self.user.connect(self.instance)
        requests.post(f"{SANDBOX}/admin/mock-phone/scan-qr", data=code, timeout=PATIENCE).raise_for_status()
        status = f"/api/instances/{self.instance}/status"
        until("a connection", lambda: call("GET", status, self.user.token)["status"] == "CONNECTED")
        self.hook = {"url": "http://127.0.0.1:9999/hook", "events": ["webhook.test"]}
        key = self.user.key(self.instance, scopes=SCOPES)
        self.key = key["key"]
        self.used_key = "used"
        self.contact = requests.post(f"{SANDBOX}/admin/phones", json={}, timeout=PATIENCE).json()["phone"]
        text, named = {"to": self.contact, "text": "Hello"}, {"Idempotency-Key": self.used_key}
        self.message = call("POST", "/api/messages/text", self.key, named, json=text)["id"]
        self.chat = self.contact
        picture = f"{SANDBOX}/admin/phones/{self.contact}/picture"
        requests.post(picture, data=JPEG, timeout=PATIENCE).raise_for_status()
        powerless = self.user.key(self.instance, scopes=["media:read"])
        self.powerless_key = powerless["key"]
        writer = self.user.key(self.instance, scopes=["media:write"])
        self.mere_writer = writer["key"]
        self.spared = {key["id"], powerless["id"], writer["id"]}
        self.came = self.file_comes()
        self.keys_to_make = 0
        self.awaiting = None
        self.crowded = None
        self.meeting = None
        self.reset_codes = []

    def text(self):
        """A message to somebody who is there."""
        text = {"to": self.contact, "text": "Hello"}
        return call("POST", "/api/messages/text", self.key, json=text)["id"]

    def file_comes(self):
        """A message with a file from somebody."""
        own = call("GET", f"/api/instances/{self.instance}/status", self.user.token)["phone"]
        file = {"to": own, "kind": "document", "base64": "SGVsbG8=", "mimeType": "text/plain"}
        sent = requests.post(f"{SANDBOX}/admin/phones/{self.contact}/send", json=file, timeout=PATIENCE)
        sent.raise_for_status()
        query = {"direction": "incoming", "kind": "document"}
        came = lambda: call("GET", "/api/messages", self.key, params=query)
        return until("a file", came)[0]["id"]

    def make_room_for_keys(self):
        """An instance has 100 keys at most: those that earlier calls have made are revoked from time to time."""
        self.keys_to_make -= 1
        if self.keys_to_make > 0:
            return
        self.keys_to_make = 50
        path = f"/api/instances/{self.instance}/keys"
        for key in call("GET", path, self.user.token, params={"limit": 100}):
            if key["id"] not in self.spared:
                call("DELETE", f"{path}/{key['id']}", self.user.token)

    def ensure_webhook(self):
        """The instance has a webhook, which is switched on. Nobody listens there."""
        call("PUT", f"/api/instances/{self.instance}/webhook", self.user.token, json=self.hook)

    def delivery(self):
        """An event that the webhook has not taken, and that is kept."""
        path = f"/api/instances/{self.instance}/webhook"
        call("POST", f"{path}/test", self.user.token)
        query = {"limit": 100}
        kept = lambda one: one["replayableUntil"]
        log = lambda: call("GET", f"{path}/deliveries", self.user.token, params=query)
        return until("a delivery that failed", lambda: [one for one in log() if kept(one)])[0]["id"]

    def media(self):
        """A file that is announced and can be deleted."""
        file = {"fileName": "photo.jpg", "mimeType": "image/jpeg", "size": 1000}
        return call("POST", "/api/media", self.key, json=file)["id"]

    def reset_code(self):
        """A code for a new password. Asking for one takes seconds (it must not tell who is known), so many do at once."""
        if not self.reset_codes:
            users = [User() for _ in range(16)]
            ask = lambda user: call("POST", "/api/auth/forgot-password", json={"email": user.email})
            with ThreadPoolExecutor(len(users)) as pool:
                list(pool.map(ask, users))
            self.reset_codes = [user.code() for user in users]
        return self.reset_codes.pop()

    def group(self, operation):
        """A group of the instance and its contact. Whoever leaves it, or takes it apart, has one of their own."""
        if operation not in ("leaveGroup", "removeGroupParticipants"):
            self.meeting = self.meeting or self.new_group()
            return self.meeting
        return self.new_group()

    def new_group(self):
        body = {"subject": "Engines", "participants": [self.contact]}
        return call("POST", "/api/groups", self.key, json=body)["id"]

    def invite(self):
        """The code of a group that the instance has left."""
        group = self.new_group()
        code = call("GET", f"/api/groups/{group}/invite-link", self.key)["code"]
        call("POST", f"/api/groups/{group}/leave", self.key)
        return code

    def crowded_subscription(self):
        """One whose instances are more than the smallest tier has room for."""
        if self.crowded is None:
            user = User()
            self.crowded = user.subscription
            path = f"/api/subscriptions/{self.crowded}"
            call("PATCH", path, self.administrator.token, json={"tier": "PRO"})
            for _ in range(6):
                user.instance()
        return self.crowded

    def instance_with_code(self):
        """An instance whose QR code waits to be scanned, and does so for a while yet. It shows three of them, then it is to be
        asked again."""
        if self.awaiting is None:
            self.awaiting = self.user.instance()
        path = f"/api/instances/{self.awaiting}"

        def stays():
            if call("GET", f"{path}/status", self.user.token)["status"] not in ("CONNECTING", "AWAITING_QR"):
                call("POST", f"{path}/connect", self.user.token)
                return False
            headers = {"Authorization": f"Bearer {self.user.token}", "X-Forwarded-For": source()}
            answer = session.get(f"{API}{path}/qr", headers=headers, timeout=PATIENCE)
            if answer.status_code != 200:
                return False
            ends = datetime.fromisoformat(answer.json()["data"]["expiresAt"])
            return ends - datetime.now(timezone.utc) > timedelta(seconds=10)

        until("a QR code that stays", stays)
        return self.awaiting
