// An OpenID provider (oidc-provider) for tests: `node provider.mjs PACKAGES PORT REDIRECT LOGOUT ACCESS_SECONDS`.
// Whoever comes to its page of logins is logged in as alice by the page itself, as a person would who has a password manager.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [packages, port, redirect, loggedOut, seconds] = process.argv.slice(2);
const found = createRequire(pathToFileURL(`${packages}/package.json`)).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(found));
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'ringway',
      client_secret: 'secret of ringway',
      redirect_uris: [redirect],
      post_logout_redirect_uris: [loggedOut],
      grant_types: ['authorization_code', 'refresh_token'],
    },
    { client_id: 'api', client_secret: 'secret of api', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
  ],
  cookies: { keys: ['of a test'] },
  pkce: { required: () => true },
  claims: { openid: ['sub', 'email'] },
  conformIdTokenClaims: false,
  scopes: ['openid', 'offline_access', 'read'],
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    clientCredentials: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        ctx.body = `${form}<script>const f = document.forms[0]; const i = document.createElement('input');
          i.type = 'hidden'; i.name = 'logout'; i.value = 'yes'; f.append(i); f.submit();</script>`;
      },
    },
  },
  ttl: { AccessToken: Number(seconds), IdToken: 3600, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub, email: `${sub}@example.com` }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
});

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
  if (ctx.method === 'GET') {
    ctx.type = 'html';
    ctx.body = `<form method="post"></form><script>document.forms[0].submit();</script>`;
    return;
  }
  let result;
  if (prompt.name === 'login') {
    result = { login: { accountId: 'alice' } };
  } else {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result = { consent: { grantId: await grant.save() } };
  }
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
});

provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
