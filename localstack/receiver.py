#!/usr/bin/env python3
"""A webhook to look into: it keeps the last events that are posted to it, and answers a GET with them.

    localstack/receiver.py PORT

It checks no signature: docs/webhooks.md shows receivers that do.
"""

import json
import sys
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEPT = 100
# More than any event has, in bytes.
LARGEST = 1 << 20

events = deque(maxlen=KEPT)


class Receiver(BaseHTTPRequestHandler):
    """Answers one connection."""

    timeout = 30

    def answer(self, status, value):
        body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, list(events))

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > LARGEST:
            self.answer(413, {"error": f"at most {LARGEST} bytes"})
            return
        try:
            events.append(json.loads(self.rfile.read(length)))
        except ValueError:
            self.answer(400, {"error": "the body must be JSON"})
            return
        self.answer(200, {})


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("receiver.py: say the port")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()


if __name__ == "__main__":
    main()
