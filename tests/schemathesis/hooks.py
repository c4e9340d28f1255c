"""Leads schemathesis through the API: who calls, and for requests that are to be valid, things that exist.

What is changed here is a value of a valid request alone, and only where the document's schema cannot say what is valid:
an id that exists, a password that is right, a time in the future. Invalid requests go out as they were generated.
"""

import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote

import schemathesis
from hypothesis import strategies as st
from world import PASSWORD, User, World, numbers, source

world = World()
# What names a chat.
CHAT = ""

# --- Formats: rules that a pattern does not tell, or from which values are slow to draw -----------------------------

now = datetime.now(timezone.utc).replace(microsecond=0)
# In ASCII a character is a byte, which is what the bounds count.
printable = st.characters(min_codepoint=33, max_codepoint=126)
schemathesis.openapi.format("password", st.text(printable, min_size=8, max_size=72))
schemathesis.openapi.format(
    "email",
    st.builds(
        lambda name, number, domain: f"{name}{number}@{domain}",
        st.text("abcdefghijklmnop", min_size=1, max_size=20),
        st.integers(0, 10**9),
        st.sampled_from(["example.com", "mail.example.org", "x-1.example.net"]),
    ),
)
ranges = ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "::1", "0.0.0.0/0"]
schemathesis.openapi.format("cidr", st.sampled_from(ranges))
days, hours = st.integers(0, 300), st.integers(1, 70)
schemathesis.openapi.format("date", days.map(lambda count: str(now.date() - timedelta(days=count))))
schemathesis.openapi.format("date-time", hours.map(lambda count: (now + timedelta(hours=count)).isoformat()))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    global CHAT
    CHAT = raw_schema["components"]["schemas"]["Recipient"]["pattern"]
    # With its look-ahead, that what stands before the @ is 64 characters at most, drawing a text that this pattern
    # matches takes a minute. The rest of the pattern stays; for the look-ahead's rule there are the parser's own tests.
    address = raw_schema["components"]["schemas"]["EmailAddress"]
    address["pattern"] = address["pattern"].replace("(?=[^@]{1,64}@)", "")


# --- Callers -------------------------------------------------------------------------------------------------------

# Whose caller or instance is used up by the call, or would run into a limit of its own.
USED_UP = {
    "logout", "changePassword", "resendVerification", "verifyEmail", "inviteMember", "removeMember", "createInstance",
    "updateInstance", "deleteInstance", "connectInstance", "disconnectInstance", "restartInstance", "logoutInstance",
    "createPairingCode", "createPairingLink", "getPasskey", "answerPasskey", "confirmPasskey",
}  # fmt: skip

# Of what these are about WhatsApp wants this of the account's owner.
PASSKEYS = {
    "getPasskey": "assertion", "answerPasskey": "assertion", "confirmPasskey": "confirmation",
    "answerPasskeyForPairing": "assertion", "confirmPasskeyForPairing": "confirmation",
}  # fmt: skip

# The right answers, by their cases' ids.
answers = {}

# What each of these is about is a message that was accepted just now: it waits or was sent, and is there.
CHANGES_OF_MESSAGES = {"editMessage", "deleteMessage", "reactToMessage"}


# What changes an instance's webhook has an instance of its own, and so has what needs one that nobody else deletes.
HOOKS = {
    "setInstanceWebhook", "createInstanceWebhook", "getInstanceWebhook", "deleteInstanceWebhook", "testInstanceWebhook",
    "rotateInstanceWebhookSecret", "listInstanceWebhookDeliveries", "replayInstanceWebhook",
    "replayInstanceWebhookDelivery", "setWebhook", "createWebhook", "getWebhook", "deleteWebhook", "testWebhook",
    "rotateWebhookSecret", "listWebhookDeliveries", "replayWebhook", "replayWebhookDelivery",
}  # fmt: skip


def operation_id(case):
    return case.operation.definition.raw["operationId"]


