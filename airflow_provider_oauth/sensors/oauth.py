"""The sensor for APIs with OAuth 2.0."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.providers.http.sensors.http import HttpSensor

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, from_event
from airflow_provider_oauth.extract.condition import check_condition, is_fulfilled
from airflow_provider_oauth.hooks.task import OAuthTask
from airflow_provider_oauth.hooks.templates import HiddenField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, PokeReturnValue


class OAuthHttpSensor(OAuthTask, HttpSensor):
    """Waits until an API responds without an error status and its response fulfills a condition.

    In all other respects it is an ``HttpSensor``. The response is not stored.

    If the server refuses the credentials, the task fails without retries. With ``soft_fail``, it is skipped instead, as
    after any other failure.

    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type (templated)
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Not for the grant types
        authorization_code and refresh_token (templated)
    :param endpoint: path relative to the API base URL (templated)
    :param until: JMESPath of a condition, such as ``status == 'done'``. An absent member is false. If the result is not
        a boolean, null, 0, and empty strings, arrays and objects are false; all other values are true. None to accept
        each response (templated)
    :param kwargs: all other parameters of ``HttpSensor``: request_params (templated), headers (templated),
        response_check, response_error_codes_allowlist, extra_options, deferrable, poke_interval (seconds), timeout
        (seconds) and others. With ``response_check``, the sensor waits in the worker, because the triggerer cannot call
        a function of the DAG: use ``until`` instead. A deferred sensor polls again after every error status until its
        timeout, as ``HttpSensor`` does
    :raises ConfigurationError: if a field of the connection or a parameter is invalid, or both ``until`` and
        ``response_check`` are set
    :raises ApiError: if the API responds with an error status that ``response_error_codes_allowlist`` does not contain
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("endpoint", "request_params", "headers", "oauth_conn_id", "scope", "until")
    request_params: Any = HiddenField()

    def __init__(
        self,
        *,
        oauth_conn_id: str = "oauth_default",
        scope: str | None = None,
        until: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(http_conn_id=oauth_conn_id, **kwargs)
        self.oauth_conn_id = oauth_conn_id
        self.scope = scope
        self.until = until
        if until is not None and self.response_check:
            raise ConfigurationError(
                f"Connection {oauth_conn_id!r}: until and response_check are both set. Remove one of them."
            )
        if until is not None:
            check_condition(until, "OAuthHttpSensor")

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Send one request.

        :return: whether the sensor is done, or the result of ``response_check``
        :raises ConfigurationError: if ``until`` cannot be applied to the response
        :raises ApiError: if ``until`` is set and the response is not JSON
        """
        from airflow.providers.common.compat.sdk import determine_kwargs

        self.log.info("Poking: %s", self.endpoint)
        try:
            response = self.hook.run(
                self.endpoint,
                data=self.request_params,
                headers=self.headers,
                extra_options=self.extra_options,
                **self.request_kwargs,
            )
        except ApiError as error:
            if str(error.status_code) in self.response_error_codes_allowlist:
                return False
            raise
        if self.response_check:
            return self.response_check(response, **determine_kwargs(self.response_check, [response], context))
        return self.until is None or is_fulfilled(self.until, response, self.oauth_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait in the worker. With ``deferrable``, send one request in the worker, then wait in the triggerer."""
        with self.reporting_failure():
            return self._execute(context)

    def _execute(self, context: Context) -> Any:
        if self.deferrable and self.response_check:
            self.log.warning(
                "Connection %r: deferrable=True has no effect with response_check, so the task waits in the worker. To "
                "wait in the triggerer, use until instead of response_check.",
                self.oauth_conn_id,
            )
        if not self.deferrable or self.response_check:
            return super().execute(context=context)
        json = self.json_to_defer()
        try:
            found = self.poke(context)
        except AirflowException as error:
            if self.never_fail or (self.soft_fail and isinstance(error, AirflowFailException)):
                raise AirflowSkipException("Skipping the task, because soft_fail or never_fail is set.") from error
            raise
        if not found:
            from airflow_provider_oauth.triggers.oauth import OAuthHttpSensorTrigger

            self.defer(
                timeout=timedelta(seconds=self.timeout),
                trigger=OAuthHttpSensorTrigger(
                    oauth_conn_id=self.oauth_conn_id,
                    method=self.method,
                    endpoint=self.endpoint,
                    headers=self.headers,
                    data=self.request_params,
                    extra_options=self.extra_options,
                    poke_interval=self.poke_interval,
                    scope=self.scope,
                    json=json,
                    until=self.until,
                ),
                method_name="execute_complete",
            )
        return None

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Succeed, or raise the error of the trigger's event."""
        if event and event["status"] == "error":
            raise from_event(event["error"])
        self.log.info("%s completed successfully.", self.task_id)
