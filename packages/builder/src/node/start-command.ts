import { type Manifest, shown } from './manifest.js';

/** How a project says that it is started. */
export interface Start {
  /** As the image runs it. */
  command: string[];
  /** The evidence, in words for a user. */
  why: string;
  /** The module it runs, where the command names one. */
  file: string | undefined;
  /** It may need development dependencies (tsx, nodemon). */
  needsTools: boolean;
  /** It listens for a module that only exports, and that by itself would pass for a function. */
  serves: boolean;
  /** The script that builds what it runs, where it says so itself. */
  build: string | undefined;
}

/** Nest's `start` compiles and is for developers; beside it is the one for servers. */
const SCRIPTS = ['start:prod', 'start'];
/** What means the same to a shell and without one. */
const PLAIN = /^[\w@./=:-]+$/;
/** Runs functions, not a server. */
const FUNCTIONS = /\bkiln-runner\b/;
/** Loads a plugin and listens for it: how `fastify generate` lays a server out. */
const SERVES = /^fastify start\b/;
/** A build before the start: the image is the place for it, where what is started could write nothing. Migrations are none. */
const BUILDS_FIRST = /^npm run ((?:build|compile)[\w:.-]*) && (.+)$/s;

export function startOf(manifest: Manifest | undefined): Start | undefined {
  const name = SCRIPTS.find((script) => manifest?.scripts[script] !== undefined);
  if (manifest === undefined || name === undefined) return undefined;
  const own = manifest.scripts[name]!.trim();
  if (own === '' || FUNCTIONS.test(own)) return undefined;
  const before = manifest.scripts[`pre${name}`]?.trim();
  const [, build, rest] = BUILDS_FIRST.exec(before === undefined ? own : `${before} && ${own}`) ?? [];
  const builds = build !== undefined && manifest.scripts[build] !== undefined;
  const script = builds && rest !== undefined ? rest : own;
  const start = { why: `the script "${name}" runs ${shown(own)}`, serves: SERVES.test(script), build: builds ? build : undefined };
  if (before !== undefined && !builds) return { ...start, command: ['npm', 'run', name], file: undefined, needsTools: true };
  // Without npm and a shell between, it starts sooner and gets the signals itself.
  const command = script.split(/ +/);
  if (command[0] === 'node' && command.every((word) => PLAIN.test(word))) {
    return { ...start, command, file: moduleIn(command), needsTools: false };
  }
  return { ...start, command: ['sh', '-c', script], file: undefined, needsTools: true };
}

function moduleIn([, ...rest]: string[]): string | undefined {
  const path = rest.find((argument) => !argument.startsWith('-'));
  return path?.replace(/^\.\//, '');
}
