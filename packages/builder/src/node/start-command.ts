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
}

/** Nest's `start` compiles and is for developers; beside it is the one for servers. */
const SCRIPTS = ['start:prod', 'start'];
/** What means the same to a shell and without one. */
const PLAIN = /^[\w@./=:-]+$/;
/** Runs functions, not a server. */
const FUNCTIONS = /\bkiln-runner\b/;
/** Loads a plugin and listens for it: how `fastify generate` lays a server out. */
const SERVES = /^fastify start\b/;

export function startOf(manifest: Manifest | undefined): Start | undefined {
  const name = SCRIPTS.find((script) => manifest?.scripts[script] !== undefined);
  if (manifest === undefined || name === undefined) return undefined;
  const script = manifest.scripts[name]!.trim();
  if (script === '' || FUNCTIONS.test(script)) return undefined;
  const why = `the script "${name}" runs ${shown(script)}`;
  const serves = SERVES.test(script);
  if (`pre${name}` in manifest.scripts) return { command: ['npm', 'run', name], why, file: undefined, needsTools: true, serves };
  // Without npm and a shell between, it starts sooner and gets the signals itself.
  const command = script.split(/ +/);
  if (command[0] === 'node' && command.every((word) => PLAIN.test(word))) {
    return { command, why, file: moduleIn(command), needsTools: false, serves };
  }
  return { command: ['sh', '-c', script], why, file: undefined, needsTools: true, serves };
}

function moduleIn([, ...rest]: string[]): string | undefined {
  const path = rest.find((argument) => !argument.startsWith('-'));
  return path?.replace(/^\.\//, '');
}
