"""Requests with signed JWTs are those that the vendor's documentation describes.

The connections are those of ``docs/connections``. What is expected was written down from the vendor's page, whose
address is above each test. Claims that a page does not list are marked.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.keys import PASSPHRASE, certificate, certificate_pem, ec_key, pem, rsa_key
from tests.vendor_connections import documented, sent

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = {
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "client_assertion": "JWT",
}
#: iat, nbf and exp of a JWT that authenticates the client, and of one that is the grant.
CLIENT_TIMES = {"iat": SECONDS - 30, "nbf": SECONDS - 30, "exp": SECONDS + 240}
GRANT_TIMES = {"iat": SECONDS - 5, "exp": SECONDS + 45}
JWT_ID = {"jti": "fake-jwt-id-0001"}


def thumbprint(name: str) -> str:
    """Return a hash of the certificate of the RSA key, as in a JWT header."""
    digest = hashlib.new(name, certificate(rsa_key()).public_bytes(Encoding.DER)).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# --- private_key_jwt


# https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/#get-an-access-token
# https://developer.okta.com/docs/guides/build-self-signed-jwt/java/main/#gather-claims-information
def test_okta(tmp_path: Path) -> None:
    config = documented("private_key_jwt.md", "Okta", tmp_path, pem(rsa_key()))

    found = sent(config, NOW, rsa_key().public_key())

    assert found.request.url == "https://example.okta.com/oauth2/v1/token"
    assert "Authorization" not in found.request.headers
    assert found.params == {
        "grant_type": "client_credentials",
        "scope": "okta.users.read okta.groups.read",
        **CLIENT_ASSERTION,
        "client_id": "CLIENT_ID",  # not in Okta's example; RFC 7521 section 4.2 allows it
    }
    assert found.header == {"alg": "RS256", "typ": "JWT", "kid": "KID_OF_THE_KEY"}
    assert found.claims == {
        "aud": "https://example.okta.com/oauth2/v1/token",
        "iss": "CLIENT_ID",
        "sub": "CLIENT_ID",
        **JWT_ID,
        **CLIENT_TIMES,  # nbf is not in Okta's table
    }
    assert found.claims["exp"] - SECONDS <= 60 * 60
    assert found.claims["iat"] <= SECONDS


# https://learn.microsoft.com/entra/identity-platform/certificate-credentials#assertion-format
# https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
def test_entra_with_a_certificate(tmp_path: Path) -> None:
    key = rsa_key()
    config = documented("private_key_jwt.md", "Microsoft Entra", tmp_path, pem(key), certificate=certificate_pem(key))

    found = sent(config, NOW, key.public_key())

    url = "https://login.microsoftonline.com/TENANT_ID/oauth2/v2.0/token"
    assert found.request.url == url
    assert found.params == {
        "client_id": "APPLICATION_ID",
        "scope": "https://graph.microsoft.com/.default",
        **CLIENT_ASSERTION,
        "grant_type": "client_credentials",
    }
    assert found.header == {
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": thumbprint("sha256"),
        "x5t": thumbprint("sha1"),  # in older versions of the page instead of x5t#S256
    }
    assert found.claims == {
        "aud": url,
        "iss": "APPLICATION_ID",
        "sub": "APPLICATION_ID",
        **JWT_ID,
        **CLIENT_TIMES,
    }
    assert found.claims["exp"] - found.claims["nbf"] <= 5 * 60


# https://docs.oracle.com/en/cloud/saas/netsuite/ns-online-help/section_162755359851.html
# https://docs.oracle.com/en/cloud/saas/netsuite/ns-online-help/section_162790605110.html
def test_netsuite(tmp_path: Path) -> None:
    config = documented("private_key_jwt.md", "NetSuite", tmp_path, pem(rsa_key()))

    found = sent(config, NOW, rsa_key().public_key())

    url = "https://ACCOUNT_ID.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"
    assert found.request.url == url
    assert found.params == {
        "grant_type": "client_credentials",
        **CLIENT_ASSERTION,
        "client_id": "CLIENT_ID",  # not in NetSuite's table; RFC 7521 section 4.2 allows it
    }
    assert found.header == {"typ": "JWT", "alg": "PS256", "kid": "CERTIFICATE_ID"}
    assert found.claims == {
        "iss": "CLIENT_ID",
        "scope": "rest_webservices",
        "aud": url,
        **CLIENT_TIMES,
        # Not in NetSuite's table; required by RFC 7523 section 3, or optional there.
        "sub": "CLIENT_ID",
        **JWT_ID,
    }
    assert found.claims["exp"] - found.claims["iat"] < 60 * 60


# https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
# https://fhir.epic.com/Documentation?docId=oauth2
def test_smart_backend_services_and_epic(tmp_path: Path) -> None:
    key = ec_key("ES384")
    config = documented("private_key_jwt.md", "Epic and other FHIR servers", tmp_path, pem(key))

    found = sent(config, NOW, key.public_key())

    assert found.request.url == "https://fhir.example.org/oauth2/token"
    assert found.params == {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        **CLIENT_ASSERTION,
        "client_id": "CLIENT_ID",  # not in SMART's table; RFC 7521 section 4.2 allows it
    }
    assert found.header == {"alg": "ES384", "kid": "my-key-1", "typ": "JWT"}
    assert found.claims == {
        "iss": "CLIENT_ID",
        "sub": "CLIENT_ID",
        "aud": "https://fhir.example.org/oauth2/token",
        **JWT_ID,
        **CLIENT_TIMES,
    }
    assert len(found.claims["jti"]) <= 151
    assert found.claims["exp"] - SECONDS <= 5 * 60
    assert found.claims["nbf"] <= SECONDS
    assert found.claims["exp"] - found.claims["nbf"] <= 5 * 60
    assert found.claims["exp"] - found.claims["iat"] <= 5 * 60


# SMART requires both algorithms; RS384 is not the usual one of an RSA key.
def test_smart_backend_services_with_an_rsa_key(tmp_path: Path) -> None:
    config = documented(
        "private_key_jwt.md", "Epic and other FHIR servers", tmp_path, pem(rsa_key()), signing_algorithm="RS384"
    )

    assert sent(config, NOW, rsa_key().public_key()).header["alg"] == "RS384"


# https://developer.okta.com/docs/guides/build-self-signed-jwt/java/main/#build-a-jwt-with-a-shared-key
def test_client_secret_jwt_of_okta(tmp_path: Path) -> None:
    config = documented("private_key_jwt.md", "Client secret JWT", tmp_path)

    found = sent(config, NOW, (config.client_secret or "").encode())

    assert found.params == {"grant_type": "client_credentials", **CLIENT_ASSERTION, "client_id": "CLIENT_ID"}
    assert (config.client_secret or "") not in found.request.body.decode()
    assert found.header == {"alg": "HS256", "typ": "JWT"}
    assert found.claims == {
        "iss": "CLIENT_ID",
        "sub": "CLIENT_ID",
        "aud": "https://auth.example.com/oauth/token",
        **JWT_ID,
        **CLIENT_TIMES,
    }


# --- jwt_bearer


def service_account() -> str:
    """Return the JSON file that the Google Cloud console creates, without the members that are not needed."""
    account = {
        "type": "service_account",
        "private_key_id": "fake-key-id",
        "private_key": pem(rsa_key()),
        "client_email": "reports@fake-project.iam.gserviceaccount.com",
        "client_id": "123",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps(account)


# https://developers.google.com/identity/protocols/oauth2/service-account#httprest
@pytest.mark.parametrize("is_pasted", [False, True])
def test_google_service_account(*, is_pasted: bool, tmp_path: Path) -> None:
    pasted = {"private_key": service_account(), "private_key_file": None, "grant_url": None} if is_pasted else {}
    config = documented("jwt_bearer.md", "Google", tmp_path, service_account(), **pasted)

    found = sent(config, NOW, rsa_key().public_key())

    assert found.request.url == "https://oauth2.googleapis.com/token"
    assert "Authorization" not in found.request.headers
    assert found.params == {"grant_type": JWT_BEARER, "assertion": "JWT"}
    assert found.header == {"alg": "RS256", "typ": "JWT", "kid": "fake-key-id"}
    assert found.claims == {
        "iss": "reports@fake-project.iam.gserviceaccount.com",
        "sub": "user@example.com",
        "scope": "https://www.googleapis.com/auth/drive.readonly",
        "aud": "https://oauth2.googleapis.com/token",
        **GRANT_TIMES,
        **JWT_ID,  # not in Google's table
    }
    assert found.claims["exp"] - found.claims["iat"] <= 60 * 60


# https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm
def test_salesforce(tmp_path: Path) -> None:
    config = documented("jwt_bearer.md", "Salesforce", tmp_path, pem(rsa_key()))

    found = sent(config, NOW, rsa_key().public_key())

    assert found.request.url == "https://login.salesforce.com/services/oauth2/token"
    assert "Authorization" not in found.request.headers
    assert found.params == {"grant_type": JWT_BEARER, "assertion": "JWT"}
    assert found.header == {"alg": "RS256", "typ": "JWT"}
    assert found.claims == {
        "iss": "CONSUMER_KEY",
        "sub": "user@example.com",
        "aud": "https://login.salesforce.com",
        **GRANT_TIMES,  # iat is not in Salesforce's list
        **JWT_ID,  # optional: "validates that the JTI claim hasn't been sent before"
    }
    assert found.claims["exp"] - SECONDS <= 3 * 60


# https://developers.docusign.com/platform/auth/jwt-get-token
def test_docusign(tmp_path: Path) -> None:
    config = documented("jwt_bearer.md", "DocuSign", tmp_path, pem(rsa_key()))

    found = sent(config, NOW, rsa_key().public_key())

    assert found.request.url == "https://account.docusign.com/oauth/token"
    assert "Authorization" not in found.request.headers
    assert found.params == {"grant_type": JWT_BEARER, "assertion": "JWT"}
    assert found.header == {"alg": "RS256", "typ": "JWT"}
    assert found.claims == {
        "iss": "INTEGRATION_KEY",
        "sub": "USER_ID",
        "aud": "account.docusign.com",
        "scope": "signature impersonation",
        **GRANT_TIMES,
        **JWT_ID,  # not in DocuSign's table
    }
    assert found.claims["exp"] - found.claims["iat"] <= 60 * 60


# https://developer.box.com/guides/authentication/jwt/without-sdk
def test_box(tmp_path: Path) -> None:
    config = documented("jwt_bearer.md", "Box", tmp_path, pem(rsa_key(), PASSPHRASE), private_key_passphrase=PASSPHRASE)

    found = sent(config, NOW, rsa_key().public_key())

    assert found.request.url == "https://api.box.com/oauth2/token"
    assert "Authorization" not in found.request.headers
    assert found.params == {
        "grant_type": JWT_BEARER,
        "assertion": "JWT",
        "client_id": "CLIENT_ID",
        "client_secret": "CLIENT_SECRET",
    }
    assert found.header == {"alg": "RS256", "typ": "JWT", "kid": "PUBLIC_KEY_ID"}
    assert found.claims == {
        "iss": "CLIENT_ID",
        "sub": "ENTERPRISE_ID",
        "box_sub_type": "enterprise",
        "aud": "https://api.box.com/oauth2/token",
        **JWT_ID,
        **GRANT_TIMES,
    }
    assert 16 <= len(found.claims["jti"]) <= 128
    assert found.claims["exp"] - found.claims["iat"] <= 60
    assert found.claims["iat"] <= SECONDS


# https://docs.digdir.no/docs/Maskinporten/maskinporten_protocol_jwtgrant
# https://docs.digdir.no/docs/Maskinporten/maskinporten_protocol_token
def test_maskinporten_which_refuses_other_claims(tmp_path: Path) -> None:
    config = documented("jwt_bearer.md", "Maskinporten", tmp_path, pem(rsa_key()))

    found = sent(config, NOW, rsa_key().public_key())

    assert found.request.url == "https://maskinporten.no/token"
    assert "Authorization" not in found.request.headers
    assert found.params == {"grant_type": JWT_BEARER, "assertion": "JWT"}
    assert found.header == {"alg": "RS256", "typ": "JWT", "kid": "KID_OF_THE_KEY"}
    assert found.claims == {
        "aud": "https://maskinporten.no/",
        "iss": "CLIENT_ID",
        "scope": "prefix:scope",
        **JWT_ID,
        **GRANT_TIMES,
    }
    assert abs(found.claims["iat"] - SECONDS) < 10
    assert found.claims["exp"] - found.claims["iat"] <= 120


def test_maskinporten_reads_resource_as_an_array(tmp_path: Path) -> None:
    claims = {"scope": "prefix:scope", "resource": ["https://api.example.no"], "consumer_org": "910753614"}
    config = documented("jwt_bearer.md", "Maskinporten", tmp_path, pem(rsa_key()), assertion_claims=claims)

    assert sent(config, NOW, rsa_key().public_key()).claims.items() >= claims.items()
