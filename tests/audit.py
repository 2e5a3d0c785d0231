"""`python tests/audit.py [--strict]`: known vulnerabilities of the locked requirements, by pip-audit.

Where no index of advisories answers within the time, that is said aloud, and it is no failure. A finding is said aloud
too; it fails only with --strict (`make audit`), for an advisory of tomorrow must not turn a commit of today red.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.txt", "docker/requirements.txt")
SECONDS = 150


def findings() -> list[str] | str:
    """One line per vulnerability; or, as one text, why nothing was asked."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        locks = [part for lock in LOCKS for part in ("-r", str(ROOT / lock))]
        options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "5"]
        command = [sys.executable, "-m", "pip_audit", *locks, *options, "-f", "json", "-o", str(report)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"no whole answer within {SECONDS} seconds"
        if not report.exists() or not report.read_text().strip():
            return (done.stderr.strip().splitlines() or ["no answer"])[-1][:200]
        packages = json.loads(report.read_text())["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    if len(asked) < len(packages) / 2:
        return f"the index knows {len(asked)} of {len(packages)} packages: it is no index of advisories"
    return [
        f"{package['name']} {package['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none'}"
        for package in asked
        for found in package.get("vulns", [])
    ]


def main() -> int:
    """Print what was found; 1 with --strict and a finding."""
    found = findings()
    if isinstance(found, str):
        sys.stdout.write(f"AUDIT SKIPPED: the lock was not compared with known vulnerabilities ({found})\n")
        return 0
    if not found:
        sys.stdout.write("audit: no known vulnerability in the locked requirements\n")
        return 0
    sys.stdout.write(
        "".join(
            ["AUDIT: known vulnerabilities in the locked requirements:\n", *(f"  {line}\n" for line in found)]
        )
    )
    return 1 if "--strict" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
