"""One sandbox, one Airflow and one Chromium for all browser tests."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from playwright.sync_api import sync_playwright

from sandbox.airflow import Airflow
from sandbox.server import SandboxProcess
from tests.browser.form import ConnectionsPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
#: A vendor file of the user.
ACME = """
label = "Ünal Acme"
documentation = ["https://docs.acme.example"]
endpoint_prefix = "v1"

[values.subdomain]
label = "Subdomain"
description = "The first part of the address of your account."
example = "my-company"

[fields]
host = "https://{subdomain}.acme.example"
grant_url = "https://{subdomain}.acme.example/token"
client_auth = "client_secret_post"
body_format = "json"
token_method = "POST"
use_refresh = true
default_lifetime = 600

[grants.authorization_code]
authorize_url = "https://{subdomain}.acme.example/authorize"
scope = "read"
[grants.client_credentials]
"""


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """The authorization servers and APIs."""
    with SandboxProcess(tmp_path_factory.mktemp("browser_sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def vendor_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``[oauth] vendor_folder`` with a valid vendor file and an invalid one."""
    folder = tmp_path_factory.mktemp("vendors")
    (folder / "acme.toml").write_text(ACME)
    (folder / "zzz_invalid.toml").write_text("label = ")
    return folder


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, vendor_folder: Path) -> Iterator[Airflow]:
    """Airflow without connections, with an administrator, an operator and a viewer."""
    home, dags = tmp_path_factory.mktemp("browser_airflow"), Path(__file__).parent / "dags"
    env = {"AIRFLOW__OAUTH__VENDOR_FOLDER": str(vendor_folder)}
    users = {"admin": "admin", "otto": "op", "vic": "viewer"}
    with Airflow(home, dags, env=env, users=users, api_server_workers=2) as airflow:
        airflow.wait_until_parsed(["uses_connection"])
        yield airflow


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one at $CHROMIUM."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not os.access(path, os.X_OK):
        pytest.fail(f"Chromium is not executable at {path}. Install chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def log_in(chromium: Browser, airflow: Airflow) -> Iterator[Callable[..., Page]]:
    """Open a new browser window, log in as one of Airflow's users, and return the page."""
    contexts = []

    def start(user: str, **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1000}, **options})
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto(f"{airflow.url}/connections")
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(airflow.password_of(user))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_test_id("nav-sidebar").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()


@pytest.fixture
def page(log_in: Callable[..., Page]) -> Page:
    """A tab in which the administrator is logged in."""
    return log_in("admin", permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def connections(page: Page, airflow: Airflow) -> ConnectionsPage:
    """Airflow's connections page."""
    return ConnectionsPage(page, airflow.url)


@pytest.fixture
def stored(airflow: Airflow) -> Callable[[str], dict[str, Any]]:
    """Read a decrypted connection from the database, with extra as a dict. The API would redact it."""
    fernet = Fernet(json.loads((airflow.home / "keys.json").read_text())["fernet_key"])

    def read(conn_id: str) -> dict[str, Any]:
        with closing(sqlite3.connect(f"file:{airflow.home / 'airflow.db'}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            row = dict(database.execute("SELECT * FROM connection WHERE conn_id = ?", [conn_id]).fetchone())
        for name, flag in (("password", "is_encrypted"), ("extra", "is_extra_encrypted")):
            if row[name] and row[flag]:
                row[name] = fernet.decrypt(row[name].encode()).decode()
        return {**row, "extra": json.loads(row["extra"] or "{}")}

    return read
