"""A local authorization server and API, to run the demo and the tests against.

It issues and checks real (random) tokens and refuses what the servers it stands in for would refuse: a wrong content
type, wrong client authentication, expired, revoked or reused tokens, a missing or repeated parameter.

On the command line, ``python -m sandbox --port 0 --state DIR``; in a test, in this process::

    with serve(tmp_path, clock=lambda: now) as sandbox:
        sandbox.state.add_client("standard", "reports", "fake-secret", scopes=["read"])
        requests.post(f"{sandbox.url}/standard/token", ...)
        sandbox.state.misbehave("standard", "token", times=2, status=503)
        sandbox.state.counts()["reports"]["token_requests"]

or in one of its own, for other processes to talk to::

    with SandboxProcess(state_dir) as sandbox:
        sandbox.control("clients", {"server": "standard", "client_id": "reports", "client_secret": "fake-secret"})
        sandbox.control("counts")

======================= =============================================================================================
``/<server>/token``     the token endpoint; servers are ``standard``, ``multipart`` and ``jsonbody``
``/<server>/authorize`` the login and consent page of ``standard`` and ``jsonbody``
``/<server>/revoke``    the revocation endpoint of the same, and at ``.well-known/openid-configuration`` their metadata
``/<server>/api/...``   the API: items, items/{id}, ready/{key}, admin, redirect, whoami
``/justlogin/...``      the vendor's own paths; token endpoint ``v1/auth/connect/token``
``/justimmo/...``       the vendor's own paths; token endpoint ``access_token``
``/joor/...``           the vendor's own paths; token endpoint ``auth/``
``/_control/...``       clients, grants, codes, counts, counts/reset, issued, misbehave, behave, revoke
======================= =============================================================================================

``server`` runs it · ``authorization`` the token endpoint (``bodies`` reads, ``client_auth`` authenticates, ``errors``
answers) · ``consent`` the login and consent page · ``revocation`` · ``metadata`` · ``user_agent`` a browser without a
screen · ``api`` the API · ``control`` the switches · ``state`` the memory, of ``records`` · ``vendors`` what each
server is like.
"""
