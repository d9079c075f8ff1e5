"""What others wrote: is a locked package known to be vulnerable, and what is in the container?

python -m authoring.supply_chain audit     # make audit
python -m authoring.supply_chain sbom      # make sbom: a software bill of materials (--gpu)
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from service.errors import write_command

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (ROOT / "requirements.lock", ROOT / "service/deploy/requirements.txt")
CUDA_LOCK = ROOT / "service/deploy/requirements.cuda.txt"
"""What the container for GPUs has besides; requirements.lock has it, too."""
REPORTS = ROOT / "reports"
FOUND, UNKNOWN = 1, 2
"""Exit statuses: a vulnerability is known; or nothing could be found out."""
_PROGRAMS = Path(sys.executable).parent


def audit(locks: list[Path], osv_url: str | None = None) -> int:
    """Ask pip-audit for known vulnerabilities of locked packages; returns the exit status.

    Args:
        locks: files of exact versions with hashes.
        osv_url: another service to ask than PyPI, one that speaks the protocol of osv.dev.
    """
    status = 0
    for lock in locks:
        # The lock says everything, so nothing is downloaded, built or run.
        command: list[str | Path] = [
            *(_PROGRAMS / "pip-audit", "--requirement", lock, "--disable-pip", "--require-hashes"),
            *("--progress-spinner", "off", "--format", "json"),
            *(("--vulnerability-service", "osv", "--osv-url", osv_url) if osv_url else ()),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        try:
            packages = json.loads(done.stdout)["dependencies"]
        except ValueError:
            reason = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
            print(
                f"error: {lock.name} was not checked, so nothing is known: {reason}. "
                "An audit needs the network; run it again when there is one",
                file=sys.stderr,
            )
            return UNKNOWN
        found = [(package, one) for package in packages for one in package.get("vulns", ())]
        for package, one in found:
            mended = ", ".join(one["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {one['id']}, mended in {mended}")
        print(f"{lock.name}: {len(packages)} packages, {len(found)} known vulnerabilities")
        skipped = [package["name"] for package in packages if "skip_reason" in package]
        if skipped:
            print(
                f"error: {len(skipped)} of them were not checked, because the service does not "
                f"know them: {', '.join(skipped[:5])}{' …' if len(skipped) > 5 else ''}. "
                "Ask another one (--osv-url https://api.osv.dev/v1/query)",
                file=sys.stderr,
            )
            status = status or UNKNOWN
        status = FOUND if found else status
    return status


def write_sbom(output: Path, *requirements: Path) -> int:
    """Write the bill of materials of the packages in these files (CycloneDX 1.6, JSON).

    It is the same for the same requirements, and is validated before it is written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        *(_PROGRAMS / "cyclonedx-py", "requirements", "-"),
        *("--pyproject", ROOT / "pyproject.toml", "--spec-version", "1.6", "--validate"),
        *("--output-reproducible", "--output-file", output),
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    text = "".join(file.read_text() for file in requirements)
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["cyclonedx-py said nothing"])[-1]
        names = " and ".join(map(str, requirements))
        print(f"error: no bill of materials of {names}: {reason}", file=sys.stderr)
        return 1
    count = len(json.loads(output.read_text())["components"])
    print(f"{output}: {count} packages")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one of the two commands; returns the exit status."""
    parser = argparse.ArgumentParser(prog=write_command("authoring.supply_chain"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    ask = commands.add_parser("audit", help="look for known vulnerabilities")
    ask.add_argument("locks", nargs="*", type=Path, default=LOCKS, help="files to check")
    ask.add_argument("--osv-url", help="ask this service instead of PyPI")
    write = commands.add_parser("sbom", help="write what is in the container")
    write.add_argument("--gpu", action="store_true", help="of the container for GPUs")
    write.add_argument("output", nargs="?", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "audit":
        return audit(list(options.locks), options.osv_url)
    name = "sbom.gpu.cdx.json" if options.gpu else "sbom.cdx.json"
    locks = (LOCKS[1], CUDA_LOCK) if options.gpu else (LOCKS[1],)
    return write_sbom(options.output or REPORTS / name, *locks)


if __name__ == "__main__":
    sys.exit(main())
