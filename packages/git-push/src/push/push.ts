import type { Readable } from 'node:stream';
import type { Deployed } from '@kiln/contract/api/control-api';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { ERRORS, KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';
import { packFiles } from '@kiln/project/pack';
import type { FunctionStore } from '@kiln/state/functions/function-store';
import type { PushTurnStore } from '@kiln/state/push-turn-store';
import type { Received } from '../repository/hook.js';
import type { Repository } from '../repository/repositories.js';
import { Blobs } from './blobs.js';
import { messageOf, readCommitTree } from './commit-tree.js';
import { judgeCommands } from './judge-commands.js';
import { lookAtMain, yieldMain } from './main-ref.js';
import { type PushedFunction, readFunctions } from './read-functions.js';
import { type SharedTurn, SharedTurns } from './shared-turns.js';
import { Turns } from './turns.js';

/** One push whose pack is received and checked, and whose refs have not moved. */
export interface Push {
  repository: Repository;
  received: Received;
  /** Name of the key with which it is pushed. */
  by: string;
  /** A line for the person who pushes. */
  say(line: string): Promise<void>;
  /** Aborted when the client leaves. */
  signal: AbortSignal;
  /** When git has moved the refs, or has not. */
  ended: Promise<void>;
}

/** A version that runs and has no traffic yet. */
interface Proven {
  /** Gives it the traffic. */
  serve(): Promise<Deployed>;
}

/** Who made a version, why, and from what. */
type VersionNote = Pick<VersionRecord, 'createdBy' | 'message' | 'sourceDigest'> & { project?: string | undefined };

/** How versions are made of what is pushed. */
interface Deployments {
  /** @throws KilnError for what no build can make right */
  check(config: FunctionConfigInput): Promise<void>;
  /** Builds a gzip tar and starts it; tells lines of the build. @throws KilnError */
  prove(name: string, source: Readable, signal: AbortSignal, note: VersionNote): AsyncGenerator<{ line: string }, Proven>;
}

export interface PushParts {
  deployments: Deployments;
  functions: FunctionStore;
  turns: PushTurnStore;
}

interface Turn {
  /** @throws KilnError where it is not this push's any more */
  confirm(): Promise<void>;
  beforeItEnds?: () => Promise<void>;
}

/** The way of a deployment by `git push`: until the last step nothing that serves has changed, and neither has main. */
export class Pushes {
  private readonly turns = new Turns();
  private readonly shared: SharedTurns;

  constructor(private readonly parts: PushParts) {
    this.shared = new SharedTurns(parts.turns);
  }

  /** Whether git may move the refs. @throws the signal's reason when the client left, and faults that are nobody's push */
  async receive(push: Push): Promise<boolean> {
    const { repository, received, say, signal } = push;
    const { refused, main, notes } = judgeCommands(received.commands);
    for (const note of notes) await say(note);
    if (refused !== undefined) await say(refused);
    if (main === undefined) return refused === undefined;
    try {
      const turn = await this.turn(push);
      const env = withNewObjects(repository, received.quarantine);
      const { forced } = await lookAtMain(repository, main, env);
      if (forced) await say('note: this push is forced; commits of main that it does not contain are left behind');
      const proven = await this.proveChanged(main.after, env, push);
      signal.throwIfAborted();
      await turn.confirm();
      // Again: whatever else has access to the repositories may have moved it meanwhile.
      const move = await lookAtMain(repository, main, env);
      await serveAll(proven, say);
      turn.beforeItEnds = await yieldMain(repository, move);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KilnError)) throw error;
      for (const line of failureLines(error)) await say(line);
      return false;
    }
  }

  /** It ends when git has: only then is main where the next push has to see it. */
  private async turn({ repository: { project }, say, signal, ended }: Push): Promise<Turn> {
    const leave = await this.turns.enter(project, signal, (before) => {
      void say(`waiting for ${before === 1 ? 'another push' : `${before} other pushes`} to "${project}"`);
    });
    const shared = await this.sharedTurn(project, signal, say).catch((error: unknown) => {
      leave();
      throw error;
    });
    const turn: Turn = { confirm: () => shared.confirm() };
    void ended
      .then(() => turn.beforeItEnds?.())
      .catch(() => undefined)
      .then(() => shared.leave())
      .then(leave);
    return turn;
  }

  private sharedTurn(project: string, signal: AbortSignal, say: Push['say']): Promise<SharedTurn> {
    return this.shared.enter(project, signal, () => void say(`waiting for a push to "${project}" through another router`));
  }

  /** Builds and proves every function whose sources are not those of what serves. No traffic moves. */
  private async proveChanged(commit: string, env: Record<string, string>, push: Push): Promise<Map<string, Proven>> {
    const { repository, say, signal, by } = push;
    const reader = { repository: repository.folder, env, signal };
    const entries = await readCommitTree(reader, commit);
    const note = { createdBy: by, message: await messageOf(reader, commit) };
    const functions = await reading(repository, env, (blobs) => readFunctions(entries, blobs, repository.project));
    await say(`${commit.slice(0, 10)} holds ${functions.map(({ name }) => name).join(', ')}`);
    await this.nameLeftBehind(functions, push);
    await this.check(functions);
    const proven = new Map<string, Proven>();
    for (const each of functions) {
      const serving = await this.servingVersion(each);
      if (serving === undefined) proven.set(each.name, await this.prove(each, note, env, push));
      else await say(`${each.name}: unchanged, version ${serving} serves on`);
    }
    return proven;
  }

  /** What no build can make right is said before the first one. @throws KilnError naming the function */
  private async check(functions: readonly PushedFunction[]): Promise<void> {
    for (const { name, config } of functions) {
      await this.parts.deployments.check(config).catch((error: unknown) => {
        throw error instanceof KilnError ? ofFunction(name, error) : error;
      });
    }
  }

  private async prove(pushed: PushedFunction, note: VersionNote, env: Record<string, string>, push: Push): Promise<Proven> {
    const { name, files, digest, project } = pushed;
    const { repository, say, signal } = push;
    await say(`${name}: building ${files.length} files`);
    const blobs = new Blobs(repository.folder, env);
    try {
      const packed = packFiles(files, (file) => blobs.content(file.id));
      const lines = this.parts.deployments.prove(name, packed, signal, { ...note, sourceDigest: digest, project });
      for (;;) {
        const { done, value } = await lines.next();
        if (done === true) return value;
        await say(`${name} | ${value.line}`);
      }
    } catch (error) {
      throw error instanceof KilnError ? ofFunction(name, error) : error;
    } finally {
      blobs.close();
    }
  }

  /** The version that has all the traffic, where it was made from the same. */
  private async servingVersion({ name, digest }: PushedFunction): Promise<number | undefined> {
    const record = await this.parts.functions.get(name);
    const all = record?.traffic.find(({ weight }) => weight === 100)?.version;
    if (all === undefined) return undefined;
    return (await this.parts.functions.version(name, all))?.sourceDigest === digest ? all : undefined;
  }

  /** A push removes no function: that is for who knows that nobody calls it any more. */
  private async nameLeftBehind(functions: readonly PushedFunction[], { repository: { project }, say }: Push): Promise<void> {
    const pushed = new Set(functions.map(({ name }) => name));
    const left = (await this.parts.functions.listAll())
      .map((entry) => entry.function)
      .filter((record) => record.project === project && !pushed.has(record.name));
    for (const { name } of left) await say(`${name} is not in the repository any more and serves on; to remove it: kiln rm ${name}`);
  }
}

