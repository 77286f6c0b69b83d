import { DEFAULT_REGISTRY, type RegistryLogin } from './login.js';
import type { PinnedReference } from './reference.js';

const CALL_MS = 15_000;
const MAX_ANSWER = 64 * 1024;

/** `refused`: the registry does not allow this login, or any login, to remove images. */
export type Removal = 'removed' | 'gone' | 'refused';

/**
 * Removes one manifest through the registry's API. Uses plain HTTP only on loopback, as engines do, so that no password travels
 * unencrypted. Follows no redirect for the same reason.
 * @throws Error when the registry does not answer, or answers with an unexpected status
 */
export async function removeManifest(reference: PinnedReference, login: RegistryLogin | undefined): Promise<Removal> {
  const { registry, repository, digest } = reference;
  const scheme = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/.test(registry) ? 'http' : 'https';
  const url = `${scheme}://${registry === DEFAULT_REGISTRY ? 'registry-1.docker.io' : registry}/v2/${repository}/manifests/${digest}`;
  const first = await ask(url, 'DELETE', basic(login));
  const issuer = first.status === 401 ? issuerOf(first.headers.get('www-authenticate') ?? '', repository) : undefined;
  const answer = issuer === undefined ? first : await ask(url, 'DELETE', await bearer(issuer, login));
  if (answer.ok) return 'removed';
  if (answer.status === 404) return 'gone';
  if ([400, 401, 403, 405].includes(answer.status)) return 'refused';
  throw new Error(`${registry} answers ${answer.status}`);
}

async function ask(url: string, method: string, authorization: string | undefined): Promise<Response> {
  const headers = authorization === undefined ? {} : { authorization };
  const answer = await fetch(url, { method, headers, redirect: 'manual', signal: AbortSignal.timeout(CALL_MS) });
  if (method === 'DELETE') await answer.body?.cancel();
  return answer;
}

function basic(login: RegistryLogin | undefined): string | undefined {
  if (login === undefined || login.password === '') return undefined;
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
}

/** Where a registry that demands a bearer token has it issued. */
function issuerOf(challenge: string, repository: string): URL | undefined {
  const value = (key: string) => new RegExp(`[ ,]${key}="([^"]*)"`, 'i').exec(challenge)?.[1];
  const [realm, service] = [value('realm'), value('service')];
  const url = /^bearer /i.test(challenge) && realm !== undefined ? URL.parse(realm) : null;
  if (url?.protocol !== 'https:') return undefined;
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', `repository:${repository}:pull,push,delete`);
  return url;
}

async function bearer(issuer: URL, login: RegistryLogin | undefined): Promise<string | undefined> {
  const answer = await ask(issuer.href, 'GET', basic(login));
  const text = answer.ok ? (await answer.text()).slice(0, MAX_ANSWER) : '{}';
  const { token, access_token: other } = JSON.parse(text) as { token?: string; access_token?: string };
  const found = token ?? other;
  return found === undefined ? undefined : `Bearer ${found}`;
}
