"""Leads schemathesis through the API: who calls, and for requests that are to be valid, things that exist.

What is changed here is a value of a valid request alone, and only where the document's schema cannot say what is valid: an
id that exists, a password that is right, a time in the future. Invalid requests go out as they were generated.
"""

from datetime import date, datetime, timedelta, timezone

import schemathesis
from hypothesis import strategies as st
from world import PASSWORD, User, World, call, source

world = World()

# --- Formats: rules that a pattern does not tell -------------------------------------------------------------------

ascii_text = st.characters(min_codepoint=33, max_codepoint=126)
now = datetime.now(timezone.utc)
schemathesis.openapi.format("password", st.text(ascii_text, min_size=8, max_size=72))
schemathesis.openapi.format(
    "email",
    st.builds(
        lambda name, number, domain: f"{name}{number}@{domain}",
        st.text("abcdefghijklmnop", min_size=1, max_size=20),
        st.integers(0, 10**9),
        st.sampled_from(["example.com", "mail.example.org", "x-1.example.net"]),
    ),
)
schemathesis.openapi.format("cidr", st.sampled_from(["203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "::1", "0.0.0.0/0"]))
schemathesis.openapi.format("date", st.integers(0, 300).map(lambda days: str(date.today() - timedelta(days=days))))
schemathesis.openapi.format("date-time", st.integers(1, 70).map(lambda hours: (now + timedelta(hours=hours)).isoformat()))

# --- Callers -------------------------------------------------------------------------------------------------------

# Who is used up by the call, or would run into a limit of its own.
USED_UP = {
    "logout", "changePassword", "resendVerification", "inviteMember", "removeMember", "createInstance", "updateInstance",
    "deleteInstance", "connectInstance", "disconnectInstance", "restartInstance", "logoutInstance",
}  # fmt: skip


def operation_id(case):
    return case.operation.definition.raw["operationId"]


def caller_of(case):
    if operation_id(case) in USED_UP:
        return User()
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
        else:
            path["instance"] = caller.instance() if name in USED_UP else world.instance
    if "key" in path:
        path["key"] = world.user.key(world.instance)["id"]
    if "user" in path:
        path["user"] = (User() if name == "deleteUser" else world.spare).id
    if "subscription" in path:
        path["subscription"] = world.spare.subscription
    if "message" in path:
        path["message"] = world.message


def fill_query(case):
    query = case.query
    # Cursors are opaque: what leads on is a value of an answer, and a text of one's own is refused.
    query.pop("cursor", None)
    if query.get("from") and query.get("to") and query["from"] > query["to"]:
        query["from"], query["to"] = query["to"], query["from"]
    if "subscriptionId" in query:
        query["subscriptionId"] = world.user.subscription


def fill_body(case, caller):
    body = case.body
    name = operation_id(case)
    if name == "login":
        body.update(email=User().email, password=PASSWORD)
    elif name == "refresh":
        body["refreshToken"] = User().refresh_token
    elif name in ("verifyEmail", "resetPassword"):
        body["token"] = mailed_code(name)
    elif name == "changePassword":
        body["currentPassword"] = PASSWORD
    elif "network" in body and body["network"]:
        # The one that the stack serves, and that an instance is fixed to.
        body["network"] = "sandbox"
    elif name in ("createUser", "updateUser") and body.get("subscriptionId"):
        body["subscriptionId"] = world.spare.subscription


def mailed_code(name):
    user = User()
    if name == "resetPassword":
        call("POST", "/api/auth/forgot-password", json={"email": user.email})
    return user.code()


@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers = {**(case.headers or {}), "X-Forwarded-For": source()}
    caller = callers.pop(case.id, world.user)
    if case.path_parameters and is_positive(case, "path"):
        fill_path(case, caller)
    if case.query and is_positive(case, "query"):
        fill_query(case)
    if isinstance(case.body, dict) and is_positive(case, "body"):
        fill_body(case, caller)
