// Runs oidc-provider with two protected APIs, /api and /other: node server.mjs OPTIONS. OPTIONS is a JSON object:
//   port: the TCP port on 127.0.0.1
//   lifetime: the lifetime of access tokens in seconds
//   clients: the clients' metadata, in the format of oidc-provider
// The login and consent pages are those of oidc-provider (devInteractions). Each event is one line of JSON on stdout.
import { createServer } from 'node:http';

import Provider, { errors } from 'oidc-provider';

const { port, lifetime, clients } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const scopes = ['read', 'write', 'admin'];
const resources = [`${issuer}/api`, `${issuer}/other`];

const provider = new Provider(issuer, {
  clients,
  scopes: ['openid', 'offline_access', ...scopes],
  ttl: { AccessToken: lifetime, ClientCredentials: lifetime, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 600, IdToken: 600 },
  rotateRefreshToken: true,
  features: {
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

const log = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const requestFields = (ctx) => ({ client: ctx.oidc?.client?.clientId, grant_type: ctx.oidc?.params?.grant_type });

provider.on('grant.success', (ctx) => log('token', { ...requestFields(ctx), resource: ctx.oidc.params.resource }));
provider.on('grant.error', (ctx, error) =>
  log('token', { ...requestFields(ctx), error: error.error, detail: error.error_detail }));
provider.on('grant.revoked', (ctx) => log('grant revoked', requestFields(ctx)));
provider.on('revocation.error', (ctx, error) => log('revocation', { ...requestFields(ctx), error: error.error }));
provider.on('server_error', (ctx, error) => log('server error', { error: String(error) }));

// An API that accepts only tokens issued for it (RFC 8707, RFC 9068 section 4), with the errors of RFC 6750.
async function api(request, response, path) {
  const value = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  const token = (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));
  const respond = (status, body, error) => {
    if (error) response.setHeader('WWW-Authenticate', `Bearer error="${error}"`);
    log('api', { path, status, client: token?.clientId });
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  };
  if (!token || !path.startsWith(`${new URL(token.aud ?? issuer).pathname}/`) || token.aud === undefined) {
    respond(401, { error: 'invalid_token' }, 'invalid_token');
  } else if (!token.scopes.has(path.endsWith('/admin') ? 'admin' : 'read')) {
    respond(403, { error: 'insufficient_scope' }, 'insufficient_scope');
  } else {
    respond(200, { user: token.accountId ?? null, client: token.clientId, scope: token.scope, audience: token.aud });
  }
}

const handle = provider.callback();
createServer((request, response) => {
  const path = new URL(request.url, issuer).pathname;
  return /^\/(api|other)\//.test(path) ? api(request, response, path) : handle(request, response);
}).listen(port, '127.0.0.1');
