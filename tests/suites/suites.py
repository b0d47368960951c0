"""Runs third-party suites, each against a fresh server, and reports their findings.

Every suite has a function below: it runs the tool as docs/conformance.md describes and returns the
faults, one per line. A skipped check is a fault too, unless its feature is not advertised.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from servers import Postgres, Server, Sqlite

HERE = pathlib.Path(__file__).parent
TOOLS = pathlib.Path(sys.executable).parent
RECEIVER = HERE.parents[1] / "examples/webhook_receiver.py"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"


def tool(*command, **environment):
    """Runs a program of the virtual environment; returns its status and output."""
    shown = " ".join(str(word) for word in command)
    print(f"   {shown}", flush=True)
    # Some tools write files to their working directory.
    with tempfile.TemporaryDirectory(prefix="rollcall-suite-") as place:
        done = subprocess.run(
            [TOOLS / command[0], *command[1:]], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=place,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160", **environment},
        )
    return done.returncode, done.stdout + done.stderr


def described(server):
    """Returns the paths in the OpenAPI document."""
    with urllib.request.urlopen(f"{server.address}/openapi.json") as answer:
        return json.load(answer)["paths"].keys()


def scim2_tester(server):
    """Everything except SUCCESS is a fault: SKIPPED too, since it means a missing feature.

    Discovery does not mention `/.search` (RFC 7644 section 3.4.3), so the OpenAPI document decides
    whether it must work.
    """
    status, said = tool("scim2", "--url", server.scim, "test", "--verbose",
                        SCIM_CLI_HEADERS=f"Authorization: Bearer {server.token}")
    lines = said.splitlines()
    verdict = re.compile(r"^(SUCCESS|COMPLIANT|ACCEPTABLE|DEVIATION|ERROR|CRITICAL|SKIPPED) ")
    checks = [(line, after) for line, after in zip(lines, lines[1:] + [""]) if verdict.match(line)]
    if "/scim/v2/.search" not in described(server):
        checks = [(line, after) for line, after in checks if not line.endswith(" search_with_attributes")]
    wrong = [f"{line}: {after.strip()}" for line, after in checks if not line.startswith("SUCCESS ")]
    if status != 0 and wrong == [] and "search_with_attributes" in said and "/scim/v2/.search" not in described(server):
        status = 0
    if len(checks) < 100:
        wrong.append(f"only {len(checks)} checks ran: {said[-2000:]}")
    elif status != 0 and not wrong:
        wrong.append(f"exit status {status}: {said[-2000:]}")
    return len(checks), wrong


def scim_sanity(server):
    """Allows skips only for resource types that /ResourceTypes does not list."""
    status, said = tool("scim-sanity", "probe", server.scim, "--token", server.token, "--json-output",
                        "--i-accept-side-effects")
    try:
        results = json.loads(said[said.index("{"):])["results"]
    except ValueError:
        return 0, [f"exit status {status}: {said}"]
    absent = re.compile(r"^(Agent|AgenticApplication) (CRUD|Rapid) Lifecycle$")
    checks = [result for result in results if not (result["status"] == "skip" and absent.match(result["name"]))]
    wrong = [json.dumps(result) for result in checks if result["status"] != "pass"]
    if status != 0 and not wrong:
        wrong.append(f"exit status {status}")
    if len(checks) < 25:
        wrong.append(f"only {len(checks)} checks ran")
    return len(checks), wrong


def scim2_client(server):
    """Runs client.py, which prints a line for each step."""
    without = [] if "/scim/v2/.search" in described(server) else ["--without-search"]
    status, said = tool("python", HERE / "client.py", server.scim, *without, TOKEN=server.token)
    found = re.search(r"^(\d+) passed, (\d+) failed$", said, re.M)
    if not found:
        return 0, [f"exit status {status}: {said}"]
    wrong = [line for line in said.splitlines() if line.startswith("FAIL ")]
    if status != 0 and not wrong:
        wrong.append(f"exit status {status}: {said}")
    return int(found[1]) + int(found[2]), wrong


def schemathesis(server):
    """Sends valid and invalid requests derived from the OpenAPI document, alone and along its links.

    The tenant is strict, so that it rejects everything that the document excludes. The admin API is
    tested last, because it may change the tenant's settings. A request cannot revoke the bootstrap
    token.
    """
    server.cli("tenant", "set", "default", "--compatibility", "strict")
    checks, wrong = 0, []
    for part, seconds in (("--exclude-path-regex", 60), ("--include-path-regex", 15)):
        status, said = tool(
            "schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{server.address}/openapi.json",
            "--header", f"Authorization: Bearer {server.token}", part, "^/admin", "--checks", "all",
            "--phases", "examples,coverage,fuzzing,stateful", "--seed", "1", "--max-examples", "5",
            "--max-time", str(seconds), "--continue-on-failure", "--no-color")
        found = re.search(r"^  (\d+) generated, ", said, re.M)
        checks += int(found[1]) if found else 0
        if status != 0 or not found:
            wrong.append(f"exit status {status}: {said}")
        # Responses that only ask for a token prove nothing.
        if "Authentication failed" in said:
            wrong.append(f"requests were not authenticated: {said[-4000:]}")
    return checks, wrong


def standardwebhooks(server):
    """Runs the receiver of examples/, which verifies signatures with the public library.

    It must receive every change once and in order, and reject forgeries.
    """
    port = free_port()
    secret = server.cli("webhook", "create", "app", "--url", f"http://127.0.0.1:{port}/")
    receiver = subprocess.Popen(
        [sys.executable, RECEIVER, "--port", str(port)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "ROLLCALL_WEBHOOK_SECRET": secret},
    )
    try:
        wrong = []
        receiver.stdout.readline()
        for number in range(20):
            server.post("/Users", {"schemas": [USER], "userName": f"user{number}@example.com"})
        told = [json.loads(receiver.stdout.readline()) for _ in range(20)]
        heard = [(one["type"], one["data"]["seq"]) for one in told]
        if heard != [("user.created", seq) for seq in range(1, 21)]:
            wrong.append(f"heard {heard}")
        # With another secret, the receiver rejects deliveries as forgeries.
        server.cli("webhook", "rotate", "app", "--keep", "1s")
        time.sleep(1.1)
        server.post("/Users", {"schemas": [USER], "userName": "last@example.com"})
        while "failing" not in (state := server.cli("webhook", "list")):
            time.sleep(0.1)
        if "401" not in state:
            wrong.append(f"a forgery was taken: {state}")
        return len(told) + 1, wrong
    finally:
        receiver.terminate()
        receiver.wait()
        receiver.stdout.close()


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


SUITES = {
    "scim2-tester": scim2_tester,
    "scim-sanity": scim_sanity,
    "scim2-client": scim2_client,
    "schemathesis": schemathesis,
    "standardwebhooks": standardwebhooks,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("suites", nargs="*", choices=[[], *SUITES], default=[])
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--databases", default="sqlite,postgres")
    asked = arguments.parse_args()
    backends = [kind for kind in (Sqlite, Postgres) if kind.name in asked.databases.split(",")]
    # The webhook receiver is on this machine.
    os.environ["ROLLCALL_WEBHOOK_ALLOW_PRIVATE"] = "on"
    binary = str(pathlib.Path(asked.binary).resolve())
    passed = failed = 0
    for kind in backends:
        with kind() as backend:
            for name in asked.suites or SUITES:
                print(f"{name} on {backend.name}", flush=True)
                started = time.monotonic()
                url, directory = backend.fresh()
                with Server(binary, url, directory) as server:
                    checks, wrong = SUITES[name](server)
                passed += checks - len(wrong)
                failed += len(wrong)
                for line in wrong:
                    print(f"   FAIL {line}")
                print(f"   {checks} checks, {len(wrong)} wrong, {time.monotonic() - started:.0f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
