"""The real binary on a fresh database, for the suites: without a fixed port, and cleaned up at the end."""

import json
import os
import pathlib
import pwd
import secrets
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request

TIMEOUT_S = 60


class Server:
    """A running service. Use it in a `with` statement, which stops it at the end."""

    def __init__(self, binary, url, directory):
        self.binary, self.database = binary, url
        self.log = pathlib.Path(directory) / "server.log"
        self.token = secrets.token_hex(32)
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--database", url],
            cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True,
            env={**os.environ, "ROLLCALL_BOOTSTRAP_TOKEN": self.token},
        )
        self.address = None
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.address = line.removeprefix("listening on ").strip()
                break
        if not self.address:
            raise RuntimeError(f"the server did not start: {self.log.read_text()}")
        self.scim = f"{self.address}/scim/v2"

    def cli(self, *arguments):
        """Returns the output of a command on the same database."""
        command = [self.binary, *arguments, "--database", self.database]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def post(self, path, body):
        """Creates a resource."""
        request = urllib.request.Request(
            f"{self.scim}{path}", json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return json.load(response)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()


class Sqlite:
    """Databases in files."""

    name = "sqlite"

    def __init__(self):
        self.place = tempfile.TemporaryDirectory(prefix="rollcall-suite-")
        self.made = 0

    def fresh(self):
        """Returns the URL of an empty database, and a directory for the server."""
        self.made += 1
        directory = pathlib.Path(self.place.name) / str(self.made)
        directory.mkdir()
        return f"sqlite:{directory / 'suite.db'}", directory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.cleanup()


class Postgres(Sqlite):
    """Databases in a separate cluster with a socket in a temporary directory."""

    name = "postgres"

    def __enter__(self):
        self.programs = postgres_programs()
        # PostgreSQL refuses to run as root.
        self.user = {} if os.getuid() else {"user": unprivileged().pw_uid, "group": unprivileged().pw_gid}
        self.home = tempfile.mkdtemp(prefix="rollcall-suite-pg-")
        if self.user:
            os.chown(self.home, self.user["user"], self.user["group"])
        self.data = f"{self.home}/data"
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        settings = f"-c listen_addresses= -c unix_socket_directories='{self.home}' -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-s", "-D", self.data, "-o", settings, "-l", f"{self.home}/log")
        return self

    def run(self, program, *arguments):
        subprocess.run([self.programs / program, *arguments], check=True, cwd=self.home, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.user)

    def fresh(self):
        _, directory = super().fresh()
        name = f"suite_{self.made}"
        self.run("createdb", "-h", self.home, "-U", "postgres", "-T", "template0", name)
        return f"postgresql://postgres@{urllib.parse.quote(self.home, safe='')}/{name}", directory

    def __exit__(self, *_):
        self.run("pg_ctl", "stop", "-D", self.data, "-m", "immediate", "-s")
        shutil.rmtree(self.home, ignore_errors=True)
        super().__exit__()


def postgres_programs():
    """Returns the directory of `initdb`, the newest version first."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: -int(path.parts[-3]))
    found += [pathlib.Path(path) for path in [shutil.which("initdb")] if path]
    if not found:
        raise SystemExit("no PostgreSQL for the suites: install it, or name --databases sqlite")
    return found[0].parent


def unprivileged():
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
