"""Templates in the values that DAG authors pass to operators.

Airflow renders a value of another type than text, list, dict, set and tuple by setting its attributes. The values of
this package, such as paginators, are frozen, so they are replaced by rendered copies.

Airflow stores the template fields of an operator with the DAG and with each task instance, where everyone who can read
the DAG can read them. Headers and bodies are not stored: see :class:`HiddenField`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import XComArg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class HiddenValues:
    """The values of the hidden fields of an operator. Airflow stores its ``repr``.

    :param values: the values by name of the field
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    template_fields: ClassVar[tuple[str, ...]] = ("values",)

    def __repr__(self) -> str:
        """Return the names of the fields that are set, and the values of this package, which show nothing private."""
        shown = {name: value if _is_frozen(value) else "***" for name, value in self.values.items() if value}
        return ", ".join(f"{name}={shown[name]}" for name in sorted(shown))


class HiddenField:
    """A template field of an operator whose value Airflow does not store.

    The field is in ``template_fields`` of the class, as all others. In the operator, ``template_fields`` has
    ``hidden_values`` instead.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember the name of the field."""
        self._name = name

    def __get__(self, task: Any, owner: type) -> Any:
        """Return the value; None if it is not set."""
        return self if task is None else task.hidden_values.values.get(self._name)

    def __set__(self, task: Any, value: Any) -> None:
        """Set the value, and make the tasks whose results it contains upstream tasks, as Airflow does."""
        task.hidden_values = HiddenValues({**task.hidden_values.values, self._name: value})
        hidden = task.hidden_values.values.keys()
        shown = [name for name in type(task).template_fields if name not in hidden]
        task.template_fields = (*shown, "hidden_values")
        set_upstream(task, value)


class RendersValues:
    """Lets an operator render templates in frozen values, and hide the values of some fields."""

    template_fields: Sequence[str]
    hidden_values: Any = HiddenValues()

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render the templates in ``content``. A frozen value with ``template_fields`` is replaced by a copy."""
        if not _is_frozen(content):
            return super().render_template(content, context, jinja_env, seen_oids)  # type: ignore[misc]
        if seen_oids and id(content) in seen_oids:  # the result of another task, which is not a template
            return content
        rendered = {
            name: self.render_template(getattr(content, name), context, jinja_env, seen_oids)
            for name in content.template_fields
        }
        return replace(content, **rendered)


def set_upstream(task: Any, value: Any) -> None:
    """Make the tasks whose results ``value`` contains upstream tasks of ``task``.

    :param task: an operator
    :param value: any value; Airflow itself does not look into the frozen values in it
    """
    XComArg.apply_upstream_relationship(task, list(_leaves(value)))


def _leaves(value: Any) -> Iterator[Any]:
    if _is_frozen(value):
        value = [getattr(value, name) for name in value.template_fields]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple, set)):
        yield value
        return
    for each in value:
        yield from _leaves(each)


def _is_frozen(value: Any) -> bool:
    """Return whether Airflow cannot render ``value``, because it is a frozen dataclass with template fields."""
    return (
        is_dataclass(value)
        and not isinstance(value, type)
        and hasattr(value, "template_fields")
        and value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    )
