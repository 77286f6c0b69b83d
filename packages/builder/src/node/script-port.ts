/** Scripts that run scripts: more than this is a circle. */
const MAX_DEPTH = 5;
const MAX_CHARS = 10_000;
const VARIABLE = /(?:^|\s)PORT=["']?(\d{2,5})["']?(?=\s|$)/;
/** `-p`, `-l` and their long forms, as `next`, `serve`, `vite` and `fastify` have them. */
const OPTION = /\s(?:-p|-l|--port|--listen)(?:=|\s{1,10})["']?(\d{2,5})["']?(?=\s|$)/;
const OTHER_SCRIPT = /^(?:npm|pnpm|yarn)\s+(?:run\s+)?(?:-s\s+|--silent\s+)?([\w:.-]+)$/;

/** The port at which a start script tells its program to listen; undefined where the program is left the choice. */
export function portIn(script: string, scripts: Readonly<Record<string, string>>, depth = 0): number | undefined {
  if (depth > MAX_DEPTH || script.length > MAX_CHARS) return undefined;
  const commands = script.split(/&&|;/).map((command) => command.trim());
  // What runs before it may have ports of its own, such as a database's.
  const last = commands.at(-1) ?? '';
  const exported = commands.findLast((command) => /^export\s/.test(command) && VARIABLE.test(command)) ?? '';
  // An option is the program's own word, and a variable only its default. The innermost script sets its variables last.
  const digits = OPTION.exec(last)?.[1];
  const [, other = ''] = OTHER_SCRIPT.exec(withoutVariables(last)) ?? [];
  const inner = digits === undefined && Object.hasOwn(scripts, other) ? portIn(scripts[other] ?? '', scripts, depth + 1) : undefined;
  const port = inner ?? Number(digits ?? VARIABLE.exec(last)?.[1] ?? VARIABLE.exec(exported)?.[1]);
  return port > 0 && port <= 65_535 ? port : undefined;
}

function withoutVariables(command: string): string {
  const words = command.split(/\s+/);
  const first = words.findIndex((word) => !/^(?:cross-env|env|[A-Za-z_]\w*=.*)$/.test(word));
  return first < 0 ? '' : words.slice(first).join(' ');
}
