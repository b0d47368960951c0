#!/usr/bin/env python3
"""Checks docs/conformance.md against the tests, so that it stays correct.

    conformance.py            compares, and fails on any difference
    conformance.py --write    generates docs/conformance.md

A test lists the requirements that it covers in a comment directly above it:
`// R7644-3.14-03, R7644-3.14-09`. The file requirements.txt lists every requirement with its level and,
if no test covers it, the reason: the requirement cannot apply to this kind of software ("n/a: .."), it
belongs to a feature that is not offered ("off: .."), or it is not met ("no: ..").
"""

import collections
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = ROOT / "docs/conformance.md"
BINDING = ("MUST", "SHALL", "SHOULD", "REQUIRED")
WANTED_PERCENT = 95
ID = r"(?:R[A-Z0-9]+-[0-9A-Za-z.]+(?:-[0-9A-Z]+)?|L-\d\d)"
IDS = re.compile(rf"^\s*(?://|#) ({ID}(?:, {ID})*),?$")
BETWEEN = re.compile(r"^\s*(//|#|@|\)\]|both\w*!\($|proptest! \{$|$)")
TEST = re.compile(r"^\s*(?:(both\w*)!\((\w+)|(?:pub |async )*fn (\w+)\(|def (\w+)\(|(\w+),$)")
STATES = {"n/a": "not applicable", "off": "not offered", "no": "not held", None: "not held"}
START, END = "<!-- made by `just conformance --write` from here on -->\n", "\n"


class Faults(list):
    def say(self, text):
        self.append(text)