def caller_of(case):
    if operation_id(case) in USED_UP:
        user = User()
        if operation_id(case) == "inviteMember":
            user.verify()
        return user
    if "Administration" in case.operation.tags:
        return world.administrator
    return world.user


# Who calls with which case.
callers = {}


@schemathesis.auth(refresh_interval=None, retry_on=[])
class Caller:
    def get(self, case, context):
        schemes = [name for scheme in case.operation.definition.raw["security"] for name in scheme]
        if schemes == ["accessToken"]:
            callers[case.id] = caller_of(case)
            return callers[case.id].token
        return world.key if schemes == ["apiKey"] else None

    def set(self, case, token, context):
        if token:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


# --- Values --------------------------------------------------------------------------------------------------------


def is_positive(case, place):
    components = case.meta.components if case.meta else {}
    component = next((info for name, info in components.items() if name.value == place), None)
    return component is None or component.mode.is_positive


def fill_path(case, caller):
    path = case.path_parameters
    name = operation_id(case)
    if "instance" in path:
        if name == "getInstanceQr":
            path["instance"] = world.instance_with_code()
        elif name in PASSKEYS:
            path["instance"], answers[case.id] = caller.instance_with_passkey(PASSKEYS[name])
        elif name == "createPairingCode":
            path["instance"] = caller.instance()
            caller.connect(path["instance"])
        else:
            path["instance"] = caller.instance() if name in USED_UP else world.instance
    if name == "createKey":
        world.make_room_for_keys()
    if "key" in path:
        world.make_room_for_keys()
        path["key"] = world.user.key(world.instance)["id"]
    if "user" in path:
        if name == "removeMember":
            path["user"] = caller.member()
        else:
            path["user"] = world.user.id if name == "getUser" else User().id
    if "subscription" in path:
        path["subscription"] = User().subscription
    if "message" in path:
        path["message"] = world.text() if name in CHANGES_OF_MESSAGES else world.message
    if "delivery" in path:
        path["delivery"] = world.delivery()
    if "media" in path:
        # The file of a message has the message's id behind its own prefix.
        path["media"] = world.came.replace("msg_", "med_") if name == "getMedia" else world.media()
    if "contact" in path:
        path["contact"] = world.contact
    if "group" in path:
        path["group"] = world.group(name)
    if "chat" in path:
        path["chat"] = world.chat
    if "file" in path:
        path["file"] = "start.js"
    if "token" in path:
        # A link pairs one instance, and a tier has room for few.
        user, instance = User(), None
        if name in PASSKEYS:
            instance, answers[case.id] = user.instance_with_passkey(PASSKEYS[name])
        path["token"] = user.pairing_token(instance)


def fill_query(case):
    query = case.query
    # Cursors are opaque: what leads on is a value of an answer, and a text of one's own is refused.
    query.pop("cursor", None)
    if query.get("from") and query.get("to") and query["from"] > query["to"]:
        query["from"], query["to"] = query["to"], query["from"]
    if "subscriptionId" in query:
        query["subscriptionId"] = world.user.subscription


