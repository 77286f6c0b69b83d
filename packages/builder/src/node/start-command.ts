import { type Manifest, printable } from './manifest.js';
import { portIn } from './script-port.js';

/** How a project starts, by its package.json. */
export interface Start {
  /** The command in the image. */
  command: string[];
  /** The reason, in words for a user. */
  why: string;
  /** The module that the command runs, where it names one. */
  file: string | undefined;
  /** It may need development dependencies (tsx, nodemon). */
  needsTools: boolean;
  /** The command listens for a module that only exports; without the command the module would be a function. */
  serves: boolean;
  /** The build script that the command runs first. */
  build: string | undefined;
  /** The port that stands in the script. */
  port: number | undefined;
}

/** Nest's `start` is for developers, and compiles first; `start:prod` is for servers. */
const SCRIPTS = ['start:prod', 'start'];
/** A word that means the same with and without a shell. */
const PLAIN = /^[\w@./=:-]+$/;
/** Options of Node, also in NODE_OPTIONS, that load a module of the project or of its tools. */
const LOADS = /(?:^|=)(?:-r|--require|--import|--loader|--experimental-loader)(?:=|$)/;
/** A command that runs functions, not a server. */
const FUNCTIONS = /\bkiln-runner\b/;
/** Loads a plugin and listens for it, as in a project of `fastify generate`. */
const SERVES = /^fastify start\b/;
/** A build before the start. It belongs into the image, because an instance can write no files. A migration is no build. */
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
  const start = {
    why: `the script "${name}" runs ${printable(own)}`,
    serves: SERVES.test(script),
    build: builds ? build : undefined,
    port: portIn(own, manifest.scripts),
  };
  if (before !== undefined && !builds) return { ...start, command: ['npm', 'run', name], file: undefined, needsTools: true };
  // Without npm and a shell in between, the program starts sooner and gets the signals itself.
  const { variables, command } = withVariables(script.split(/ +/));
  if (command[0] === 'node' && [...variables, ...command].every((word) => PLAIN.test(word))) {
    const file = command.find((word, i) => i > 0 && !word.startsWith('-'))?.replace(/^\.\//, '');
    return {
      ...start,
      command: [...(variables.length === 0 ? [] : ['env', ...variables]), ...command],
      file,
      needsTools: [...variables, ...command].some((word) => LOADS.test(word)),
    };
  }
  return { ...start, command: ['sh', '-c', script], file: undefined, needsTools: true };
}

/** Takes apart `A=1 B=2 node server.js`, also with cross-env or env before it, which do the same. */
function withVariables(words: readonly string[]): { variables: string[]; command: string[] } {
  const own = words.slice(/^(cross-env|env)$/.test(words[0] ?? '') ? 1 : 0);
  const count = own.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word));
  return count < 0 ? { variables: [], command: [...words] } : { variables: own.slice(0, count), command: own.slice(count) };
}
