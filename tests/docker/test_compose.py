"""`docker/compose.yaml`: valid for the real tool, and what production asks for holds for every service."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ALWAYS_ON = sorted(name for name in SERVICES if name != "prepare")


def tool() -> list[str] | None:
    """The command of the Compose tool that is installed here; it needs no engine for `config`."""
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


@pytest.mark.skipif(tool() is None, reason="neither docker compose nor docker-compose is installed here")
def test_the_tool_itself_finds_nothing_wrong() -> None:
    command = [*(tool() or []), "-f", str(DOCKER / "compose.yaml"), "config"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    resolved = yaml.safe_load(said.stdout)
    assert set(resolved["services"]) == set(SERVICES)


def test_the_databases_the_queue_the_store_and_every_part_of_airflow_are_there() -> None:
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    assert set(SERVICES) == airflow | {"postgres", "redis", "store", "prepare", "mlflow", "proxy"}


def test_nothing_is_published_but_the_proxy() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert not any("network_mode" in service for service in SERVICES.values())
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert {name for name in SERVICES if "edge" in SERVICES[name]["networks"]} == {"proxy"}
    assert {name for name in SERVICES if "outward" in SERVICES[name]["networks"]} == {"worker"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_root_or_can_become_it(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", service["user"])
    assert service["cap_drop"] == ["ALL"] and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"] and service["read_only"] is True


def test_tags_are_exact_versions() -> None:
    built = {name: service["image"] for name, service in SERVICES.items() if "build" in service}
    images = [service["image"] for name, service in SERVICES.items() if name not in built]
    images += re.findall(r"^FROM (\S+:\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 6 and all(re.search(r":\d+\.\d+(\.\d+)?(-[a-z-]+)?$", image) for image in images), (
        images
    )


@pytest.mark.parametrize("name", ALWAYS_ON)
def test_every_service_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_that_the_service_is_given(name: str) -> None:
    service = SERVICES[name]
    given = set(service.get("secrets", []))
    assert given <= set(COMPOSE["secrets"])
    text = yaml.safe_dump({key: service.get(key) for key in ("environment", "command", "entrypoint")})
    assert set(re.findall(r"/run/secrets/([\w.]+)", text)) <= given
    for variable, value in service.get("environment", {}).items():
        secret = re.search(r"PASSWORD|SECRET|FERNET|ACCESS_KEY|_CONN|BROKER|_URL$|BACKEND_STORE", variable)
        if secret and "://" not in str(value):
            assert str(value).startswith("/run/secrets/"), variable
        assert "@" not in str(value), variable  # no address with a password


def test_every_service_that_runs_our_processes_forbids_pickles() -> None:
    ours = [name for name, service in SERVICES.items() if "/opt/bellwether/docker/entry.sh" in str(service)]
    assert len(ours) == 7
    for name in ours:
        assert SERVICES[name]["environment"]["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false", name


def test_secrets_are_made_once_and_differ_from_installation_to_installation(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed here")
    made = [_made(tmp_path / name) for name in ("one", "two", "one")]
    assert made[0] == made[2]
    assert set(made[0]) >= set(COMPOSE["secrets"])
    same = [name for name in made[0] if made[0][name] == made[1][name]]
    assert same == []
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0


def _made(folder: Path) -> dict[str, bytes]:
    script = ["sh", str(DOCKER / "make-secrets.sh"), str(folder)]
    subprocess.run(script, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_secret_without_a_file_is_named(tmp_path: Path) -> None:
    script = ["sh", str(DOCKER / "entry.sh"), "true"]
    environment = {"PATH": "/usr/bin:/bin", "BELLWETHER_LEDGER_URL_FROM_FILE": str(tmp_path / "none")}
    said = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 64
    assert "BELLWETHER_LEDGER_URL" in said.stderr and "make-secrets.sh" in said.stderr


def test_a_secret_becomes_a_variable_whatever_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a b'c\"$(touch pwned)`touch pwned`\\n*")
    script = ["sh", str(DOCKER / "entry.sh"), "sh", "-c", 'printf %s "$X"; env | grep -c FROM_FILE']
    environment = {"PATH": "/usr/bin:/bin", "X_FROM_FILE": str(tmp_path / "secret")}
    said = subprocess.run(script, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert said.stdout == "a b'c\"$(touch pwned)`touch pwned`\\n*0\n"
    assert not (tmp_path / "pwned").exists()
