import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { LimitedPlaces } from '@kiln/service/limited-places';
import { type Command, readReceived } from '../repository/hook.js';
import { type Backend, type GitAnswer, type GitRequest, startBackend } from '../repository/http-backend.js';
import { MAX_SERVED, MAX_SERVED_PER_KEY, PUSH_LIMITS } from '../repository/limits.js';
import type { Repositories, Repository } from '../repository/repositories.js';
import type { Pushes } from './push.js';

const MAX_LINE_CHARS = 2000;

export interface GitLog {
  info(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Serves smart HTTP git with git's own backend; deploys pushes to main. */
export class GitServer {
  private readonly shares = new LimitedPlaces('git exchanges', MAX_SERVED, MAX_SERVED_PER_KEY);

  constructor(
    private readonly repositories: Repositories,
    private readonly pushes: Pushes,
    private readonly log: GitLog,
  ) {}

  /** @throws KilnError before the first output of git */
  async serve(project: string, request: GitRequest, signal: AbortSignal): Promise<GitAnswer> {
    const leave = this.shares.take(request.key.id);
    const backend = await this.start(project, request, signal).catch((error: unknown) => {
      leave();
      throw error;
    });
    void backend.ended.then(leave);
    return backend.answer;
  }

  private async start(project: string, request: GitRequest, signal: AbortSignal): Promise<Backend> {
    const pushes = request.service === 'git-receive-pack';
    const opensPush = pushes && request.body === undefined;
    const repository = await this.repository(project, pushes, opensPush);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(PUSH_LIMITS.time)]);
    bounded.throwIfAborted();
    const backend = startBackend(repository, request, bounded);
    if (pushes && !opensPush) void this.answerHook(repository, backend, request.key.name, bounded);
    return backend;
  }

  /** The list of refs before a push only reads; the push itself makes the repository. */
  private repository(project: string, pushes: boolean, opensPush: boolean): Promise<Repository> {
    if (!pushes) return this.repositories.find(project);
    return opensPush ? this.repositories.findOrEmpty(project) : this.repositories.findOrMake(project);
  }

  /** Answers the hook of one push. Does not reject. */
  private async answerHook(repository: Repository, { channel, ended }: Backend, by: string, signal: AbortSignal): Promise<void> {
    let taken = false;
    let commands: Command[] = [];
    try {
      const received = await readReceived(channel, repository.folder);
      if (received === undefined) return;
      commands = received.commands;
      taken = await this.pushes.receive({ repository, received, by, signal, ended, say: (line) => say(channel, line) });
    } catch (error) {
      if (!signal.aborted) {
        this.log.error({ err: error, project: repository.project }, 'push failed');
        await say(channel, 'the router failed; its log has the reason. Not deployed: main has not moved');
      }
    } finally {
      if (!channel.destroyed) channel.end(taken ? 'ok\n' : 'no\n');
      this.log.info({ project: repository.project, by, commands, taken }, 'push ended');
    }
  }
}

/** Writes a line to the client's terminal, no faster than the client reads. */
async function say(channel: Duplex, line: string): Promise<void> {
  if (channel.destroyed) return;
  if (!channel.write(` ${printable(line)}\n`)) await Promise.race([once(channel, 'drain'), once(channel, 'close')]).catch(() => undefined);
}

/** Removes colours and all characters by which a build could control a terminal or disguise text. */
function printable(line: string): string {
  const control = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
  return line
    .slice(0, MAX_LINE_CHARS)
    .replace(/\p{Cc}\[[0-9;]*m/gu, '')
    .replace(control, ' ');
}
