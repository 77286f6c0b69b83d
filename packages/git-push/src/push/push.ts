import type { Readable } from 'node:stream';
import type { Deployed } from '@kiln/contract/api/control-api';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { ERRORS, KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { packFiles } from '@kiln/project/pack';
import { Turns } from '@kiln/service/turns';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import type { PushTurnStore } from '@kiln/state/push-turn-store';
import type { Received } from '../repository/hook.js';
import { MAX_WAITING } from '../repository/limits.js';
import type { Repository } from '../repository/repositories.js';
import { Blobs } from './blobs.js';
import { messageOf, readCommitTree } from './commit-tree.js';
import { judgeCommands } from './judge-commands.js';
import { readMain, yieldMain } from './main-ref.js';
import { type PushedFunction, readFunctions } from './read-functions.js';
import { takeSharedTurn } from './shared-turns.js';

/** One push: git has received and checked its pack, and no ref has moved. */
export interface Push {
  repository: Repository;
  received: Received;
  /** Name of the API key of the push. */
  by: string;
  /** A line for the person who pushes. */
  say(line: string): Promise<void>;
  /** Aborted when the client leaves. */
  signal: AbortSignal;
  /** Resolves when git has ended, with or without a move of the refs. */
  ended: Promise<void>;
}

/** A proved version without traffic. */
interface Proven {
  /** Gives it the traffic. */
  serve(): Promise<Deployed>;
  /** It gets none, for this reason. Nothing where it serves or has failed to. */
  abandon(reason: unknown): Promise<void>;
}

/** Key, message and source of a version. */
type VersionNote = Pick<VersionRecord, 'createdBy' | 'message' | 'sourceDigest'> & { project?: string | undefined };

/** Makes versions of pushed functions. */
interface Deployments {
  /** @throws KilnError for a configuration with which every build would fail */
  check(config: FunctionConfigInput): Promise<void>;
  /** Whether nothing can run the version any more, for its image is gone. */
  isImageLost(version: VersionRecord): Promise<boolean>;
  /** Builds a gzip tar and starts an instance; yields lines of the build. @throws KilnError */
  prove(name: string, source: Readable, signal: AbortSignal, note: VersionNote): AsyncGenerator<{ line: string }, Proven>;
}

interface Turn {
  /** @throws KilnError where this push has lost its turn */
  confirm(): Promise<void>;
  beforeItEnds?: () => Promise<void>;
}

/** Deploys a `git push`. Until the last step, neither the serving versions nor main have changed. */
export class Pushes {
  private readonly turns = new Turns(1, MAX_WAITING);

  constructor(private readonly parts: { deployments: Deployments; functions: FunctionStore; turns: PushTurnStore }) {}

  /** @returns whether git may move the refs. @throws the signal's reason where the client left; internal errors */
  async receive(push: Push): Promise<boolean> {
    const { repository, received, say, signal } = push;
    const { refused, main, notes } = judgeCommands(received.commands);
    for (const note of notes) await say(note);
    if (refused !== undefined) await say(refused);
    if (main === undefined) return refused === undefined;
    const proven = new Map<string, Proven>();
    const served: string[] = [];
    try {
      const turn = await this.turn(push);
      const env = withNewObjects(repository, received.quarantine);
      const { forced } = await readMain(repository, main, env);
      if (forced) await say('note: this push is forced; commits of main that it does not contain are left behind');
      await this.proveChanged(main.after, env, push, proven);
      signal.throwIfAborted();
      await turn.confirm();
      // A second read: another program with access to the repository may have moved main.
      const move = await readMain(repository, main, env);
      for (const [name, each] of proven) {
        await say(servedLine(await each.serve().catch(ofFunction(name, 'push again'))));
        served.push(name);
      }
      turn.beforeItEnds = await yieldMain(repository, move);
      return true;
    } catch (error) {
      await Promise.all([...proven.values()].map((each) => each.abandon(notDeployed(error))));
      signal.throwIfAborted();
      if (!(error instanceof KilnError)) throw error;
      for (const line of failureLines(error, served)) await say(line);
      return false;
    }
  }

  /** Takes a turn that ends with git: only then has main moved for the next push. */
  private async turn({ repository: { project }, say, signal, ended }: Push): Promise<Turn> {
    const leave = await this.turns.enter(project, signal, (before) => {
      void say(`waiting for ${before === 1 ? 'another push' : `${before} other pushes`} to "${project}"`);
    });
    const onWait = () => void say(`waiting for a push to "${project}" through another router`);
    const shared = await takeSharedTurn(this.parts.turns, project, signal, onWait).catch((error: unknown) => {
      leave();
      throw error;
    });
    const turn: Turn = { confirm: shared.confirm };
    void ended
      .then(() => turn.beforeItEnds?.())
      .catch(() => undefined)
      .then(shared.leave)
      .then(leave);
    return turn;
  }

  /** Builds and proves every function whose sources differ from its serving version. No traffic moves. */
  private async proveChanged(commit: string, env: Record<string, string>, push: Push, proven: Map<string, Proven>): Promise<void> {
    const { repository, say, signal, by } = push;
    const reader = { repository: repository.folder, env, signal };
    const entries = await readCommitTree(reader, commit);
    const note = { createdBy: by, message: await messageOf(reader, commit) };
    const functions = await reading(repository, env, (blobs) => readFunctions(entries, blobs, repository.project));
    await say(`${commit.slice(0, 10)} holds ${functions.map(({ name }) => name).join(', ')}`);
    await this.nameLeftBehind(functions, push);
    // All configurations are checked before the first build.
    for (const { name, config } of functions) await this.parts.deployments.check(config).catch(ofFunction(name));
    for (const each of functions) {
      const serving = await this.servingVersion(each);
      if (serving === undefined) proven.set(each.name, await this.prove(each, note, env, push));
      else await say(`${each.name}: unchanged, version ${serving} serves on`);
    }
  }

  private async prove(pushed: PushedFunction, note: VersionNote, env: Record<string, string>, push: Push): Promise<Proven> {
    const { name, files, digest, project, note: aboutSources } = pushed;
    const { repository, say, signal } = push;
    if (aboutSources !== undefined) await say(`${name}: ${aboutSources}`);
    await say(`${name}: building ${files.length} files`);
    return await reading(repository, env, async (blobs) => {
      const packed = packFiles(files, (file) => blobs.content(file.id));
      const lines = this.parts.deployments.prove(name, packed, signal, { ...note, sourceDigest: digest, project });
      try {
        for (;;) {
          const { done, value } = await lines.next();
          if (done === true) return value;
          await say(`${name} | ${value.line}`);
        }
      } finally {
        // If a line could not be sent to the git client, the deployment has not ended yet.
        await lines.return(undefined as never);
      }
    }).catch(ofFunction(name));
  }

  /** The version with all the traffic, where it has the same sources and can still run. */
  private async servingVersion({ name, digest }: PushedFunction): Promise<number | undefined> {
    const record = await this.parts.functions.get(name);
    const all = record?.traffic.find(({ weight }) => weight === 100)?.version;
    if (all === undefined) return undefined;
    const version = await this.parts.functions.version(name, all);
    if (version?.sourceDigest !== digest) return undefined;
    return (await this.parts.deployments.isImageLost(version)) ? undefined : all;
  }

  /** A push removes no function; this names those that are no longer in the repository. */
  private async nameLeftBehind(functions: readonly PushedFunction[], { repository: { project }, say }: Push): Promise<void> {
    const pushed = new Set(functions.map(({ name }) => name));
    for (const { function: record } of await this.parts.functions.listAll()) {
      const { name } = record;
      if (record.project !== project || pushed.has(name)) continue;
      await say(`${name} is not in the repository any more and serves on; to remove it: kiln rm ${name}`);
    }
  }
}

/** Names the function in an error of ours; any other error stays as it is. */
function ofFunction(name: string, fix?: string): (error: unknown) => never {
  return (error) => {
    throw error instanceof KilnError ? new KilnError(error.code, `${name}: ${error.message}`, { fix: fix ?? error.fix }) : error;
  };
}

/** For the other functions of the push: what stopped one of them. */
function notDeployed(error: unknown): KilnError {
  return new KilnError('conflict', `its push was not taken: ${(error as Error).message}`, { cause: error });
}

/** The environment in which git sees the objects in quarantine. */
function withNewObjects({ folder, env }: Repository, quarantine: string | undefined): Record<string, string> {
  if (quarantine === undefined) return env;
  return { ...env, GIT_OBJECT_DIRECTORY: quarantine, GIT_ALTERNATE_OBJECT_DIRECTORIES: `${folder}/objects` };
}

async function reading<T>({ folder }: Repository, env: Record<string, string>, read: (blobs: Blobs) => Promise<T>): Promise<T> {
  const blobs = new Blobs(folder, env);
  try {
    return await read(blobs);
  } finally {
    blobs.close();
  }
}

function servedLine({ function: name, version, url, changed }: Deployed): string {
  return changed ? `${name}: version ${version} serves at ${url}` : `${name}: the same image, version ${version} serves on`;
}

/** @param served functions that got their traffic, before somebody else deployed the next one or the store went away */
function failureLines({ code, message, fix }: KilnError, served: readonly string[]): string[] {
  // For a fault of a folder, the title of the error ("bad request") would mislead.
  const reason = (code === 'bad_request' ? message : `${ERRORS[code].title}: ${message}`).split('\n');
  const next = fix === undefined ? [] : [`next: ${fix}`];
  const kept = 'what served before serves on, and main has not moved';
  const end = served.length === 0 ? `not deployed: ${kept}` : `deployed before that: ${served.join(', ')}. Of all else, ${kept}`;
  return ['', ...reason, ...next, end, ''];
}
