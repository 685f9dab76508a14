"""The files of the catalogue agree with what the vendors document.

The files in presets/catalogue and those in tests/vendors were written by different people. Where they disagree, a test
fails with what is sent and what is documented.
"""

from __future__ import annotations

import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConsentRequired, InvalidGrant
from airflow_provider_oauth.extract.paginators import JsonLinkPaginator, OffsetPaginator
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets.vendors import CATALOGUE
from sandbox.vendor_example import EXAMPLES, LIST_KEYS, InvalidExample, read_example
from tests.integration.vendors.extras import TO_VENDOR, allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sandbox.vendor_example import Example, Refusal
    from tests.integration.vendors.vendor_run import VendorRun

    Vendor = Callable[[str], AbstractContextManager[VendorRun]]

ALWAYS = 1000
#: Paginators that a DAG needs, because the vendor's file is for any API that trusts the vendor's tokens.
PAGINATORS = {
    "entra": JsonLinkPaginator(path="nextLink"),
    "keycloak": OffsetPaginator(param="first", size_param="max", size=2),
}
#: Fields of the connection form that are not in ``extra``.
STANDARD = ("login", "password", "host")


def described(name: str) -> bool:
    """Return whether the catalogue describes how to get tokens from a vendor."""
    path = CATALOGUE / f"{name}.toml"
    return path.exists() and "grants" in tomllib.loads(path.read_text(encoding="utf-8"))


def documented() -> Iterator[tuple[str, Example]]:
    """Yield the examples of vendors in the catalogue by name; a second one for consents is ``NAME-consent``."""
    for path in sorted(EXAMPLES.glob("*.toml")):
        with suppress(InvalidExample):  # test_an_example_is_valid fails
            example = read_example(path)
            consent = example.with_consent()
            if described(path.stem):
                yield from ((path.stem, example), *([(f"{path.stem}-consent", consent)] if consent else []))


DOCUMENTED = dict(documented())
NAMES = list(DOCUMENTED)


def pull(run: VendorRun, name: str) -> tuple[dict[str, Any], list[Any]]:
    """Run the task; return its result and rows."""
    return run.pull(**({"paginator": PAGINATORS[name]} if name in PAGINATORS else {}))


def with_part(part: str) -> list[str]:
    """Return the vendors whose example has a part."""
    return [name for name in NAMES if getattr(DOCUMENTED[name], part)]


@pytest.fixture
def vendor(play: Callable[..., AbstractContextManager[VendorRun]]) -> Vendor:
    """Play a vendor for a connection with only its name, and what a user enters."""

    def playing(name: str) -> AbstractContextManager[VendorRun]:
        vendor = name.removesuffix("-consent")
        return play(DOCUMENTED[name], vendor, allowed(vendor))

    return playing


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted(EXAMPLES.glob("*.toml"))])
def test_an_example_is_valid(path: Path) -> None:
    read_example(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_user_enters_only_fields_of_the_form(name: str) -> None:
    assert set(DOCUMENTED[name].connection) <= {*FIELDS, *STANDARD, *LIST_KEYS}


@pytest.mark.parametrize("name", with_part("authorize"))
def test_a_connection_is_authorized(vendor: Vendor, name: str) -> None:
    with vendor(name) as run:
        run.authorize()
        others = ("discovery", "lookup")
        assert [step for step in run.server.steps() if step not in others] == ["authorize", "token"]


@pytest.mark.parametrize("name", NAMES)
def test_a_task_reads_all_documented_rows(vendor: Vendor, name: str) -> None:
    with vendor(name) as run:
        run.authorize()
        rows = pull(run, name)[1]
        assert rows == run.example.rows
        pages = [step for step in run.server.steps() if step.startswith("page")]
        assert pages == [f"page {number}" for number in range(1, len(run.example.pages) + 1)]


@pytest.mark.parametrize("name", with_part("refresh"))
def test_a_token_is_renewed_and_used(vendor: Vendor, name: str) -> None:
    with vendor(name) as run:
        run.authorize()
        run.renew()
        assert run.server.steps()[-1] == "refresh"
        assert pull(run, name)[1] == run.example.rows
        assert run.server.extras >= set(TO_VENDOR.get(name, {})), "remove what is not sent from extras.py"


LIMITS = [
    pytest.param(name, limit, id=f"{name}-{limit.name}".rstrip("-"))
    for name in NAMES
    for limit in (DOCUMENTED[name].limit, *DOCUMENTED[name].other_limits)
    if limit
]


@pytest.mark.parametrize(("name", "limit"), LIMITS)
def test_after_a_limit_the_task_waits_as_documented_and_goes_on(vendor: Vendor, name: str, limit: Refusal) -> None:
    with vendor(name) as run:
        run.authorize()
        run.server.refuse("page", limit)
        if limit.wait and limit.wait > run.hook.rate_limit_timeout:
            with pytest.raises(ApiError, match="The API requires a wait of"):
                pull(run, name)
            return
        result, rows = pull(run, name)
        assert (rows, result["waits"]) == (run.example.rows, 1)
        if limit.wait is not None:
            assert limit.wait <= result["waited"] <= limit.wait + 1


@pytest.mark.parametrize("name", with_part("expired"))
def test_a_task_renews_a_token_that_the_api_refuses_as_expired(vendor: Vendor, name: str) -> None:
    with vendor(name) as run:
        expired = run.example.expired
        assert expired
        run.authorize()
        run.server.refuse("page", expired)
        assert pull(run, name)[1] == run.example.rows
        assert {"refresh", "token"} & set(run.server.steps()[run.server.steps().index("page 1") :])


@pytest.mark.parametrize("name", with_part("error"))
def test_the_error_of_a_task_quotes_the_documented_text(vendor: Vendor, name: str) -> None:
    with vendor(name) as run:
        error = run.example.error
        assert error
        run.authorize()
        run.server.refuse("page", error, ALWAYS)
        with pytest.raises(ApiError) as raised:
            pull(run, name)
        assert (error.text or "") in str(raised.value)


@pytest.mark.parametrize("name", [name for name in with_part("token_error") if DOCUMENTED[name].refresh])
def test_a_refused_refresh_token_requires_a_new_consent(vendor: Vendor, name: str) -> None:
    with vendor(name) as run:
        refusal = run.example.token_error
        assert refusal
        run.authorize()
        if run.example.authorize is None:
            pull(run, name)
        run.server.refuse("refresh", refusal, ALWAYS)
        with pytest.raises((ConsentRequired, InvalidGrant)):
            run.renew()
