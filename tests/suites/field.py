"""Runs the requests that real identity providers send, with their correct answers, on both databases.

The cases and their runner are not part of this project, but in ../shared. If they are missing, the
script prints this and does nothing.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

from servers import Postgres, Server, Sqlite

HERE = pathlib.Path(__file__).resolve().parent


def cases():
    """Returns the directory of the cases, or `None` if it does not exist next to the project."""
    folders = (folder / "shared/acceptance/field" for folder in HERE.parents)
    return next((folder for folder in folders if folder.exists()), None)


def passed(binary, database, folder):
    """Returns the numbers of passed and failed cases, and the output of the runner."""
    url, directory = database.fresh()
    # The server reads settings from its working directory.
    shutil.copy(folder / "config.toml", directory / "rollcall.toml")
    shutil.copy(folder / "field.json", directory)
    with Server(binary, url, directory) as server:
        command = [sys.executable, folder / "run.py", folder / "cases.json", "--url", server.scim]
        command += ["--auth", f"Bearer {server.token}"]
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    counts = re.search(r"^(\d+) passed, (\d+) failed$", printed, re.M)
    return (int(counts[1]), int(counts[2]), printed) if counts else (0, 1, printed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    binary = pathlib.Path(parser.parse_args().binary).resolve()
    folder = cases()
    if folder is None:
        print("SKIPPED: no shared/acceptance/field beside the project")
        return 0
    is_wrong = False
    for kind in [Sqlite, Postgres]:
        with kind() as database:
            good, bad, printed = passed(binary, database, folder)
        print(f"{kind.name}: {good} passed, {bad} failed")
        if bad or not good:
            is_wrong = True
            print(printed)
    return int(is_wrong)


sys.exit(main())