function ofFunction(name: string, { code, message, fix }: KilnError): KilnError {
  return new KilnError(code, `${name}: ${message}`, { ...(fix !== undefined && { fix }) });
}

/** Objects of a push lie apart until it is taken. */
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

async function serveAll(proven: ReadonlyMap<string, Proven>, say: Push['say']): Promise<void> {
  const served: string[] = [];
  for (const [name, each] of proven) {
    try {
      await say(servedLine(await each.serve()));
      served.push(name);
    } catch (error) {
      throw error instanceof KilnError ? new NotServed(name, error, served) : error;
    }
  }
}

/** Everything was proved, and still one did not get its traffic: somebody else deployed it, or the store went away. */
class NotServed extends KilnError {
  constructor(
    name: string,
    { code, message }: KilnError,
    readonly served: readonly string[],
  ) {
    super(code, `${name}: ${message}`, { fix: 'push again' });
  }
}

function servedLine({
  function: name,
  version,
  url,
  changed,
}: {
  function: string;
  version: number;
  url: string;
  changed: boolean;
}): string {
  return changed ? `${name}: version ${version} serves at ${url}` : `${name}: the same image, version ${version} serves on`;
}

function failureLines(error: KilnError): string[] {
  const { code, message, fix } = error;
  // What is wrong with a folder is no request to whoever pushed it.
  const reason = (code === 'bad_request' ? message : `${ERRORS[code].title}: ${message}`).split('\n');
  const next = fix === undefined ? [] : [`next: ${fix}`];
  const served = error instanceof NotServed ? error.served : [];
  const kept = 'what served before serves on, and main has not moved';
  const end = served.length === 0 ? `not deployed: ${kept}` : `deployed before that: ${served.join(', ')}. Of all else, ${kept}`;
  return ['', ...reason, ...next, end, ''];
}
