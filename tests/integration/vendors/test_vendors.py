"""The files of the catalogue agree with what the vendors document.

The files in presets/catalogue and those in tests/vendors were written by different people. Where they disagree, a test
fails with what is sent and what is documented.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConsentRequired, InvalidGrant
from airflow_provider_oauth.extract.paginators import JsonLinkPaginator, OffsetPaginator
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.hooks.repetition import LIST_RATE_LIMIT_TIMEOUT
from airflow_provider_oauth.presets.vendor_choices import CATALOGUE
from airflow_provider_oauth.presets.vendors import vendor as vendor_file
from sandbox.vendor_example import EXAMPLES, LIST_KEYS, InvalidExample, read_example
from tests.integration.vendors.extras import TO_VENDOR, allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from _pytest.mark.structures import ParameterSet

    from sandbox.vendor_example import Example, Refusal
    from tests.integration.vendors.vendor_run import VendorRun

    Vendor = Callable[[str], AbstractContextManager[VendorRun]]

ALWAYS = 1000
#: Paginators that a DAG needs, because the vendor's file is for any API that trusts the vendor's tokens.
PAGINATORS = {
    "entra": JsonLinkPaginator(path="nextLink"),
    "keycloak": OffsetPaginator(param="first", size_param="max", size=2),
}
#: Parts that an example does not have, and why.
WITHOUT = {
    "auth0": {"authorize", "refresh"},  # the grant client_credentials; auth0-consent has them
    "entra": {"authorize", "refresh"},  # the grant client_credentials; microsoft_graph has them
    "keycloak": {"limit"},  # Keycloak has no rate limit
    "marketo": {"authorize", "refresh"},  # Marketo has only the grant client_credentials
}
#: Vendors whose list is not split into pages.
ONE_PAGE = {"google_sheets"}
#: Fields of the connection form that are not in ``extra``.
STANDARD = ("login", "password", "host")


def documented() -> Iterator[tuple[str, Example]]:
    """Yield the examples by the name of their vendor; a second one for consents is ``NAME-consent``."""
    for path in sorted(EXAMPLES.glob("*.toml")):
        with suppress(InvalidExample):  # test_an_example_is_valid fails
            example = read_example(path)
            yield path.stem, example
            if consent := example.with_consent():
                yield f"{path.stem}-consent", consent


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


def test_each_vendor_of_the_catalogue_has_an_example_unless_it_has_its_own_connection_type() -> None:
    shipped = {path.stem for path in CATALOGUE.glob("*.toml")}
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == {
        name for name in shipped if not vendor_file(name).connection_type
    }


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_all_parts_that_the_vendor_documents(name: str) -> None:
    example = DOCUMENTED[name]
    parts = ("authorize", "refresh", "limit", "error", "token_error")
    assert {part for part in parts if not getattr(example, part)} == WITHOUT.get(name, set())
    assert (len(example.pages) == 1) is (name in ONE_PAGE)
    assert example.error
    assert example.error.text


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


def limits(*, is_long: bool) -> list[ParameterSet]:
    """Return the names of vendors with their limits.

    :param is_long: whether the limits last longer than a task waits
    """
    found = [
        (name, each) for name in NAMES for each in (DOCUMENTED[name].limit, *DOCUMENTED[name].other_limits) if each
    ]
    return [
        pytest.param(name, limit, id=f"{name}-{limit.name}".rstrip("-"))
        for name, limit in found
        if (limit.daily or (limit.wait or 0) > longest_wait(name)) is is_long
    ]


def longest_wait(name: str) -> float:
    """Return how many seconds a task waits for a limit of a vendor."""
    return vendor_file(name.removesuffix("-consent")).rate_limit_timeout or LIST_RATE_LIMIT_TIMEOUT


@pytest.mark.parametrize(("name", "limit"), limits(is_long=True))
def test_a_task_fails_with_an_explanation_if_a_limit_lasts_too_long(vendor: Vendor, name: str, limit: Refusal) -> None:
    with vendor(name) as run:
        run.authorize()
        run.server.refuse("page", limit, ALWAYS)
        with pytest.raises(ApiError) as raised:
            pull(run, name)
        if limit.wait is None:
            assert vendor_file(name).advice[limit.status] in str(raised.value)
        else:
            found = re.search(r" requires a wait of ([\d.]+) s", str(raised.value))
            assert found
            assert limit.wait <= float(found[1]) <= limit.wait + 1


@pytest.mark.parametrize(("name", "limit"), limits(is_long=False))
def test_after_a_limit_the_task_waits_as_documented_and_goes_on(vendor: Vendor, name: str, limit: Refusal) -> None:
    with vendor(name) as run:
        run.authorize()
        run.server.refuse("page", limit)
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
