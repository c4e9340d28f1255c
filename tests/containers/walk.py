#!/usr/bin/env python3
"""Runs the server's image and walks through what whoever runs it relies on.

    walk.py WORK ROOT ROOT

WORK has `image.json`, what buildah says of the image; each ROOT is the root of a container of it. `run.sh` calls this, in a network
of its own. A process is run as a container engine would under `compose.yaml`: as the first process, as the image's user, with the
image's variables and folder, its root read-only, its volume writable, without rights and without a way to new ones.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

API = "http://127.0.0.1:3000"
DATA = "/var/lib/waxwing"
BACKUPS = "/backups"
# What a start, and a health check that says that it is over, may take.
DEADLINE = 180
# What compose.yaml leaves the server to stop in order.
GRACE = 90
PASSWORD = "a long password"

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def enter(spec):
    """Becomes the process of a container. It runs in mounts and process ids of its own, as the first process."""
    root = spec["root"]
    mount = lambda *arguments: subprocess.run(["mount", *arguments], check=True)
    mount("--bind", root, root)
    for path, folder in spec["volumes"].items():
        mount("--bind", folder, root + path)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    mount("-o", "remount,bind,ro", root)
    os.chroot(root)
    os.chdir(spec["folder"])
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    capability = 0
    while prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    user, group = (int(part) for part in spec["user"].split(":"))
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit("new rights cannot be shut out")
    command = spec["command"]
    os.execvpe(command[0], command, spec["variables"])


class Container:
    """A container of the image, with its volumes by their paths."""

    def __init__(self, work, config, root, volumes):
        self.work, self.config, self.root, self.volumes = work, config, root, volumes
        for path in volumes:
            Path(root + path).mkdir(parents=True, exist_ok=True)

    def command(self, command):
        """What runs this command in it."""
        variables = dict(variable.split("=", 1) for variable in self.config["Env"])
        spec = {
            "root": self.root,
            "volumes": self.volumes,
            "folder": self.config["WorkingDir"],
            "user": self.config["User"],
            "variables": variables | {"WAXWING_PUBLIC_URL": API},
            "command": command,
        }
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*apart, sys.executable, os.path.abspath(__file__), "enter", json.dumps(spec)]

    def run(self, *command):
        """Runs a command to its end, and answers its status and what it said."""
        done = subprocess.run(self.command(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE)
        return done.returncode, done.stdout

    def start(self, arguments):
        """Starts the image's program with these arguments."""
        log = open(self.work / "server.log", "ab")
        self.process = subprocess.Popen(self.command([*self.config["Entrypoint"], *arguments]), stdout=log, stderr=log)
        log.close()

    def is_healthy(self):
        """What the image's health check says."""
        kind, *command = self.config["Healthcheck"]["Test"]
        expect("the health check is a command of its own", kind, "CMD")
        return self.run(*command)[0] == 0

    def until_healthy(self):
        deadline = time.monotonic() + DEADLINE
        while not self.is_healthy():
            if self.process.poll() is not None:
                fail(f"it ended with status {self.process.returncode}")
            if time.monotonic() > deadline:
                fail("it is not healthy in time")
            time.sleep(0.5)

    def first_process(self):
        """The id, for us, of the process that is the first one in there."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return int(children.split()[0])

    def stop(self):
        """Sends the image's signal, and answers the status and how many seconds the end took."""
        signal = getattr(__import__("signal"), self.config["StopSignal"])
        sent = time.monotonic()
        os.kill(self.first_process(), signal)
        return self.process.wait(timeout=GRACE), time.monotonic() - sent

    def end(self):
        """Ends what still runs, with whatever it started."""
        if getattr(self, "process", None) and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def fail(what):
    sys.exit(f"FAILED: {what}")


def expect(what, actual, wanted):
    if actual != wanted:
        fail(f"{what}: {actual!r} in place of {wanted!r}")


def done(what):
    print(f"ok: {what}", flush=True)


def call(path, body, token=None):
    """The status and the JSON that a POST answers."""
    request = urllib.request.Request(API + path, json.dumps(body).encode(), {"content-type": "application/json"})
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def log_in():
    status, answer = call("/api/auth/login", {"email": "ada@example.com", "password": PASSWORD})
    expect(f"a login ({answer})", status, 200)


