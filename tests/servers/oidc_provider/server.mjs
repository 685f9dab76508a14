// Runs oidc-provider with two protected APIs, /api and /other: node server.mjs OPTIONS. OPTIONS is a JSON object:
//   port: the TCP port on 127.0.0.1
//   lifetime: the lifetime of access tokens in seconds
//   clients: the clients' metadata, in the format of oidc-provider
//   tls: the TCP port on 127.0.0.1 that requests client certificates, and the paths of the server's certificate and key,
//     and of the authority of the clients: port, certificate, ca
// The client "slow" is told once to slow down when it polls for the result of a device authorization (RFC 8628), and the
// device codes of the client "short" expire after its first request.
// The login and consent pages are those of oidc-provider (devInteractions). Each event is one line of JSON on stdout.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

import Provider, { errors } from 'oidc-provider';

const { port, lifetime, clients, tls } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const tlsUrl = `https://127.0.0.1:${tls.port}`;
const scopes = ['read', 'write', 'admin'];
const resources = [`${issuer}/api`, `${issuer}/other`];

const provider = new Provider(issuer, {
  clients,
  scopes: ['openid', 'offline_access', ...scopes],
  ttl: { AccessToken: lifetime, ClientCredentials: lifetime, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 600, IdToken: 600, DeviceCode: 600 },
  rotateRefreshToken: true,
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth', 'none'],
  discovery: { mtls_endpoint_aliases: { token_endpoint: `${tlsUrl}/token`, revocation_endpoint: `${tlsUrl}/token/revocation`, pushed_authorization_request_endpoint: `${tlsUrl}/request`, device_authorization_endpoint: `${tlsUrl}/device/auth` } },
  features: {
    deviceFlow: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_subject_dn' && ctx.socket.getPeerX509Certificate().subject === expected,
    },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    pushedAuthorizationRequests: { enabled: true }, // required only for clients with require_pushed_authorization_requests
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(ctx, resource) {
        if (!resources.includes(resource)) throw new errors.InvalidTarget(`unknown resource ${resource}`);
        return { audience: resource, scope: scopes.join(' '), accessTokenTTL: lifetime, accessTokenFormat: 'opaque' };
      },
    },
  },
});

// oidc-provider itself never asks a client to slow down.
const polled = new Set();
const findDeviceCode = provider.DeviceCode.find.bind(provider.DeviceCode);
provider.DeviceCode.find = async (value, ...options) => {
  const code = await findDeviceCode(value, ...options);
  const isFirst = !polled.has(value);
  polled.add(value);
  if (code?.clientId === 'slow' && isFirst) throw new errors.SlowDown();
  if (code?.clientId === 'short' && !isFirst) code.exp = 1;
  return code;
};

const log = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const requestFields = (ctx) => ({ client: ctx.oidc?.client?.clientId, grant_type: ctx.oidc?.params?.grant_type });

provider.on('grant.success', (ctx) => log('token', { ...requestFields(ctx), resource: ctx.oidc.params.resource }));
provider.on('grant.error', (ctx, error) =>
  log('token', { ...requestFields(ctx), error: error.error, detail: error.error_detail }));
provider.on('grant.revoked', (ctx) => log('grant revoked', requestFields(ctx)));
provider.on('revocation.error', (ctx, error) => log('revocation', { ...requestFields(ctx), error: error.error }));
provider.on('server_error', (ctx, error) => log('server error', { error: String(error) }));

const thumbprint = (certificate) => certificate && createHash('sha256').update(certificate.raw).digest('base64url');

// An API that accepts only tokens issued for it (RFC 8707, RFC 9068 section 4), with the errors of RFC 6750. A token that
// is bound to a certificate must be sent with this certificate (RFC 8705 section 3).
async function api(request, response, path) {
  const value = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  const token = (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));
  const boundTo = token?.['x5t#S256'];
  const isBoundToOther = boundTo && boundTo !== thumbprint(request.socket.getPeerX509Certificate?.());
  const respond = (status, body, error) => {
    if (error) response.setHeader('WWW-Authenticate', `Bearer error="${error}"`);
    log('api', { path, status, client: token?.clientId });
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  };
  if (!token || isBoundToOther || !path.startsWith(`${new URL(token.aud ?? issuer).pathname}/`) || token.aud === undefined) {
    respond(401, { error: 'invalid_token' }, 'invalid_token');
  } else if (!token.scopes.has(path.endsWith('/admin') ? 'admin' : 'read')) {
    respond(403, { error: 'insufficient_scope' }, 'insufficient_scope');
  } else {
    respond(200, { user: token.accountId ?? null, client: token.clientId, scope: token.scope, audience: token.aud, boundTo });
  }
}

const handle = provider.callback();
const respond = (request, response) => {
  const path = new URL(request.url, issuer).pathname;
  return /^\/(api|other)\//.test(path) ? api(request, response, path) : handle(request, response);
};
const files = { cert: readFileSync(tls.certificate), key: readFileSync(tls.certificate), ca: readFileSync(tls.ca) };
// A certificate of an unknown authority is accepted here, because a client can register a self-signed one.
createTlsServer({ ...files, requestCert: true, rejectUnauthorized: false }, respond).listen(tls.port, '127.0.0.1');
createServer(respond).listen(port, '127.0.0.1');
