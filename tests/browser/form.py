"""The page Connections and its form."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

#: The folder for pictures. SCREENSHOTS=docs/images make test-browser updates those of the documentation.
IMAGES = Path(os.environ.get("SCREENSHOTS", ".artifacts")).resolve()
STANDARD_FIELDS = ("host", "login", "password", "description")
#: What the list and the API show instead of a secret.
REDACTED = "***"


class ConnectionsPage:
    """The list of connections.

    :param page: a page with a user logged in
    :param url: Airflow's base URL
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    def open(self) -> None:
        """Load the page."""
        self.page.goto(f"{self._url}/connections")
        self.page.get_by_role("button", name="Add Connection").wait_for()

    def add(self, conn_id: str, type_label: str) -> ConnectionForm:
        """Open the form of a new connection, and select its type."""
        self.open()
        self.page.get_by_role("button", name="Add Connection").click()
        form = ConnectionForm(self.page)
        form.dialog.get_by_label("Connection ID").fill(conn_id)
        form.choose_type(type_label)
        return form

    def edit(self, conn_id: str) -> ConnectionForm:
        """Open the form of an existing connection."""
        self.open()
        row = self.page.get_by_role("row").filter(has=self.page.get_by_role("cell", name=conn_id, exact=True))
        row.get_by_role("button", name="Edit Connection").click()
        return ConnectionForm(self.page)


class ConnectionForm:
    """The dialog with the form. Fields are identified by their key in the connection or its extra."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialog = page.get_by_role("dialog")
        self.dialog.wait_for()

    def choose_type(self, label: str) -> None:
        """Select the connection type."""
        self._choose(self.dialog.get_by_role("combobox", name="Connection Type"), label)
        expect(self.dialog.get_by_role("button", name="Extra Fields", exact=True)).to_be_visible()

    def show(self, section: str) -> None:
        """Open a section: Standard Fields, Extra Fields or Extra Fields JSON."""
        button = self.dialog.get_by_role("button", name=section, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
            expect(button).to_have_attribute("aria-expanded", "true")

    def text(self, name: str, value: str) -> None:
        """Fill in a text, number or password field."""
        field = self._input(name)
        field.fill(value)
        field.press("Tab")

    def fields(self) -> list[str]:
        """Return the names of the fields in the section Extra Fields, in order."""
        elements = self.dialog.locator("[id^=element_], [name^=element_]")
        expect(elements.first).to_be_visible()
        names = [each.get_attribute("name") or each.get_attribute("id") or "" for each in elements.all()]
        return list(dict.fromkeys(name.removeprefix("element_") for name in names))

    def has_field(self, name: str) -> bool:
        """Return whether the form has a standard field."""
        return self._input(name).count() > 0

    def choice(self, name: str, label: str) -> None:
        """Select a choice of a dropdown."""
        self._choose(self._element(name).get_by_role("combobox"), label)

    def open_choices(self, name: str) -> None:
        """Open a dropdown."""
        self._element(name).get_by_role("combobox").click()
        expect(self.page.get_by_role("option").first).to_be_visible()

    def choices(self, name: str) -> list[str]:
        """Return the labels of the choices of a dropdown."""
        self.open_choices(name)
        labels = self.page.get_by_role("option").all_inner_texts()
        self._element(name).get_by_role("combobox").blur()  # Escape may also close the dialog
        expect(self.page.get_by_role("option")).to_have_count(0)
        return labels

    def toggle(self, name: str) -> None:
        """Toggle a switch."""
        self.dialog.locator(f"[id='switch:element_{name}']").click()

    def json(self, name: str, value: dict[str, Any]) -> None:
        """Paste an object into a JSON field."""
        self._paste(self._element(name), value)

    def extra_json(self, value: dict[str, Any]) -> None:
        """Replace the content of the section Extra Fields JSON."""
        self.show("Extra Fields JSON")
        # Sections that were closed still have hidden editors.
        self._paste(self.dialog.locator("section:visible", has=self.page.locator(".view-lines")).last, value)

    def _paste(self, editor: Locator, value: dict[str, Any]) -> None:
        # The editor would add closing brackets to typed text.
        editor.scroll_into_view_if_needed()
        editor.locator(".view-lines").click()
        self.page.keyboard.press("Control+a")
        self.page.evaluate("text => navigator.clipboard.writeText(text)", json.dumps(value))
        self.page.keyboard.press("Control+v")
        for key in value:
            expect(editor.locator(".view-lines")).to_contain_text(f'"{key}"')

    def shown(self, name: str) -> str:
        """Return the value of a text, number or password field, or the label of a dropdown's choice."""
        if (
            name not in STANDARD_FIELDS
            and self._element(name).count()
            and self._element(name).get_by_role("combobox").count()
        ):
            return self._element(name).inner_text().strip()
        return self._input(name).input_value()

    def shown_json(self, name: str) -> Any:
        """Return the object in a JSON field."""
        editor = self._element(name)
        editor.scroll_into_view_if_needed()
        return json.loads(editor.locator(".view-lines").inner_text().replace("\u00a0", " "))

    def is_on(self, name: str) -> bool:
        """Return whether a switch is on."""
        return self.dialog.locator(f"[id='switch:element_{name}']").get_attribute("data-state") == "checked"

    def is_masked(self, name: str) -> bool:
        """Return whether a field shows dots."""
        return self._input(name).get_attribute("type") == "password"

    def save(self) -> None:
        """Save, and wait until the dialog is closed."""
        button = self.dialog.get_by_role("button", name="Save")
        expect(button).to_be_enabled()
        button.click()
        expect(self.dialog).to_be_hidden()

    def screenshot(self, path: Path) -> None:
        """Take a picture of the page at its current scroll position."""
        self.page.evaluate("document.activeElement?.blur()")
        self.page.screenshot(path=path, animations="disabled", caret="hide")

    def _input(self, name: str) -> Locator:
        return self.dialog.locator(f"[name={name if name in STANDARD_FIELDS else f'element_{name}'}]")

    def _element(self, name: str) -> Locator:
        return self.dialog.locator(f"[id=element_{name}]")

    def _choose(self, combobox: Locator, label: str) -> None:
        combobox.fill(label)
        self.page.get_by_role("option", name=label, exact=True).click()
