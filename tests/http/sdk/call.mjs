// One call as an application makes it. On stdin: {baseUrl, accessToken | anonKey | apiKey, method, args, lostAnswers,
// session}; on stdout: {data, error} of `payments.stripe[method]`, or of the SDK's own HTTP client, for administrators.
//
// `lostAnswers`: so many answers get lost on their way back. `session`: what a sign-in service answers to a refresh.
import { InsForgeError, createAdminClient, createClient } from "@insforge/sdk";

const { baseUrl, accessToken, anonKey, apiKey, method, args, lostAnswers = 0, session } = await stdin();

let lost = 0;
async function network(url, request) {
  if (session && new URL(url).pathname === "/api/auth/refresh") return Response.json(session);
  const answer = await fetch(url, request);
  if (lost < lostAnswers) {
    lost += 1;
    throw new TypeError("fetch failed");
  }
  return answer;
}

const config = { baseUrl, anonKey, fetch: network, retryDelay: 1 };

async function asAdministrator() {
  try {
    return { data: await createAdminClient({ ...config, apiKey }).getHttpClient()[method](...args), error: null };
  } catch (error) {
    return { data: null, error };
  }
}

function asApplication() {
  const client = createClient(config);
  if (accessToken) client.setAccessToken(accessToken);
  return client.payments.stripe[method](...args);
}

const { data, error } = await (apiKey ? asAdministrator() : asApplication());
const told = error && {
  isInsForgeError: error instanceof InsForgeError,
  name: error.name,
  message: error.message,
  statusCode: error.statusCode,
  error: error.error,
  nextActions: error.nextActions,
};
console.log(JSON.stringify({ data, error: told }));

async function stdin() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text);
}