def requirements(faults):
    """Returns level and reason of each id, in order."""
    found = {}
    for number, line in enumerate((HERE / "requirements.txt").read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(rf"({ID}) \| ([^|]+?)(?: \| (n/a|off|no): (.+))?", line)
        if not match:
            faults.say(f"requirements.txt:{number}: cannot be read: {line}")
        elif match[1] in found:
            faults.say(f"requirements.txt:{number}: {match[1]} a second time")
        else:
            found[match[1]] = (match[2], match[3], match[4])
    return found


def compare_with_the_list(known, faults):
    """Compares ids and levels with the list of requirements, if it is next to the checkout."""
    for folder in ROOT.parents:
        listed = folder / "shared/reference/standards.md"
        if listed.exists():
            break
    else:
        return
    lines = re.findall(rf"^- ({ID}) \| ([^|]*?) \|", listed.read_text(), re.M)
    levels = {name: level for name, level in lines}
    for name in sorted(levels.keys() ^ known.keys()):
        faults.say(f"{name} is in only one of requirements.txt and the list of requirements")
    for name in levels.keys() & known.keys():
        if levels[name] != known[name][0]:
            faults.say(f"{name} is {levels[name]} in the list and {known[name][0]} in requirements.txt")


def claims(faults):
    """Yields each requirement with the test, as a file and a name, whose comment claims it."""
    files = sorted(path for folder in ("src", "tests/it", "crates", "tests/suites") for path in (ROOT / folder).rglob("*"))
    for path in files:
        if path.suffix not in (".rs", ".py") or "target" in path.parts:
            continue
        lines = path.read_text().splitlines()
        for at, line in enumerate(lines):
            match = IDS.match(line)
            if not match:
                continue
            below = at + 1
            while below < len(lines) and BETWEEN.match(lines[below]):
                below += 1
            test = TEST.match(lines[below]) if below < len(lines) else None
            if not test:
                faults.say(f"{path.relative_to(ROOT)}:{at + 1}: there is no test below this comment")
                continue
            name = test[2] or test[3] or test[4] or test[5]
            for requirement in match[1].split(", "):
                yield requirement, path.relative_to(ROOT), name


def tests_that_run():
    """Returns the names in the list of `cargo test`."""
    command = ["cargo", "test", "--quiet", "--", "--list"]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {line.removesuffix(": test") for line in said.splitlines() if line.endswith(": test")}


def full_name(path, name, running):
    """Returns the test's name for `cargo test`, without the database, or None if it does not run."""
    parts = list(path.with_suffix("").parts)
    # tests/it/x.rs and src/x.rs of the package, crates/name/src/x.rs of another.
    parts = parts[{"tests": 2, "src": 1, "crates": 3}[parts[0]]:]
    if parts[-1] in ("mod", "lib", "main"):
        parts.pop()
    start = "".join(f"{re.escape(part)}::" for part in parts)
    pattern = re.compile(rf"{start}(?:\w+::)*?{name}")
    both = sorted(full.removesuffix("::sqlite") for full in running
                  if full.endswith("::sqlite") and full.removesuffix("::sqlite") + "::postgres" in running)
    for full in both + sorted(running):
        if pattern.fullmatch(full):
            return full
    return None


def shown_by(known, faults):
    """Returns the tests that cover each requirement."""
    running = tests_that_run()
    shown = collections.defaultdict(list)
    for requirement, path, name in claims(faults):
        if requirement not in known:
            faults.say(f"{path}: {name} claims {requirement}, which is no requirement")
            continue
        if path.suffix == ".py":
            shown[requirement].append(f"{path}::{name}")
            continue
        full = full_name(path, name, running)
        if full is None:
            faults.say(f"{path}: {name} claims {requirement} and is not run by `cargo test`")
        elif full not in shown[requirement]:
            shown[requirement].append(full)
    return shown


def page(known, shown, faults):
    """Returns the generated part, and the percentages of binding requirements that are met.

    The first percentage counts the offered features, the second everything that applies.
    """
    counts = collections.defaultdict(collections.Counter)
    rows = []
    for name, (level, kind, reason) in known.items():
        tests = shown.get(name, [])
        if tests and reason:
            faults.say(f"{name} has tests and a reason why it has none")
        if not tests and not reason:
            faults.say(f"{name} has no test and no reason")
        state = "held" if tests else STATES[kind]
        counts[level.split()[0].upper() if level != "-" else "-"][state] += 1
        what = ", ".join(f"`{test}`" for test in sorted(tests)) if tests else reason or "no test shows it"
        rows.append(f"| {name} | {level} | {state} | {what} |")
    lines = [
        "| level | held | not held | not offered | not applicable | held of what is offered | held of all that applies |",
        "|---|---|---|---|---|---|---|",
    ]
    shares = (None, None)
    binding = collections.Counter()
    for level in BINDING:
        binding += counts[level]
    for title, count in [*((level, counts[level]) for level in sorted(counts)), ("**MUST, SHALL, SHOULD**", binding)]:
        offered = count["held"] + count["not held"]
        shares = share(count["held"], offered), share(count["held"], offered + count["not offered"])
        numbers = [count[state] for state in ("held", "not held", "not offered", "not applicable")]
        lines.append(f"| {title} | {' | '.join(map(str, numbers))} | {' | '.join(map(percent, shares))} |")
    if shares[0] is None or shares[0] < WANTED_PERCENT:
        faults.say(f"only {percent(shares[0])} of the MUST, SHALL and SHOULD of what is offered are held")
    lines += ["", "| id | level | state | test or reason |", "|---|---|---|---|", *rows]
    return "\n".join(lines) + END, shares


def share(part, whole):
    """Returns the percentage, or None if there is nothing to count."""
    return 100 * part / whole if whole else None


def percent(number):
    return "-" if number is None else f"{number:.1f} %"


def main():
    faults = Faults()
    known = requirements(faults)
    compare_with_the_list(known, faults)
    made, (offered, applies) = page(known, shown_by(known, faults), faults)
    text = PAGE.read_text()
    head, mark, after = text.partition(START)
    if not mark:
        faults.say(f"{PAGE.name} lacks the line {START.strip()}")
    elif "--write" in sys.argv[1:]:
        PAGE.write_text(head + mark + "\n" + made)
    elif after != "\n" + made:
        faults.say("docs/conformance.md is not what the tests and requirements.txt say: `just conformance --write`")
    for fault in faults:
        print(fault)
    print(f"{len(known)} requirements; of MUST, SHALL and SHOULD {percent(offered)} of what is offered and "
          f"{percent(applies)} of all that applies are held; {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
