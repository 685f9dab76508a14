"""Runs Django OAuth Toolkit with SQLite and an API that it protects: ``python django_server.py OPTIONS``.

OPTIONS is a JSON object:

- ``port``: the TCP port on 127.0.0.1
- ``lifetime``: the lifetime of access tokens in seconds
- ``folder``: the folder of the database
- ``clients``: the values of Django OAuth Toolkit's ``Application``, one object per client
- ``users``: passwords by user name

The server follows the recommendations of RFC 9700 that version 4 will enforce. The consent page is Django OAuth
Toolkit's page. Each token request, revocation and API call is logged as one line of JSON on stdout.
"""

from __future__ import annotations

import json
import os
import sys
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import include, path

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

LOGIN_PAGE = "<form method='post'>{% csrf_token %}{{ form }}<button>Log in</button></form>"
STRICT = (
    "IMPLICIT_GRANT", "PASSWORD_GRANT", "PKCE_METHOD", "ACCESS_TOKEN_TRANSPORT", "AUTHZ_RESPONSE_ISS", "TOKEN_STORAGE",
    "REFRESH_TOKEN", "REDIRECT_URI_SCHEME", "REDIRECT_URI_MATCHING", "PKCE_REQUIRED",
)  # fmt: skip


def configure(options: dict[str, Any]) -> None:
    """Configure Django, and create the database, the clients and the users."""
    templates = {"registration/login.html": LOGIN_PAGE}
    context = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth"]
    settings.configure(
        SECRET_KEY="made-up",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        LOGIN_URL="/login/",
        USE_TZ=True,
        # A fast hash function, as Django recommends for tests.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            f"{__name__}.logged",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "context_processors": context,
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", templates),
                        "django.template.loaders.app_directories.Loader",
                    ],
                },
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": f"{options['folder']}/django.sqlite3",
                # A writing transaction waits for others when it starts, as on PostgreSQL.
                "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            }
        },
        OAUTH2_PROVIDER={
            "SCOPES": {"read": "Read", "write": "Write", "admin": "Administer"},
            "DEFAULT_SCOPES": ["read"],
            "ACCESS_TOKEN_EXPIRE_SECONDS": options["lifetime"],
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            **{f"COMPLIANT_BCP_RFC9700_{name}": True for name in STRICT},
        },
    )  # fmt: skip
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from django.contrib.auth.views import LoginView
    from oauth2_provider.decorators import protected_resource
    from oauth2_provider.models import get_application_model

    for name, password in options["users"].items():
        User.objects.create_user(name, password=password)
    for client in options["clients"]:
        get_application_model().objects.create(**client)
    urlpatterns.extend(
        [
            path("login/", LoginView.as_view()),
            path("", include("oauth2_provider.urls")),
            path("api/me", protected_resource(["read"])(me)),
            path("other/me", protected_resource(["read"])(me)),
            path("api/admin", protected_resource(["admin"])(admin)),
        ]
    )


def log(event: str, **fields: Any) -> None:
    """Write an event to stdout in one call, because several threads write."""
    os.write(sys.stdout.fileno(), f"{json.dumps({'event': event, **fields})}\n".encode())


def logged(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware that logs token requests, revocations and API calls before the response is sent."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith(("/api/", "/other/")):
            log("api", path=request.path, status=response.status_code)
        elif request.path == "/token/":
            values = json.loads(response.content)
            log("token", grant_type=request.POST.get("grant_type"), resource=request.POST.get("resource"),
                error=values.get("error"), status=response.status_code)  # fmt: skip
        elif request.path == "/revoke_token/":
            log("revocation", kind=request.POST.get("token_type_hint"), status=response.status_code)
        return response

    return middleware


def me(request: HttpRequest) -> HttpResponse:
    """Return the user of the token."""
    user = request.resource_owner  # type: ignore[attr-defined]
    return JsonResponse({"user": user and user.get_username()})


def admin(request: HttpRequest) -> HttpResponse:
    """Confirm that the token has the scope ``admin``."""
    return JsonResponse({"admin": True})


#: Filled by :func:`configure`, because Django OAuth Toolkit can be imported only after Django is configured.
urlpatterns: list[Any] = []


class Server(ThreadingMixIn, WSGIServer):
    """A server with one thread per connection."""

    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    """A handler without an access log."""

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


def main(options: dict[str, Any]) -> None:
    """Serve until the process is stopped."""
    configure(options)
    with Server(("127.0.0.1", options["port"]), QuietHandler) as server:
        server.set_app(get_wsgi_application())
        server.serve_forever()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
