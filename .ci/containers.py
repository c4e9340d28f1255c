#!/usr/bin/env python3
"""Checks the Dockerfile and compose.yaml, without building an image: which network each image is of and how it is built, that it runs
with no rights, that its health check needs nothing else, and that all who say the same of it agree: the task of template.yaml, the
unit of systemd, the configuration's own variables.

tests/containers/run.sh builds an image and runs it.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

import yaml
from cfnlint.decode import cfn_yaml

ROOT = Path(__file__).resolve().parent.parent
# Each image by its target: its name, its network, and the package that it is built from.
IMAGES = {
    "server": ("waxwing-server", "live", "server"),
    "daemon": ("waxwing-daemon", "live", "daemon"),
    "sandbox": ("waxwing-sandbox", "sandbox", "localstack"),
    "daemon-sandbox": ("waxwing-daemon-sandbox", "sandbox", "daemon"),
}
# What is built where no target is named.
DEFAULT = "server"
# Variables that `waxwing-server` does not read, or that compose.yaml leaves alone, and why.
NOT_GIVEN = {
    "WAXWING_TABLE": "it is the server's own",
    "WAXWING_SHARDS": "they are the server's own",
    "WAXWING_QUEUE_PREFIX": "it is the server's own",
    "WAXWING_BUCKET": "it is the server's own",
    "WAXWING_NETWORK": "the build has one",
    "WAXWING_NETWORKS": "the build has one",
    "WAXWING_SANDBOX_URL": "for sandbox builds",
    "WAXWING_SANDBOX_CA": "for sandbox builds",
    "WAXWING_KMS_KEY": "the server refuses it",
    "WAXWING_LISTEN": "for a daemon by itself",
    "WAXWING_SPOOL": "for a daemon by itself",
    "WAXWING_LEASE_MS": "for a daemon by itself",
    "WAXWING_SESSION_STARTS": "for a daemon by itself",
    "WAXWING_REDIS_URL": "for several daemons",
    "WAXWING_REALTIME_URL": "the feed is on the API's host",
    "WAXWING_JWT_SECRET": "it lies in the volume",
    "WAXWING_JWT_SECRET_ARN": "it lies in the volume",
    "WAXWING_CLOCK": "for a daemon by itself",
    "WAXWING_EMF": "for a daemon by itself",
    "WAXWING_FAULT": "for builds with `fault-hooks`, which are tests' alone",
    "WAXWING_FAULT_ONCE": "for builds with `fault-hooks`, which are tests' alone",
}
# What must not come into an image's sources, or into a layer of it.
KEPT_OUT = {"/.git", "**/.env", "**/.waxwing", "**/waxwing-data", "/samconfig.toml", "/target"}

problems = []


def expect(what, actual, wanted):
    if actual != wanted:
        problems.append(f"{what}: {actual!r}, and not {wanted!r}")


def require(what, holds):
    if not holds:
        problems.append(what)


def instructions(text):
    """The instructions of a Dockerfile, each with what stands behind it on one line."""
    whole = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or (not line.strip() and not whole):
            continue
        if line.endswith("\\"):
            whole += line[:-1] + " "
            continue
        word, _, rest = (whole + line).strip().partition(" ")
        yield word.upper(), " ".join(rest.split())
        whole = ""


def read(text):
    """The arguments before the first stage, and the stages by their names: what each stands on, and its instructions."""
    arguments, stages, current = {}, {}, None
    for word, rest in instructions(text):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            current = []
            stages[name] = (base, current)
        elif current is None:
            expect("what stands before the first stage", word, "ARG")
            name, _, default = rest.partition("=")
            arguments[name] = default
        else:
            current.append((word, rest))
    return arguments, stages


def chain(stages, name):
    """The instructions of a stage with those that it stands on, the first ones first, and what all of it stands on."""
    base, own = stages[name]
    if base not in stages:
        return base, own
    below, theirs = chain(stages, base)
    return below, theirs + own


def last(found, word):
    return next((rest for name, rest in reversed(found) if name == word), "")


def listed(text):
    """The words of an instruction in its exec form; none in a shell's."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) else None


def pairs(found, word):
    """What `LABEL` or `ENV` instructions say."""
    texts = (rest for name, rest in found if name == word)
    return {key: value.strip('"') for text in texts for key, value in re.findall(r'(\S+?)=("[^"]*"|\S+)', text)}


