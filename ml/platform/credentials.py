"""Secrets of one home: generated once, kept in files that only the owner may read."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from ml.platform.state import write_private

LOGIN = "admin"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What Airflow's parts share, and the one login. `fresh`: just made, so the password is worth showing."""

    password: str
    fernet_key: str
    jwt_secret: str
    api_secret: str
    fresh: bool = False


def password_file(home: Path) -> Path:
    """Airflow's own format: {login: password}."""
    return home / "airflow" / "password.json"


def _secrets_file(home: Path) -> Path:
    return home / "airflow" / "secrets.json"


def credentials(home: Path) -> Credentials:
    """Read the home's secrets, or make them."""
    file = _secrets_file(home)
    if file.is_file() and password_file(home).is_file():
        return Credentials(password=read_password(home), **json.loads(file.read_text()))
    made = {
        "fernet_key": _fernet_key(),
        "jwt_secret": secrets.token_hex(64),
        "api_secret": secrets.token_hex(32),
    }
    password = secrets.token_urlsafe(12)
    write_private(file, json.dumps(made))
    write_private(password_file(home), json.dumps({LOGIN: password}))
    return Credentials(password=password, fresh=True, **made)


def read_password(home: Path) -> str:
    """The password of the one login."""
    return str(json.loads(password_file(home).read_text())[LOGIN])


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
