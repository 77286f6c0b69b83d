/** What the text of a module says of it; it is read, not run. */
export interface ModuleTraits {
  /** It gives something to others: a handler, an app. */
  exports: boolean;
  /** It opens a port whenever it is loaded. */
  listens: boolean;
  /** The port it opens, where that is a number in the text and no variable is asked. */
  fixedPort: number | undefined;
  /** Only this machine's own address: nobody would reach it from outside the container. */
  localOnly: boolean;
}

const EXPORTS = /\bmodule\.exports\b|\bexports\.\w+\s*=|^\s*export\s+(default|const|let|var|async|function|class|\{)/m;
const LISTENS = /\.listen\s*\(|\bserve\s*\(/;
/** Then it listens only where it is what was started, not where it is imported. */
const ONLY_WHEN_STARTED = /\brequire\.main\s*={2,3}\s*module|\bmodule\s*={2,3}\s*require\.main|\bimport\.meta\.main\b/;
const FIXED_PORT = /\.listen\s*\(\s*(\d{2,5})\b|\bport['"]?\s*[:=]\s*(\d{2,5})\b/i;

export function traitsOf(source: string): ModuleTraits {
  const text = withoutComments(source);
  const [, listened, named] = (asksForPort(text) ? null : FIXED_PORT.exec(text)) ?? [];
  const port = Number(listened ?? named);
  return {
    exports: EXPORTS.test(text),
    listens: LISTENS.test(text) && !ONLY_WHEN_STARTED.test(text),
    fixedPort: port > 0 && port <= 65_535 ? port : undefined,
    localOnly: /\bfastify\b/i.test(text) && !/0\.0\.0\.0|\bHOST\b|['"]::['"]/.test(text),
  };
}

function asksForPort(text: string): boolean {
  return /['"`]PORT['"`]/.test(text) || (/\benv\b/.test(text) && /\bPORT\b/.test(text));
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|(^|[\s;{}])\/\/.*$/gm, '$1');
}
