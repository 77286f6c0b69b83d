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

/** The parts of a git client's request that git needs. */
export interface GitRequest {
  service: GitService;
  /** Undefined for the list of refs, with which each exchange starts. */
  body: Readable | undefined;
  contentType?: string | undefined;
  contentEncoding?: string | undefined;
  /** The header `git-protocol`. */
  protocol?: string | undefined;
  /** The API key: git gets its id as the user, and versions get its name. */
  key: { id: string; name: string };
}

export interface GitAnswer extends CgiHead {
  body: Readable;
}

export interface Backend {
  /** @throws KilnError `unavailable` where git did not answer */
  answer: Promise<GitAnswer>;
  /** The connection to the hook. */
  channel: Duplex;
  /** Resolves when git and all its children have ended. */
  ended: Promise<void>;
}

/** Git gets so much time to end in order before a signal: after a signal it leaves half-received objects. */
const END_MS = 5000;
const PROTOCOL = /^version=[0-2]$/;

/** Starts git's own `http-backend` for one request. Aborting the signal ends it and all its children. */
export function startBackend(repository: Repository, request: GitRequest, signal: AbortSignal): Backend {
  const stdio = ['pipe', 'pipe', 'pipe', 'pipe'] as const;
  const child = spawn('git', ['http-backend'], { env: cgiEnvironment(repository, request), stdio: [...stdio], detached: true });
  const channel = child.stdio[HOOK_FD] as Duplex;
  const stop = () => windUp(child, channel);
  signal.addEventListener('abort', stop, { once: true });
  // The channel closes with git; the exit code tells the reason.
  channel.on('error', () => undefined);
  const stderr = keepText(child);
  const ended = exitOf(child).finally(() => signal.removeEventListener('abort', stop));
  feed(child.stdin as Writable, request.body);
  return {
    answer: answerOf(child, ended, stderr),
    channel,
    ended: ended.then(() => undefined).catch(() => undefined),
  };
}

/** Closes the channel, on which the hook declines the push, and the input of git. */
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
    return { ...(await readCgiHead(output)), body: passOn(output) };
  } catch (error) {
    const cause = await failed.catch((reason: unknown) => reason);
    if (cause instanceof KilnError) throw cause;
    throw new KilnError('unavailable', 'git gave no response', { cause: cause ?? error });
  }
}

/**
 * Reads git's output on where the client has left, because a closed pipe would kill git in the middle of its work. A client that
 * stops reading counts as one that has left.
 */
function passOn(output: Readable): Readable {
  const body = new PassThrough();
  let idle: NodeJS.Timeout | undefined;
  output.on('data', (chunk: Buffer) => {
    if (body.destroyed || body.write(chunk)) return;
    output.pause();
    idle = setTimeout(() => body.destroy(new Error('the client does not read')), IDLE_MS);
  });
  output.once('end', () => body.end());
  const resume = () => {
    clearTimeout(idle);
    output.resume();
  };
  body.on('drain', resume).once('close', resume);
  return body;
}

/**
 * Ends git where the client leaves or falls silent before the end of its body: an incomplete body must not look complete. Reads on for
 * a while where git takes no more, so that the client gets to read the reason.
 */
function feed(stdin: Writable, body: Readable | undefined): void {
  stdin.on('error', () => undefined);
  if (body === undefined) stdin.end();
  // Git itself counts the bytes of a push.
  else passUpload(body, stdin, { maxBytes: Number.POSITIVE_INFINITY, idleMs: IDLE_MS }).catch(() => stdin.destroy());
}

/** The CGI variables, field by field. */
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
