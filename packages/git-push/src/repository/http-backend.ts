import { type ChildProcess, spawn } from 'node:child_process';
import { type Duplex, PassThrough, type Readable, type Writable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { passUpload } from '@kiln/forward/exchange/upload';
import { type CgiHead, readCgiHead } from './cgi-head.js';
import { HOOK_FD } from './hook.js';
import { IDLE_MS } from './limits.js';
import type { Repository } from './repositories.js';
import { endGroup, exitOf, keepText } from './run-git.js';

export type GitService = 'git-receive-pack' | 'git-upload-pack';

/** One request of a git client, as far as git needs to know it. */
export interface GitRequest {
  service: GitService;
  /** The announcement of refs that opens each exchange, or the exchange itself. */
  body: Readable | undefined;
  contentType?: string | undefined;
  contentEncoding?: string | undefined;
  /** The header `git-protocol`. */
  protocol?: string | undefined;
  /** The key: its id is, for git, who is logged in; its name is told of what it deploys. */
  key: { id: string; name: string };
}

export interface GitAnswer extends CgiHead {
  body: Readable;
}

export interface Backend {
  /** @throws KilnError `unavailable` where git did not answer */
  answer: Promise<GitAnswer>;
  /** To and from the hook. */
  channel: Duplex;
  /** When it and all that it started have ended. */
  ended: Promise<void>;
}

/** What was begun is put in order so long, before it is ended by a signal: on one, git leaves behind what it has half received. */
const END_MS = 5000;
const PROTOCOL = /^version=[0-2]$/;

/** Starts git's own `http-backend` for one request. Aborting the signal ends it with all that it started. */
export function startBackend(repository: Repository, request: GitRequest, signal: AbortSignal): Backend {
  const stdio = ['pipe', 'pipe', 'pipe', 'pipe'] as const;
  const child = spawn('git', ['http-backend'], { env: cgiEnvironment(repository, request), stdio: [...stdio], detached: true });
  const channel = child.stdio[HOOK_FD] as Duplex;
  const stop = () => windUp(child, channel);
  signal.addEventListener('abort', stop, { once: true });
  // Both ends when git does: what there is to say of it is said by its exit.
  channel.on('error', () => undefined);
  const stderr = keepText(child);
  const ended = exitOf(child).finally(() => signal.removeEventListener('abort', stop));
  feed(child.stdin as Writable, request.body);
  return {
    answer: answerOf(child, ended, stderr),
    channel,
    ended: ended.then(
      () => undefined,
      () => undefined,
    ),
  };
}

/** The hook sees the end of its channel and declines, git that of its input. */
function windUp(child: ChildProcess, channel: Duplex): void {
  channel.destroy();
  child.stdin?.destroy();
  const timer = setTimeout(() => endGroup(child), END_MS).unref();
  child.once('close', () => clearTimeout(timer));
}

async function answerOf(child: ChildProcess, ended: Promise<number>, stderr: () => string): Promise<GitAnswer> {
  const output = child.stdout as Readable;
  output.on('error', () => undefined);
  const failed = ended.then((code) => {
    throw new Error(`git http-backend ended with ${code}: ${stderr().trim()}`);
  });
  failed.catch(() => undefined);
  try {
    return { ...(await readCgiHead(output)), body: relayed(output) };
  } catch (error) {
    const cause = await failed.catch((reason: unknown) => reason);
    if (cause instanceof KilnError) throw cause;
    throw new KilnError('unavailable', 'git did not answer', { cause: cause ?? error });
  }
}

/**
 * A client that leaves does not stop git from writing, for it would die of that in the middle of things. One that stops reading is
 * taken for one that has left.
 */
function relayed(output: Readable): Readable {
  const body = new PassThrough();
  let idle: NodeJS.Timeout | undefined;
  output.on('data', (chunk: Buffer) => {
    if (body.destroyed || body.write(chunk)) return;
    output.pause();
    idle = setTimeout(() => body.destroy(new Error('the client does not read')), IDLE_MS);
  });
  output.once('end', () => body.end());
  body.on('drain', () => {
    clearTimeout(idle);
    output.resume();
  });
  body.once('close', () => {
    clearTimeout(idle);
    output.resume();
  });
  return body;
}

/**
 * A client that leaves half-way, or falls silent, must not look like one that has sent all: git is ended. What git does not take any
 * more is read on into nothing for a while, so that the client comes to read why.
 */
function feed(stdin: Writable, body: Readable | undefined): void {
  stdin.on('error', () => undefined);
  if (body === undefined) stdin.end();
  // Git itself counts the bytes of a push.
  else passUpload(body, stdin, { maxBytes: Number.POSITIVE_INFINITY, idleMs: IDLE_MS }).catch(() => stdin.destroy());
}

/** CGI, field by field. */
function cgiEnvironment({ project, root, env }: Repository, request: GitRequest): Record<string, string> {
  const { service, body, contentType, contentEncoding, protocol, key } = request;
  return {
    ...env,
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    REQUEST_METHOD: body === undefined ? 'GET' : 'POST',
    PATH_INFO: `/${project}.git/${body === undefined ? 'info/refs' : service}`,
    QUERY_STRING: body === undefined ? `service=${service}` : '',
    REMOTE_USER: key.id,
    ...(contentType !== undefined && { CONTENT_TYPE: contentType }),
    ...(contentEncoding === 'gzip' && { HTTP_CONTENT_ENCODING: 'gzip' }),
    ...(protocol !== undefined && PROTOCOL.test(protocol) && { HTTP_GIT_PROTOCOL: protocol }),
  };
}
