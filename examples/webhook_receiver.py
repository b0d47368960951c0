#!/usr/bin/env python3
"""Receives Rollcall's webhooks: verifies signatures, skips duplicates, and prints a line per change.

    pip install standardwebhooks
    export ROLLCALL_WEBHOOK_SECRET=whsec_...
    python3 webhook_receiver.py --port 9000

Run it behind an HTTPS proxy, then subscribe:

    rollcall webhook create app --url https://app.example.com/rollcall
"""

import argparse
import collections
import http.server
import json
import os
import threading

from standardwebhooks import Webhook, WebhookVerificationError

# A change may be delivered twice, so the last ids are remembered. An application would store them in its
# database.
REMEMBERED = 10_000
MOST_BYTES = 16 << 20


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    webhook = None
    seen = collections.OrderedDict()
    lock = threading.Lock()

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > MOST_BYTES:
            return self.answer(413)
        body = self.rfile.read(length)
        try:
            message = self.webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            return self.answer(401)
        with self.lock:
            self.take(self.headers["webhook-id"], message)
        # Only now: a delivery that is not answered with 2xx is repeated.
        return self.answer(204)

    def take(self, message_id, message):
        if message_id in self.seen:
            return
        print(json.dumps(message), flush=True)
        self.seen[message_id] = True
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description="Receives Rollcall's webhooks.")
    parser.add_argument("--port", type=int, default=9000)
    arguments = parser.parse_args()
    Receiver.webhook = Webhook(os.environ["ROLLCALL_WEBHOOK_SECRET"])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Receiver)
    print(json.dumps({"type": "listening", "port": server.server_port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