def loopback_up():
    """A new network has a loopback that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, name))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def volume(work, root, name):
    """A new volume, which has the mode and the owner of the folder in the image."""
    folder = work / name
    subprocess.run(["cp", "--archive", root + DATA, str(folder)], check=True)
    return str(folder)


def check_image(config, root):
    expect("the network's label", config["Labels"]["waxwing.network"], "live")
    expect("the image's name", config["Labels"]["org.opencontainers.image.title"], "waxwing-server")
    expect("a health check, which only Docker's format has, is in the image", "Healthcheck" in config, True)
    texts = Path(root, "usr/share/doc/waxwing")
    for name in ("LICENSE-APACHE", "LICENSE-MIT", "licences.md"):
        expect(f"{name} is in the image", (texts / name).is_file(), True)
    expect("the licences of others", "| wacore-libsignal |" in (texts / "THIRD_PARTY.md").read_text(encoding="utf-8"), True)
    expect("certificates of authorities", Path(root, "etc/ssl/certs/ca-certificates.crt").stat().st_size > 100_000, True)
    done("the image is of WhatsApp itself, with its licences and the certificates of authorities")


def check_confinement(container):
    status = Path(f"/proc/{container.first_process()}/status").read_text(encoding="ascii")
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
    expect("its user", fields["Uid"], [container.config["User"].split(":")[0]] * 4)
    expect("it is the first process", fields["NSpid"][-1], "1")
    for rights in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        expect(rights, int(fields[rights][0], 16), 0)
    expect("it gets no new rights", fields["NoNewPrivs"], ["1"])
    for path in ("/", "/tmp", "/usr/local/bin"):
        status, said = container.run("sh", "-c", f'touch "{path}/written"')
        expect(f"nothing is written in {path} ({said})", status != 0 and "Read-only file system" in said, True)
    done("it is the image's user, has no rights, and its root is read-only")


def check_files(folder):
    user = os.stat(folder).st_uid
    for path in Path(folder).rglob("*"):
        found = path.lstat()
        expect(f"the owner of {path}", found.st_uid, user)
    for name in ("wrapping.key", "jwt.secret", "table.db", "queues.db"):
        expect(f"the mode of {name}", Path(folder, name).stat().st_mode & 0o777, 0o600)
    done("its files are its own alone")


def main():
    work, roots = Path(sys.argv[1]), sys.argv[2:]
    # A mount of ours must not come back to whoever called.
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    loopback_up()
    config = json.loads((work / "image.json").read_text(encoding="utf-8"))["Docker"]["config"]
    check_image(config, roots[0])
    data, backups = volume(work, roots[0], "data"), volume(work, roots[0], "backups")
    first, second = (Container(work, config, root, {DATA: data, BACKUPS: backups}) for root in roots)
    restored = Container(work, config, roots[0], {DATA: volume(work, roots[0], "restored"), BACKUPS: backups})
    try:
        expect("it is healthy before there is one", first.is_healthy(), False)
        first.start(config["Cmd"])
        first.until_healthy()
        done("it starts, and its health check passes")
        check_confinement(first)
        account = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
        status, answer = call("/api/auth/register", account)
        expect(f"a registration ({answer})", status, 201)
        status, answer = call("/api/instances", {"name": "first"}, answer["data"]["tokens"]["accessToken"])
        expect(f"an instance ({answer})", (status, answer["data"]["network"]), (201, "live"))
        done("a user registers and makes an instance of WhatsApp's network")
        check_files(data)
        status, said = first.run(*config["Entrypoint"], "backup", f"{BACKUPS}/copy")
        expect(f"a backup beside it ({said})", status, 0)
        done("a backup is made while it runs")
        status, seconds = first.stop()
        expect("the status of an end in order", status, 0)
        expect("it is healthy afterwards", first.is_healthy(), False)
        done(f"{config['StopSignal']} ends it in order, in {seconds:.1f} s; then its health check fails")

        second.start(config["Cmd"])
        second.until_healthy()
        log_in()
        expect("the status of the second one's end", second.stop()[0], 0)
        done("a new container on the same volume knows the user")

        status, said = restored.run(*config["Entrypoint"], "restore", f"{BACKUPS}/copy")
        expect(f"a restore ({said})", status, 0)
        restored.start(config["Cmd"])
        restored.until_healthy()
        log_in()
        expect("the status of the restored one's end", restored.stop()[0], 0)
        done("so does one on a new volume that the backup was restored into")
    finally:
        for container in (first, second, restored):
            container.end()
    print("the walk is done")


if __name__ == "__main__":
    if sys.argv[1] == "enter":
        enter(json.loads(sys.argv[2]))
    else:
        main()
