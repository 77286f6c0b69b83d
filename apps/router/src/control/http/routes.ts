import {
  createdKey,
  createKeyBody,
  createVersionBody,
  deployed,
  functionView,
  keyView,
  nodeView,
  patchFunctionBody,
  ringView,
  rollbackBody,
  storeView,
  versionsPage,
} from '@kiln/contract/api/control-api';
import { instanceRecord, logRecord, type Scope, versionRecord } from '@kiln/contract/records/records';
import { startRolloutBody } from '@kiln/contract/records/rollout';
import { secretRecord, secretsRotated, secretsSet, setSecretBody, setSecretsBody } from '@kiln/contract/records/secrets';
import { traffic } from '@kiln/contract/records/traffic';
import { BUILD_SECRETS } from '@kiln/contract/wire/headers';
import { z } from 'zod';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One route as its callers see it. */
export interface ApiRoute {
  method: Method;
  /** Parameters as `:name`. */
  path: string;
  /** Undefined: open to everybody. */
  scope: Scope | undefined;
  summary: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: z.ZodType | 'gzip tar' | 'git';
  status: number;
  answer?: z.ZodType;
  answerType?: 'application/json' | 'application/x-ndjson' | 'application/x-git' | 'text/plain';
}

const page = (item: z.ZodType) => z.object({ items: z.array(item), next: z.string().nullable() });
const PAGING = { limit: 'most entries of a page, 1 to 1000', after: '`next` of the page before' };

/**
 * Every route of the control API: what it needs and what it gives. The guard reads the scopes here, the OpenAPI document is made
 * from it, and a test compares it with what is served.
 */