def health(found):
    """The words of the health check's command."""
    return listed(last(found, "HEALTHCHECK").partition(" CMD ")[2])


def volume(found):
    return last(found, "VOLUME")


def check_build(target, package, network, stages, found):
    """An image has the program that its build stage builds, of the network that its label names."""
    entry = listed(last(found, "ENTRYPOINT")) or [""]
    copied = re.search(rf"COPY --from=(\S+) /built/bin/{re.escape(entry[0])} /usr/local/bin/", f"COPY {last(found, 'COPY')}")
    if copied is None:
        problems.append(f"{target}: no build stage gives it {entry[0]}")
        return
    _, builds = stages[copied[1]]
    commands = [command.split() for word, rest in builds if word == "RUN" for command in rest.split("&&")]
    cargo = [words[words.index("cargo") :] for words in commands if "cargo" in words]
    expect(f"{target}: what cargo does", [words[1] for words in cargo], ["install"])
    for words in cargo:
        require(f"{target}: cargo must keep to Cargo.lock", "--locked" in words)
        expect(f"{target}: the package", words[words.index("--path") + 1], package)
        features = [words[at + 1] for at, word in enumerate(words) if word == "--features"]
        wanted = ["sandbox"] if (network, package) == ("sandbox", "daemon") else []
        expect(f"{target}: its features", features, wanted)
    # A program of another network's build must not be there under the same name.
    caches = [mount for words in commands for mount in words if mount.endswith(",target=/waxwing/target")]
    expect(f"{target}: where cargo builds", caches, [f"--mount=type=cache,id=waxwing-{network},target=/waxwing/target"])
    proves = any(".ci/features.sh" in words for words in commands)
    expect(f"{target}: it proves that it checks WhatsApp's certificates", proves, network == "live")


def check_image(target, stages, version):
    name, network, package = IMAGES[target]
    base, found = chain(stages, target)
    expect(f"{target}: its base", base, "${RUNTIME_IMAGE}")
    labels, variables = pairs(found, "LABEL"), pairs(found, "ENV")
    expect(f"{target}: its network's label", labels.get("waxwing.network"), network)
    expect(f"{target}: its name", labels.get("org.opencontainers.image.title"), name)
    expect(f"{target}: its version", labels.get("org.opencontainers.image.version"), "${VERSION}")
    expect(f"{target}: its revision", labels.get("org.opencontainers.image.revision"), "${REVISION}")
    if package == "daemon":
        expect(f"{target}: the network that it must be built for", variables.get("WAXWING_NETWORK"), network)
        expect(f"{target}: where files are that are being sent", variables.get("WAXWING_SPOOL"), volume(found))
    else:
        expect(f"{target}: where files are for a moment", variables.get("TMPDIR"), volume(found))
    user = last(found, "USER")
    require(f"{target}: a user and a group by numbers, and not root: {user}", re.fullmatch(r"[1-9]\d*:[1-9]\d*", user))
    owner = "--owner {} --group {} {}".format(*user.split(":"), volume(found)) if ":" in user else None
    made = [rest for word, rest in found if word == "RUN" and owner and rest.endswith(owner)]
    expect(f"{target}: what makes its volume's folder for its user", len(made), 1)
    expect(f"{target}: the signal that ends it", last(found, "STOPSIGNAL"), "SIGTERM")
    entry = listed(last(found, "ENTRYPOINT")) or [None]
    expect(f"{target}: its health check", health(found), [entry[0], "check"])
    require(f"{target}: a command in its exec form", not last(found, "CMD") or listed(last(found, "CMD")))
    run = " ".join(rest for word, rest in found if word == "RUN")
    require(f"{target}: certificates of authorities", "ca-certificates" in run)
    require(f"{target}: the list of licences", any(word == "COPY" and "THIRD_PARTY.md" in rest for word, rest in found))
    check_build(target, package, network, stages, found)


def check_bases(arguments, stages, workspace):
    """Both bases are named with a version, are of one suite of Debian, and have the Rust that the workspace asks for."""
    rust, runtime = arguments.get("RUST_IMAGE", ""), arguments.get("RUNTIME_IMAGE", "")
    found = re.fullmatch(r"rust:(\d+\.\d+)-(\w+)", rust)
    if found is None:
        problems.append(f"RUST_IMAGE must name a version of Rust and a suite of Debian: {rust}")
        return
    expect("the Rust of RUST_IMAGE", found[1], workspace["rust-version"])
    expect("RUNTIME_IMAGE", runtime, f"debian:{found[2]}-slim")
    expect("the default of VERSION", arguments.get("VERSION"), workspace["version"])
    expect("the default of PROFILE", arguments.get("PROFILE"), "release")
    for name, (base, _) in stages.items():
        require(f"{name} stands on {base}", base in stages or base in {"${RUST_IMAGE}", "${RUNTIME_IMAGE}"})
    # Where no target is named, the last stage is built.
    expect("the last stage stands on", list(stages.values())[-1], (DEFAULT, []))


