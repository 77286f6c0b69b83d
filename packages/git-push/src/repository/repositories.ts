import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KilnError } from '@kiln/contract/errors';
import { functionName } from '@kiln/contract/names';
import { type GitPlaces, gitEnvironment } from './git-environment.js';
import { HOOK } from './hook.js';
import { mebibytes, PUSH_LIMITS } from './limits.js';
import { gitText } from './run-git.js';

const HOOKS = '.hooks';
/** The name of an empty repository; no project can have it. */
const EMPTY = '_empty';
/** How git names the folder of objects in quarantine. */
const QUARANTINE = 'tmp_objdir-';

/** One project's bare repository. */
export interface Repository {
  project: string;
  /** The folder of all repositories. */
  root: string;
  folder: string;
  env: Record<string, string>;
}

/** One bare repository for each project. They are no store of code: the next push makes a lost one again, with the whole history. */
export class Repositories {
  readonly places: GitPlaces;
  private hook: Promise<void> | undefined;

  constructor(home: string, path: string) {
    const root = join(home, 'git');
    this.places = { path, root, hooks: join(root, HOOKS) };
  }

  /** @param project is checked here, because it becomes the name of a folder. @throws KilnError `not_found` */
  async find(project: string): Promise<Repository> {
    const repository = this.at(project);
    if (existsSync(repository.folder)) return repository;
    throw new KilnError('not_found', `nothing was pushed to "${project}" yet`, { fix: 'push first: git push kiln main' });
  }

  /** Finds or makes a repository. @throws KilnError `unavailable` where it can't be made, or is full */
  async findOrMake(project: string): Promise<Repository> {
    const repository = this.at(project);
    await this.prepare();
    if (existsSync(repository.folder)) {
      await removeLeftovers(repository);
      await refuseFull(repository);
    } else await this.make(repository);
    return repository;
  }

  /** Finds a repository for the list of refs; an empty one where the project has none. @throws KilnError as findOrMake */
  async findOrEmpty(project: string): Promise<Repository> {
    if (existsSync(this.at(project).folder)) return this.findOrMake(project);
    await this.prepare();
    const empty = this.repository(EMPTY);
    if (!existsSync(empty.folder)) await this.init(empty);
    return empty;
  }

  private at(project: string): Repository {
    if (!functionName.safeParse(project).success) {
      throw new KilnError('bad_request', 'a project has a name of 1 to 63 characters of a-z, 0-9 and -, as a function has', {
        fix: 'push to /git/my-project.git: git remote set-url kiln <address of the control API>/git/my-project.git',
      });
    }
    return this.repository(project);
  }

  private repository(project: string): Repository {
    const folder = join(this.places.root, `${project}.git`);
    return { project, root: this.places.root, folder, env: gitEnvironment(this.places, folder) };
  }

  private async make(repository: Repository): Promise<void> {
    const projects = (await readdir(this.places.root)).filter((name) => name.endsWith('.git') && name !== `${EMPTY}.git`).length;
    if (projects >= PUSH_LIMITS.repositories) {
      throw new KilnError('unavailable', `there are ${projects} projects already`, {
        fix: `remove one that is not needed from ${this.places.root}`,
      });
    }
    await this.init(repository);
  }

  private async init({ project, folder, env }: Repository): Promise<void> {
    const half = join(this.places.root, `.${project}-${randomBytes(6).toString('hex')}`);
    try {
      await gitText({ args: ['init', '--quiet', '--bare', '--initial-branch=main', '--template=', half], env });
      await rename(half, folder);
    } catch (error) {
      await rm(half, { recursive: true, force: true });
      // Another push has made the repository.
      if (!existsSync(folder)) throw error;
    }
  }

  /** Makes, once, the folder that only this user can read, and the hook. @throws KilnError `unavailable` */
  private prepare(): Promise<void> {
    this.hook ??= this.writeHook().catch((error: Error) => {
      this.hook = undefined;
      throw new KilnError('unavailable', `the router can't write to ${this.places.root}: ${(error as NodeJS.ErrnoException).code}`, {
        fix: 'set KILN_HOME to a folder that the router may write to, or use: kiln deploy',
        cause: error,
      });
    });
    return this.hook;
  }

  /** Replaces the hook in one step: a push of another router on this machine may run it now. */
  private async writeHook(): Promise<void> {
    await mkdir(this.places.hooks, { recursive: true, mode: 0o700 });
    const half = join(this.places.hooks, `.${randomBytes(6).toString('hex')}`);
    await writeFile(half, HOOK, { mode: 0o700, flag: 'wx' });
    await rename(half, join(this.places.hooks, 'pre-receive'));
  }
}

/** Removes objects of pushes that were killed with the router or the machine: older than any push that could still run. */
async function removeLeftovers({ folder }: Repository): Promise<void> {
  const objects = join(folder, 'objects');
  for (const name of (await readdir(objects)).filter((name) => name.startsWith(QUARANTINE))) {
    const { mtimeMs } = await stat(join(objects, name)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > 2 * PUSH_LIMITS.time) await rm(join(objects, name), { recursive: true, force: true });
  }
}

async function refuseFull({ project, folder, env }: Repository): Promise<void> {
  const counted = await gitText({ args: ['--git-dir', folder, 'count-objects', '-v'], env });
  const kibibytes = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(counted)?.[1] ?? 0);
  const bytes = 1024 * (kibibytes('size') + kibibytes('size-pack') + kibibytes('size-garbage'));
  if (bytes <= PUSH_LIMITS.repositoryBytes) return;
  throw new KilnError('unavailable', `the repository of "${project}" holds ${mebibytes(bytes)}, more than it may`, {
    fix: `remove ${folder} on the router's machine: the next push makes it anew`,
  });
}