export const ROUTES: readonly ApiRoute[] = [
  route('GET', '/v1/functions', 'read', 'List the functions', { query: PAGING, answer: page(functionView) }),
  route('GET', '/v1/functions/:name', 'read', 'Show a function', { answer: functionView }),
  route('PATCH', '/v1/functions/:name', 'deploy', 'Change keys of the configuration: a new version of the same image', {
    body: patchFunctionBody,
    answer: deployed,
  }),
  route('DELETE', '/v1/functions/:name', 'deploy', 'Remove a function with its versions and logs', { status: 204 }),
  route('GET', '/v1/functions/:name/versions', 'read', 'List the versions, and deployments under way or failed', {
    query: PAGING,
    answer: versionsPage,
  }),
  route('POST', '/v1/functions/:name/versions', 'deploy', 'Deploy an image', { body: createVersionBody, status: 201, answer: deployed }),
  route('PUT', '/v1/functions/:name/versions/:version/pin', 'deploy', 'Keep a version, however old it is', { answer: versionRecord }),
  route('DELETE', '/v1/functions/:name/versions/:version/pin', 'deploy', 'Keep it no longer than others', { answer: versionRecord }),
  route('POST', '/v1/functions/:name/builds', 'deploy', 'Build and deploy a folder', {
    body: 'gzip tar',
    query: {
      message: 'why, in one line: shown in the history of versions',
      traffic: 'none: it gets no traffic yet',
      sourceDigest: 'sha256 of what is sent, as the sender counts it; remembered with the version',
      project: 'what the function belongs to',
      buildArgs: 'a JSON object of build arguments, by name; they stay readable in the image',
    },
    headers: { [BUILD_SECRETS]: 'id=base64,…: contents for steps that mount a secret of that id; nothing keeps them' },
    answerType: 'application/x-ndjson',
    answer: z.union([
      z.object({ type: z.literal('log'), line: z.string() }),
      deployed.extend({ type: z.literal('done') }),
      z.object({ type: z.literal('failed'), code: z.string(), detail: z.string(), fix: z.string().optional() }),
    ]),
  }),
  route('GET', '/v1/functions/:name/traffic', 'read', 'Show the traffic; `etag` is the revision', { answer: traffic }),
  route('PUT', '/v1/functions/:name/traffic', 'deploy', 'Move the traffic; with `if-match`, a conflict if it changed since', {
    query: { sticky: 'true or false: whether a client keeps the version that it met first; left out, that stays as it is' },
    body: traffic,
    answer: traffic,
  }),
  route('POST', '/v1/functions/:name/rollback', 'deploy', 'Go back to the traffic before, or all to one version', {
    body: rollbackBody,
    answer: functionView,
  }),
  route('POST', '/v1/functions/:name/rollout', 'deploy', 'Give a version the traffic in stages, and take it back if it does worse', {
    body: startRolloutBody,
    answer: functionView,
  }),
  route('GET', '/v1/functions/:name/logs', 'read', 'Read the log lines', {
    query: {
      follow: 'go on with new lines',
      since: 'only lines from then on, ISO 8601',
      requestId: 'only lines of this request',
      level: 'this level or above: debug, info, warn, error',
    },
    answerType: 'application/x-ndjson',
    answer: logRecord,
  }),
  route('GET', '/v1/functions/:name/instances', 'read', 'List the running instances', { answer: page(instanceRecord) }),
  route('GET', '/v1/secrets', 'read', 'List the secrets; never their values', { query: PAGING, answer: page(secretRecord) }),
  route('PUT', '/v1/secrets/:name', 'deploy', 'Store a secret, and give its functions a new version', {
    body: setSecretBody,
    answer: secretsSet,
  }),
  route('PATCH', '/v1/secrets', 'deploy', 'Store several secrets in one change', { body: setSecretsBody, answer: secretsSet }),
  route('DELETE', '/v1/secrets/:name', 'deploy', 'Remove a secret that no serving version uses', { status: 204 }),
  route('POST', '/v1/secrets/rotate', 'admin', 'Seal all values anew with the new master key', { answer: secretsRotated }),
  route('GET', '/v1/nodes', 'read', 'List the nodes', { query: PAGING, answer: page(nodeView) }),
  route('POST', '/v1/nodes/:id/drain', 'admin', 'Let a node finish what runs and take no new work', { status: 204 }),
  route('DELETE', '/v1/nodes/:id/drain', 'admin', 'Let a node that drains take new work again', { status: 204 }),
  route('GET', '/v1/ring', 'read', 'Show where each function goes', { answer: ringView }),
  route('GET', '/v1/store', 'read', 'Show how the store is', { answer: storeView }),
  route('POST', '/v1/store/restore', 'admin', 'Write back what this router holds to a store that has lost it', { answer: storeView }),
  route('POST', '/v1/store/accept', 'admin', 'Go on with what a store that has lost something has now', { answer: storeView }),
  route('GET', '/v1/keys', 'admin', 'List the API keys', { query: PAGING, answer: page(keyView) }),
  route('POST', '/v1/keys', 'admin', 'Make an API key; only this answer holds it', {
    body: createKeyBody,
    status: 201,
    answer: createdKey,
  }),
  route('DELETE', '/v1/keys/:id', 'admin', 'Remove an API key', { status: 204 }),
  route(
    'GET',
    '/git/:repository/info/refs',
    'deploy',
    'For git clients: begin a push or a fetch; Basic authentication, the key as password',
    {
      query: { service: 'git-receive-pack or git-upload-pack' },
      answerType: 'application/x-git',
    },
  ),
  route('POST', '/git/:repository/git-receive-pack', 'deploy', 'For git clients: push; main is built and deployed', {
    body: 'git',
    answerType: 'application/x-git',
  }),
  route('POST', '/git/:repository/git-upload-pack', 'deploy', 'For git clients: fetch what was pushed', {
    body: 'git',
    answerType: 'application/x-git',
  }),
  route('GET', '/v1/openapi.json', 'read', 'This document', { answer: z.looseObject({ openapi: z.string() }) }),
  route('GET', '/healthz', undefined, 'Whether the process runs', { answerType: 'text/plain' }),
  route('GET', '/readyz', undefined, 'Whether it should get requests', { answerType: 'text/plain' }),
  route('GET', '/metrics', 'read', 'Prometheus metrics', { answerType: 'text/plain' }),
];

function route(
  method: Method,
  path: string,
  scope: Scope | undefined,
  summary: string,
  more: Partial<Pick<ApiRoute, 'query' | 'headers' | 'body' | 'status' | 'answer' | 'answerType'>>,
): ApiRoute {
  return { method, path, scope, summary, status: 200, ...more };
}

const PATTERNS = ROUTES.map(({ method, path }) => ({ method, pattern: new RegExp(`^${path.replace(/:[a-z]+/g, '[^/]+')}$`) }));

/** Methods that a path takes; none for one that is not ours. */
export function methodsOf(path: string): string[] {
  return PATTERNS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
}

/** Whether the table has exactly this route. */
export function isListed(method: string, path: string): boolean {
  return ROUTES.some((each) => each.method === method && each.path === path);
}