used_addresses = set()
# A GIF of one pixel.
FILES = {"sendImage", "sendVideo", "sendAudio", "sendVoice", "sendDocument", "sendSticker"}
PICTURE = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def fill_body(case, caller):
    body = case.body
    name = operation_id(case)
    if name == "login":
        body.update(email=world.user.email, password=PASSWORD)
    elif name == "refresh":
        body["refreshToken"] = User().refresh_token
    elif name == "verifyEmail":
        body["token"] = caller.code()
    elif name == "resetPassword":
        body["token"] = world.reset_code()
    elif name == "changePassword":
        body["currentPassword"] = PASSWORD
    elif name in ("register", "inviteMember", "createUser"):
        # One address, one user.
        address = body["email"]
        if address in used_addresses:
            body["email"] = f"new{next(numbers)}.{address}"
        used_addresses.add(address)
    elif name == "sendContact":
        # One of both, and what makes a text a card no schema says.
        body.pop("vcard", None)
        body.setdefault("contact", {"name": "Ada Lovelace", "phone": world.contact})
    elif name == "sendPoll":
        body["selectable"] = min(body.get("selectable", 1), len(body["options"]))
    elif name in FILES:
        # One of the three, which no schema of one member says, and of no other type than the kind takes.
        for other in ("url", "mediaId", "mimeType"):
            body.pop(other, None)
        body["base64"] = PICTURE
    elif name == "sendStatus":
        # Each kind has its own members, which no schema of one member says.
        for other in ("url", "mediaId", "base64", "mimeType"):
            body.pop(other, None)
        if body["kind"] == "text":
            body.pop("caption", None)
            body["text"] = body.get("text") or "Open until eight today"
        else:
            body.pop("text", None)
            body["base64"] = PICTURE
    elif name == "sendLocation":
        # A live place has neither.
        if body.get("liveSeconds") is not None:
            for other in ("name", "address"):
                body.pop(other, None)
    elif name in ("setInstanceWebhook", "createInstanceWebhook", "setWebhook", "createWebhook"):
        # A schema says neither what a URL of the internet is, nor what may be called a header, nor that `*` is alone.
        body["url"] = world.hook["url"]
        if len(body["events"]) > 1 and "*" in body["events"]:
            body["events"] = ["*"]
        if body.get("headers"):
            body["headers"] = {f"x-{number}": "value" for number, _ in enumerate(body["headers"])}
        # The others need one that is switched on.
        body.pop("enabled", None)
    elif name in ("replayInstanceWebhook", "replayWebhook"):
        body["from"], body["to"] = (now - timedelta(hours=2)).isoformat(), (now + timedelta(hours=2)).isoformat()
    elif name == "changeGroupPicture":
        body["base64"] = PICTURE
    elif name in PASSKEYS:
        body.update(answers.pop(case.id, {}))
    elif name == "joinGroup":
        body["invite"] = world.invite()
    if "participants" in body:
        body["participants"] = [world.contact]
    if "to" in body and name not in ("replayInstanceWebhook", "replayWebhook"):
        # The contact checks ask for the numbers of the document's examples, and it is remembered that they are nobody's.
        body["to"] = world.contact
    if body.get("replyTo"):
        # A message of the same chat.
        body["replyTo"] = {**body["replyTo"], "id": world.message}
    if name == "forwardMessage":
        # One whose content is kept.
        body["messageId"] = world.came
    if body.get("mentions"):
        # People, and no groups.
        body["mentions"] = [world.contact]
    if body.get("network"):
        # The one that the stack serves, and that an instance is fixed to.
        body["network"] = "sandbox"
    if body.get("subscriptionId"):
        body["subscriptionId"] = User().subscription
    if body.get("upTo"):
        # A message of the chat.
        body["upTo"] = world.message
    if body.get("until"):
        body["until"] = (now + timedelta(hours=1)).isoformat()
    if body.get("expiresAt") and body["expiresAt"] < now.isoformat():
        # The document's example is of a fixed day, which is past.
        body["expiresAt"] = (now + timedelta(hours=1)).isoformat()
    if body.get("scheduledAt"):
        # The one is counted from the other.
        body.pop("expiresAt", None)
    if body.get("scheduledAt") and body["scheduledAt"] < now.isoformat():
        body["scheduledAt"] = (now + timedelta(hours=2)).isoformat()


used_keys = set()


def fill_headers(case):
    headers = case.headers
    # A name for a request is another request's in each case, or the second of them is a conflict.
    if key := headers.get("Idempotency-Key"):
        headers["Idempotency-Key"] = f"{next(numbers)}{key}"[:255].rstrip() if key in used_keys else key
        used_keys.add(key)


# --- Refusals ------------------------------------------------------------------------------------------------------

# Some valid calls are led to a refusal that the document has, to see its body. Which must have it, by their cases' ids.
refused = {}
valid_calls = Counter()


def call_as(case, token):
    case.headers["Authorization"] = f"Bearer {token}"


def call_on_paired(case, caller):
    case.path_parameters["instance"] = world.instance
    call_as(case, world.user.token)


