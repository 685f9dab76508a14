"""Consent, from the browser to the stored token, with the sandbox's pages and a user agent without a screen."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_oauth import variable_store
from airflow_provider_oauth.cli.loopback import Loopback
from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied, ConsentRequired, TokenStoreError
from airflow_provider_oauth.hooks import grants
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.oauth.clock import Clock
from airflow_provider_oauth.oauth.consent import Consent, authorization_url

SECRET = "fake-secret+/%="
BACK = "https://airflow.example.com/oauth/callback"


@pytest.fixture
def connect(monkeypatch, variables, sandbox):
    """Define the connection ``api`` at one of the sandbox's servers."""
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    monkeypatch.setattr(variable_store, "_delete", variables.pop)

    def define(server, **extra):
        scopes = ["openid"] if server == "justlogin" else ["read"]
        sandbox.state.add_client(server, "app", SECRET, scopes=scopes)
        extra = {"grant_type": "authorization_code", "leeway": 60, **extra}
        values = {"conn_type": server, "login": "app", "password": SECRET}
        if server == "jsonbody":
            url = f"{sandbox.url}/jsonbody"
            values |= {"conn_type": "oauth", "host": f"{url}/api"}
            extra |= {"grant_url": f"{url}/token", "authorize_url": f"{url}/authorize", "revoke_url": f"{url}/revoke"}
            extra |= {"body_format": "json", "client_auth": "client_secret_post"}
        else:
            extra["environment"] = f"{sandbox.url}/{server}"
        monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps({**values, "extra": extra}))
        return OAuthHook("api").config

    return define


def consent_to(url, answer="yes"):
    """Do what a person does in a browser; return where it is sent to."""
    assert requests.get(url, timeout=10).status_code == 200
    page = requests.post(url, data={"username": "ada", "consent": answer}, timeout=10, allow_redirects=False)
    assert page.status_code == 303
    return page.headers["Location"]


def ask(config):
    consent = Consent(conn_id="api", redirect_uri=BACK)
    return consent, authorization_url(config, consent)


ENDPOINT = {"jsonbody": "items", "justlogin": "membership/v3/users", "justimmo": "oauth/user/current"}


@pytest.mark.parametrize("server", ENDPOINT)
def test_a_persons_consent_lets_tasks_call_the_api(connect, server):
    config = connect(server)
    with pytest.raises(ConsentRequired):
        OAuthHook("api").get_token()
    assert grants.status(config).needs_consent
    consent, url = ask(config)
    grants.finish(config, consent, consent_to(url))
    assert OAuthHook("api").run(ENDPOINT[server]).ok
    status = grants.status(config)
    assert status.usable
    assert not status.needs_consent


def test_from_then_on_refresh_tokens_rotate_as_usual(connect, sandbox):
    config = connect("jsonbody")
    consent, url = ask(config)
    grants.finish(config, consent, consent_to(url))
    for _ in range(3):
        before = grants.status(config).token
        assert grants.renew(config).access_token != before.access_token
    counts = sandbox.state.counts()["app"]
    assert counts["token_requests_by_grant"] == {"authorization_code": 1, "refresh_token": 3}
    assert counts["refresh_reused"] == 0


def test_a_second_consent_replaces_the_first_grant(connect, sandbox):
    config = connect("jsonbody")
    for _ in range(2):
        consent, url = ask(config)
        first = grants.finish(config, consent, consent_to(url))
    assert grants.status(config).token.access_token == first.access_token
    assert OAuthHook("api").run("items").ok


def test_consent_is_kept_over_what_was_granted_to_another_secret(connect, sandbox):
    config = connect("jsonbody")
    consent, url = ask(config)
    grants.finish(config, consent, consent_to(url))
    sandbox.state.add_client("jsonbody", "app", "another-fake-secret", scopes=["read"])
    changed = replace(config, client_secret="another-fake-secret")
    assert grants.status(changed).changed
    assert grants.status(changed).needs_consent
    consent, url = ask(changed)
    grants.finish(changed, consent, consent_to(url))
    assert grants.status(changed).usable


def test_declined_is_told_and_nothing_is_kept(connect, variables):
    config = connect("justimmo")
    consent, url = ask(config)
    with pytest.raises(ConsentDenied, match="The user denied the request"):
        grants.finish(config, consent, consent_to(url, "no"))
    assert not any(name.startswith("oauth_token") for name in variables)


def test_a_code_is_good_for_who_asked_for_it_only(connect, sandbox):
    config = connect("jsonbody")
    consent, url = ask(config)
    stolen = consent_to(url)
    mine, _ = ask(config)
    with pytest.raises(ConsentDenied, match="state"):
        grants.finish(config, mine, stolen)
    # Even if the attacker could put in the state: the verifier is another one.
    forged = stolen.replace(consent.state, mine.state)
    with pytest.raises(Exception, match="code_verifier"):
        grants.finish(config, mine, forged)


def test_an_answer_is_good_once(connect):
    config = connect("jsonbody")
    consent, url = ask(config)
    answer = consent_to(url)
    grants.finish(config, consent, answer)
    with pytest.raises(Exception, match="invalid_grant|used"):
        grants.finish(config, consent, answer)


def test_a_code_that_came_too_late_is_told(connect, sandbox_clock):
    config = connect("justimmo")
    consent, url = ask(config)
    answer = consent_to(url)
    sandbox_clock.advance(61)  # Justimmo's codes live for a minute
    with pytest.raises(Exception, match="(?i)authorization code has expired"):
        grants.finish(config, consent, answer)


def test_revoked_is_revoked_at_the_server_and_forgotten_here(connect, sandbox):
    config = connect("jsonbody")
    consent, url = ask(config)
    token = grants.finish(config, consent, consent_to(url))
    grants.revoke(config)
    assert grants.status(config).token is None
    headers = {"Authorization": f"Bearer {token.access_token}"}
    assert requests.get(f"{sandbox.url}/jsonbody/api/items", headers=headers, timeout=10).status_code == 401
    with pytest.raises(TokenStoreError, match="no token stored"):
        grants.revoke(config)


def test_what_cannot_be_revoked_is_not_forgotten(connect):
    config = connect("justimmo")
    consent, url = ask(config)
    grants.finish(config, consent, consent_to(url))
    with pytest.raises(ConfigurationError, match="revoke_url"):
        grants.revoke(config)
    assert grants.status(config).usable


def test_forgotten_is_forgotten_here_alone(connect):
    config = connect("jsonbody")
    consent, url = ask(config)
    grants.finish(config, consent, consent_to(url))
    grants.forget(config)
    assert grants.status(config).needs_consent


# --- on this machine


def test_the_loopback_takes_the_answer_and_nothing_else(capsys):
    with Loopback(None) as loopback:
        assert urlsplit(loopback.redirect_uri).hostname == "127.0.0.1"
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(loopback.answer()))
        waiting.start()
        icon = requests.get(loopback.redirect_uri + "favicon.ico", timeout=10)
        page = requests.get(loopback.redirect_uri + "?code=fake-code&state=s", timeout=10)
        waiting.join(10)
    assert icon.status_code == 404
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert answers == ["/?code=fake-code&state=s"]
    assert "fake-code" not in page.text
    assert "fake-code" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("uri", ["https://127.0.0.1:1/", "http://airflow.example.com/", "http://0.0.0.0:1/"])
def test_the_loopback_is_this_machine(uri):
    with pytest.raises(ConfigurationError, match="this machine"):
        Loopback(uri)
