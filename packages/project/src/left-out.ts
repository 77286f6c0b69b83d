import ignore, { type Ignore } from 'ignore';
import { type DockerMatches, type DockerPattern, dockerPatterns, dockerStep, reachesBelow } from './docker-patterns.js';

/** Generated files, and files of one machine only: above all .env, with secrets for `kiln dev`. */
export const NEVER_UNLESS_ASKED = [
  ...['.git', '.hg', '.svn', '.DS_Store', '.idea', '.vscode'],
  ...['.env', '.env.local', '.env.*.local'],
  ...['node_modules', '.next', '.turbo', '.parcel-cache'],
  ...['__pycache__', '*.pyc', '.venv', 'venv', '.pytest_cache', '.mypy_cache', '.ruff_cache'],
];

/** Templates of .dockerignore take parts of it back, with the login of a checkout; no deployment has a use for it. */
const HISTORY = /(?:^|\/)\.(?:git|hg|svn)(?:\/|$)/;

/** What is known of a folder on the way from the root to a path. */
interface Step {
  name: string;
  /** By `.kilnignore`, and so for all that is below, as git has it. */
  excluded: boolean;
  /** Not sent unless somebody asks for it by name. */
  hidden: boolean;
  leftOut: boolean;
  matched: DockerMatches;
}

const ROOT: Step = { name: '', excluded: false, hidden: false, leftOut: false, matched: [] };

/** The rules of a folder: `.dockerignore` as Docker reads it, and above it `.kilnignore` as git reads a `.gitignore`. */
export class IgnoreRules {
  private readonly hidden = ignore().add(NEVER_UNLESS_ASKED);
  private readonly docker: readonly DockerPattern[];
  /** Those that take back by name what is never sent unasked. `!*` names nothing, so it brings no .env along. */
  private readonly asking: readonly DockerPattern[];
  private readonly kiln: Ignore | undefined;
  /** The way to the last path: the next one mostly shares it. */
  private way: Step[] = [];

  /** @throws BadPattern */
  constructor(dockerignore?: string, kilnignore?: string) {
    this.docker = dockerPatterns(dockerignore);
    this.asking = this.docker.filter(
      ({ negated, text }) => negated && !HISTORY.test(text) && text.split('/').some((part) => this.isHidden(part.replace(/[*?]+/g, ''))),
    );
    this.kiln = kilnignore === undefined ? undefined : ignore().add(kilnignore);
  }

  /** Whether a file is left out, or all that may be in a folder; a folder ends with `/`. */
  ignores(path: string): boolean {
    const isFolder = path.endsWith('/');
    const names = (isFolder ? path.slice(0, -1) : path).split('/');
    const { excluded, hidden, leftOut } = this.walk(names, isFolder);
    if (excluded || !isFolder) return excluded || hidden || leftOut;
    if (!hidden && !leftOut) return false;
    const takingBack = hidden ? this.asking : this.docker.filter(({ negated }) => negated);
    return !takingBack.some((pattern) => reachesBelow(pattern, names.join('/')));
  }

  private walk(names: readonly string[], isFolder: boolean): Step {
    const folders = isFolder ? names : names.slice(0, -1);
    const shared = folders.findIndex((name, i) => this.way[i]?.name !== name);
    this.way.length = Math.min(this.way.length, shared === -1 ? folders.length : shared);
    for (let depth = this.way.length; depth < folders.length; depth++) {
      this.way.push(this.step(this.way.at(-1) ?? ROOT, names.slice(0, depth + 1), true));
    }
    const last = this.way.at(-1) ?? ROOT;
    return isFolder ? last : this.step(last, names, false);
  }

  private step(parent: Step, names: readonly string[], isFolder: boolean): Step {
    const name = names.at(-1) as string;
    if (parent.excluded) return { ...parent, name };
    const path = names.join('/');
    const own = this.kiln?.test(isFolder ? `${path}/` : path);
    if (own?.ignored) return { ...parent, name, excluded: true };
    // Git takes nothing back from a folder that is left out.
    if (own?.unignored && !parent.hidden && !parent.leftOut) return { ...ROOT, name };
    const { leftOut, matched } = dockerStep(this.docker, path, parent.matched);
    const isAsked = !leftOut && this.asking.some((pattern) => pattern.matches(path));
    return { name, excluded: false, hidden: !isAsked && (parent.hidden || this.isHidden(name)), leftOut, matched };
  }

  private isHidden(name: string): boolean {
    return name !== '' && name !== '.' && name !== '..' && this.hidden.ignores(name);
  }
}