CONFLICTS = {
    "register": lambda case, caller: case.body.update(email=world.user.email),
    # Without a password it would be an invitation, which takes no address.
    "createUser": lambda case, caller: case.body.update(email=world.user.email, password=PASSWORD),
    "inviteMember": lambda case, caller: case.body.update(email=caller.email),
    "removeMember": lambda case, caller: case.path_parameters.update(user=caller.id),
    "resendVerification": lambda case, caller: call_as(case, world.administrator.token),
    "createInstance": lambda case, caller: case.body.update(name=caller.instance()),
    "updateInstance": lambda case, caller: case.body.update(name=caller.instance()),
    "getInstanceQr": call_on_paired,
    "createPairingCode": call_on_paired,
    "createPairingLink": call_on_paired,
    "getPasskey": call_on_paired,
    "answerPasskey": call_on_paired,
    "confirmPasskey": call_on_paired,
    "updateSubscription": lambda case, caller: (
        case.path_parameters.update(subscription=world.crowded_subscription()),
        case.body.update(tier="BASIC", active=True),
    ),
    "sendText": lambda case, caller: (
        case.headers.update({"Idempotency-Key": world.used_key}),
        case.body.update(text="Another text"),
    ),
}


def refuse(case, caller):
    """The status that the call is led to, if it is: every third, in turn that of a conflict and that of a right."""
    name = operation_id(case)
    valid_calls[name] += 1
    turn, step = divmod(valid_calls[name], 3)
    if step != 2:
        return None
    schemes = [scheme for one in case.operation.definition.raw["security"] for scheme in one]
    if name in CONFLICTS and (turn % 2 == 0 or "Administration" not in case.operation.tags):
        CONFLICTS[name](case, caller)
        return 409
    if "Administration" in case.operation.tags:
        call_as(case, world.user.token)
        return 403
    if schemes == ["apiKey"]:
        call_as(case, world.mere_writer if name == "getMedia" else world.powerless_key)
        return 403
    return None


@schemathesis.check
def valid_calls_are_accepted(ctx, response, case):
    """Beside `positive_data_acceptance`, which cannot tell one case from another."""
    if not case.meta or not case.meta.generation.mode.is_positive:
        return
    wanted = refused.get(case.id)
    if wanted and response.status_code != wanted:
        raise AssertionError(f"a refusal with {wanted} was due")
    if not wanted and response.status_code in (403, 409):
        raise AssertionError("a valid call was refused")


@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers = {**(case.headers or {}), "X-Forwarded-For": source()}
    # An answer that leads elsewhere is one to look at.
    kwargs["allow_redirects"] = False
    if case.method.upper() != case.operation.method.upper():
        # A method that the path does not have: nothing of it is read.
        return
    caller = callers.pop(case.id, None) or caller_of(case)
    if operation_id(case) in HOOKS:
        world.ensure_webhook()
    # Copies, since cases share what they do not differ in.
    case.path_parameters, case.query = dict(case.path_parameters or {}), dict(case.query or {})
    if isinstance(case.body, dict):
        case.body = dict(case.body)
    if is_positive(case, "header"):
        fill_headers(case)
    if case.path_parameters and is_positive(case, "path"):
        fill_path(case, caller)
    elif re.fullmatch(CHAT, unquote(str((case.path_parameters or {}).get("chat", "")))):
        # Meant to be none, and yet one: any number names a chat.
        case.path_parameters["chat"] = "nobody"
    if case.query and is_positive(case, "query"):
        fill_query(case)
    if operation_id(case) == "refresh" and not isinstance(case.body, dict) and is_positive(case, "body"):
        # Without a body it wants a cookie, which the document's body cannot say.
        case.body, case.media_type = {}, "application/json"
    if isinstance(case.body, dict) and is_positive(case, "body"):
        fill_body(case, caller)
    if case.meta and case.meta.generation.mode.is_positive and (status := refuse(case, caller)):
        refused[case.id] = status
