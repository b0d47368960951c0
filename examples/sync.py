#!/usr/bin/env python3
"""Keeps a local copy of the directory in step with Rollcall, in an SQLite file.

It reads a snapshot and then follows the change feed. Each page of changes is written in one
transaction with the new position in the feed, so the program may be killed at any time: it continues
from there. It uses only the standard library.

    export ROLLCALL_URL=https://scim.example.com ROLLCALL_TOKEN=rct_...
    python3 sync.py copy.sqlite            # follows continuously
    python3 sync.py copy.sqlite --once     # until it is in step, for cron
"""

import argparse
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TABLES = """
CREATE TABLE IF NOT EXISTS resources (id TEXT PRIMARY KEY, type TEXT NOT NULL, resource TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS members (group_id TEXT, member_id TEXT, PRIMARY KEY (group_id, member_id));
CREATE TABLE IF NOT EXISTS place (after INTEGER NOT NULL);
"""

# How long one request to the feed waits for a change.
WAIT_S = 30


class Gone(Exception):
    """The changes after our position are no longer available, or a backup was restored."""


class Rollcall:
    def __init__(self, url, token):
        self.url = url.rstrip("/") + "/directory/v1"
        self.token = token

    def get(self, path, **query):
        query = {name: value for name, value in query.items() if value is not None}
        request = urllib.request.Request(
            f"{self.url}{path}?{urllib.parse.urlencode(query)}",
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S + 30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 410:
                raise Gone from error
            raise


def snapshot(rollcall, db):
    """Reads everything; changes made meanwhile arrive again in the feed."""
    with db:
        for table in ("resources", "members", "place"):
            db.execute(f"DELETE FROM {table}")
        cursor = None
        while True:
            page = rollcall.get("/snapshot", cursor=cursor, limit=1000)
            db.executemany(
                "INSERT OR REPLACE INTO resources VALUES (?, ?, ?)",
                [(item["id"], item["type"], json.dumps(item["resource"])) for item in page["resources"]],
            )
            db.executemany(
                "INSERT OR IGNORE INTO members VALUES (?, ?)",
                [(item["group"], item["member"]) for item in page["members"]],
            )
            cursor = page["next"]
            if cursor is None:
                db.execute("INSERT INTO place VALUES (?)", (page["seq"],))
                return page["seq"]


def apply(db, change):
    """Applies a change. Doing it twice is harmless, and unknown resources are ignored."""
    kind, resource_id = change["kind"], change["id"]
    # All data of the resource was erased, and must be erased here too.
    if kind == "deleted" or change.get("erased"):
        db.execute("DELETE FROM resources WHERE id = ?", (resource_id,))
        db.execute("DELETE FROM members WHERE group_id = ? OR member_id = ?", (resource_id, resource_id))
    elif kind == "created":
        db.execute(
            "INSERT OR REPLACE INTO resources VALUES (?, ?, ?)",
            (resource_id, change["type"], json.dumps(change["resource"])),
        )
    elif kind == "member_added":
        db.executemany(
            "INSERT OR IGNORE INTO members VALUES (?, ?)", [(resource_id, member) for member in change["members"]]
        )
    elif kind == "member_removed":
        db.executemany(
            "DELETE FROM members WHERE group_id = ? AND member_id = ?",
            [(resource_id, member) for member in change["members"]],
        )
    elif kind in ("updated", "activated", "deactivated"):
        row = db.execute("SELECT resource FROM resources WHERE id = ?", (resource_id,)).fetchone()
        if row is not None:
            resource = json.loads(row[0])
            for difference in change.get("attributes", []):
                put(resource, difference["path"], difference["after"])
            for difference in change.get("lists", []):
                edit(resource, difference)
            db.execute("UPDATE resources SET resource = ? WHERE id = ?", (json.dumps(resource), resource_id))


def edit(resource, difference):
    """Applies what differs in a long list. Doing it a second time changes nothing."""
    urn, _, name = difference["path"].rpartition(":")
    holder = resource.setdefault(urn, {}) if urn else resource
    elements = [element for element in holder.get(name, []) if element not in difference.get("removed", [])]
    elements += [element for element in difference.get("added", []) if element not in elements]
    for modified in difference.get("modified", []):
        known = {**modified["same"], **modified["before"]}.items()
        for element in elements:
            if all(element.get(name) == value for name, value in known):
                for name in modified["before"]:
                    element.pop(name, None)
                element.update(modified["after"])
    holder[name] = elements


def put(resource, path, value):
    """Sets an attribute: `title`, `name.givenName`, or one of an extension after its URN and a colon.

    None removes the attribute.
    """
    urn, _, name = path.rpartition(":")
    steps = ([urn] if urn else []) + name.split(".")
    holders = [resource]
    for step in steps[:-1]:
        holder = holders[-1].get(step)
        if not isinstance(holder, dict):
            if value is None:
                return
            holder = holders[-1][step] = {}
        holders.append(holder)
    if value is not None:
        holders[-1][steps[-1]] = value
        return
    holders[-1].pop(steps[-1], None)
    # An object without values is removed too.
    for holder, step in zip(reversed(holders[:-1]), reversed(steps[:-1])):
        if holder[step] == {}:
            del holder[step]


def follow(rollcall, db, once):
    row = db.execute("SELECT after FROM place").fetchone()
    after = row[0] if row else snapshot(rollcall, db)
    while True:
        try:
            page = rollcall.get("/changes", after=after, limit=1000, wait=0 if once else WAIT_S)
        except Gone:
            after = snapshot(rollcall, db)
            continue
        with db:
            for change in page["changes"]:
                apply(db, change)
            after = page["next"]
            db.execute("UPDATE place SET after = ?", (after,))
        if once and after >= page["last"]:
            return


def main():
    parser = argparse.ArgumentParser(description="Keeps a copy of the directory in step with Rollcall.")
    parser.add_argument("file", help="the SQLite file of the copy")
    parser.add_argument("--once", action="store_true", help="stop when the copy is in step")
    arguments = parser.parse_args()
    rollcall = Rollcall(os.environ["ROLLCALL_URL"], os.environ["ROLLCALL_TOKEN"])
    db = sqlite3.connect(arguments.file)
    db.executescript(TABLES)
    while True:
        try:
            return follow(rollcall, db, arguments.once)
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            is_refused = isinstance(error, urllib.error.HTTPError) and error.code in (400, 401, 403)
            if arguments.once or is_refused:
                sys.exit(f"sync: {error}")
            # The service restarts, or the network is down: continue from the last position.
            time.sleep(5)


if __name__ == "__main__":
    main()
