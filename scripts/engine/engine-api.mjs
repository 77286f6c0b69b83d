// What set-up asks of a Docker engine, by its API alone: an engine may be there without its client, as on Debian 13.
import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export const DEFAULT_HOST = 'unix:///var/run/docker.sock';

const PING_MS = 5_000;
/** A call that works says something from time to time. */
const SILENCE_MS = 180_000;
const MAX_ANSWER = 1024 * 1024;
const KEPT_LINES = 40;

export function engineHost() {
  return process.env.DOCKER_HOST || DEFAULT_HOST;
}

/** `answers`; `forbidden` to this user; `absent`. */
export async function engineState(host = engineHost()) {
  try {
    const answer = await call(host, 'GET', '/_ping', { silenceMs: PING_MS });
    answer.resume();
    return answer.statusCode === 200 ? 'answers' : 'absent';
  } catch (error) {
    return error.code === 'EACCES' || error.code === 'EPERM' ? 'forbidden' : 'absent';
  }
}

export async function hasImage(name, host = engineHost()) {
  const answer = await call(host, 'GET', `/images/${encodeURIComponent(name)}/json`);
  const text = await textOf(answer);
  if (answer.statusCode === 200) return true;
  if (answer.statusCode === 404) return false;
  throw new Error(`the engine does not say whether it has ${name}: ${reasonOf(text)}`);
}

/** @throws Error with the reason, in the engine's words */
export async function pullImage(name, host = engineHost()) {
  const [, repository, tag] = /^(.+?)(?::([^:/]+))?$/.exec(name);
  const query = new URLSearchParams({ fromImage: repository, tag: tag ?? 'latest' });
  await finished(await call(host, 'POST', `/images/create?${query}`, { silenceMs: 60_000 }));
}

/** Builds a folder that holds a Dockerfile. @throws Error with the last lines of what the steps printed */
export async function buildImage(name, folder, host = engineHost()) {
  const query = new URLSearchParams({ t: name, networkmode: 'host', rm: '1', forcerm: '1' });
  await withTar(tarOf(folder), (body) => call(host, 'POST', `/build?${query}`, { body }));
}

/** Makes an image of one layer from the tar that a command prints. */
export async function importImage(name, command, changes, host = engineHost()) {
  const [repo, tag] = name.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo, tag, changes });
  await withTar(command, (body) => call(host, 'POST', `/images/create?${query}`, { body }));
}

/** Those of the images that the one engine has and the other has not. */
export async function copyImages(from, to, names, announce) {
  const wanted = [];
  for (const name of names) if ((await hasImage(name, from)) && !(await hasImage(name, to))) wanted.push(name);
  if (wanted.length === 0) return;
  announce(`copying ${wanted.join(', ')} from the engine at ${from}`);
  const query = new URLSearchParams(wanted.map((name) => ['names', name]));
  const saved = await call(from, 'GET', `/images/get?${query}`);
  if (saved.statusCode !== 200) throw new Error(`the engine at ${from} does not give its images: ${reasonOf(await textOf(saved))}`);
  await finished(await call(to, 'POST', '/images/load?quiet=1', { body: saved }));
}

/** The command that prints a folder as a tar. */
export function tarOf(folder) {
  return ['tar', '--numeric-owner', '-C', folder, '-cf', '-', '.'];
}

async function withTar([program, ...args], send) {
  const tar = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    tar.once('error', reject);
    tar.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with code ${code}`))));
  });
  ended.catch(() => undefined);
  try {
    await finished(await send(tar.stdout));
    await ended;
  } finally {
    tar.kill();
  }
}

/** The engine answers as soon as it may and says in its lines what becomes of the call. @throws Error */
async function finished(answer) {
  if (answer.statusCode >= 400) throw new Error(reasonOf(await textOf(answer)));
  const printed = [];
  let rest = '';
  for await (const chunk of answer.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(-MAX_ANSWER);
    for (const line of lines) {
      const { stream, error } = parsed(line);
      if (stream) printed.push(stream);
      if (printed.length > KEPT_LINES) printed.shift();
      if (error) throw new Error(`${error}${printed.length > 0 ? `\n${printed.join('')}` : ''}`);
    }
  }
  const { error } = parsed(rest);
  if (error) throw new Error(error);
}

function parsed(line) {
  try {
    return JSON.parse(line) ?? {};
  } catch {
    return {};
  }
}

function reasonOf(text) {
  return parsed(text).message ?? (text.trim() || 'it gives no reason');
}

async function textOf(answer) {
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) if (text.length < MAX_ANSWER) text += chunk;
  return text;
}

function call(host, method, path, { body, silenceMs = SILENCE_MS } = {}) {
  return new Promise((resolve, reject) => {
    const headers = { Host: 'docker', ...(body !== undefined && { 'Content-Type': 'application/x-tar' }) };
    const sent = request({ ...addressOf(host), method, path, headers, agent: false }, resolve);
    sent.setTimeout(silenceMs, () => sent.destroy(new Error(`the engine at ${host} says nothing for ${silenceMs / 1000} s`)));
    sent.on('error', (cause) =>
      reject(Object.assign(new Error(`the Docker engine at ${host}: ${cause.message}`, { cause }), { code: cause.code })),
    );
    if (body === undefined) sent.end();
    // What the engine refuses it does not read to the end: its answer says why.
    else pipeline(body, new PassThrough(), sent).catch(reject);
  });
}

function addressOf(host) {
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url?.protocol === 'unix:') return { socketPath: url.pathname };
  if (url?.protocol === 'tcp:' || url?.protocol === 'http:') return { host: url.hostname, port: url.port || 2375 };
  throw new Error(`DOCKER_HOST=${host} is neither unix:// nor tcp://`);
}