def check_task(stages):
    """The ECS task runs the daemon's image as that says, and has its root read-only."""
    template = cfn_yaml.load(str(ROOT / "template.yaml"))
    (container,) = template["Resources"]["DaemonTask"]["Properties"]["ContainerDefinitions"]
    _, found = chain(stages, "daemon")
    expect("the task's health check", list(container["HealthCheck"]["Command"]), ["CMD", *health(found)])
    expect("the task's user", container["User"], last(found, "USER"))
    expect("the task's volume", [mount["ContainerPath"] for mount in container["MountPoints"]], [volume(found)])
    expect("the task's root is read-only", container["ReadonlyRootFilesystem"], True)
    require("the task keeps the image's program", not container.keys() & {"EntryPoint", "Command"})


def known_variables():
    texts = (file.read_text(encoding="utf-8") for file in (ROOT / "shared/src/config").glob("*.rs") if file.name != "tests.rs")
    return {name for text in texts for name in re.findall(r'"(WAXWING_[A-Z_]+)"', text)}


def check_compose(stages, workspace):
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    compose = yaml.safe_load(text)
    expect("the services", list(compose["services"]), ["waxwing"])
    service = compose["services"]["waxwing"]
    target = service["build"]["target"]
    name, network, _ = IMAGES[target]
    _, found = chain(stages, target)
    expect("the network of the service", network, "live")
    expect("the service's image", service["image"], f"{name}:${{TAG:-{workspace['version']}}}")
    (port,) = service["ports"]
    require(f"the service's port is this machine's alone by default: {port}", port.startswith("${PUBLISH:-127.0.0.1:"))
    expect("the port in the container", port.rpartition(":")[2], last(found, "EXPOSE"))
    for key, wanted in {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}.items():
        expect(f"the service's {key}", service.get(key), wanted)
    # What would take the image's user, health check or confinement from it.
    given = service.keys() & {"user", "healthcheck", "privileged", "cap_add", "entrypoint", "network_mode", "pid", "devices"}
    expect("what the service changes of its image", given, set())
    expect("the service's volume", [one.partition(":")[2] for one in service["volumes"]], [volume(found)])
    unit = (ROOT / "server/waxwing.service").read_text(encoding="utf-8")
    of_unit = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    expect("how long the service may stop", service["stop_grace_period"], of_unit["TimeoutStopSec"])
    expect("the service's open files", str(service["ulimits"]["nofile"]), of_unit["LimitNOFILE"])

    known, environment = known_variables(), service["environment"]
    require("no variable is known", known)
    for variable, value in environment.items():
        require(f"compose.yaml: the configuration knows no {variable}", variable in known)
        require(f"compose.yaml: {variable} is not {variable} outside", str(value).startswith(f"${{{variable}:-"))
    for variable in sorted(known - environment.keys() - NOT_GIVEN.keys()):
        problems.append(f"compose.yaml says nothing of {variable}: give it, or say in NOT_GIVEN of .ci/containers.py why not")
    expect("NOT_GIVEN: variables that are given, or not known", (NOT_GIVEN.keys() & environment.keys()) | (NOT_GIVEN.keys() - known), set())
    outside = set(re.findall(r"(?<!\$)\$\{(\w+)", re.sub(r"(?m)^\s*#.*$", "", text)))
    expect("compose.yaml: what is said outside", outside - environment.keys(), {"TAG", "PUBLISH"})


def main():
    arguments, stages = read((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]
    missing = IMAGES.keys() - stages.keys()
    require(f"targets are missing: {sorted(missing)}", not missing)
    if not missing:
        check_bases(arguments, stages, workspace)
        for target in IMAGES:
            check_image(target, stages, workspace["version"])
        check_task(stages)
        check_compose(stages, workspace)
    ignored = set((ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n"))
    expect("what must not come into an image's sources", KEPT_OUT - ignored, set())
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(IMAGES)} images and their service looked at, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
