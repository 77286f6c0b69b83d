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

const EXPORTS = /\bmodule\.exports\b|\bexports\.\w+\s*=|^[ \t]*export\s+(default|const|let|var|async|function|class|\{)/m;
const LISTENS = /\.listen\s*\(|\bserve\s*\(/;
/** Then it listens only where it is what was started, not where it is imported. */
const ONLY_WHEN_STARTED = /\brequire\.main\s*={2,3}\s*module|\bmodule\s*={2,3}\s*require\.main|\bimport\.meta\.main\b/;
/** What `listen` or `serve` is given: a number, or the name of one. */
const GIVEN_PORT = /(?:\.listen|\bserve)\s*\(\s*(?:\{[^}]{0,300}?\bport\s*:\s*)?(\d{2,5}\b|[A-Za-z_$][\w$]*)/;
const GIVEN_AS_PORT = /(?:\.listen|\bserve)\s*\(\s*\{[^}]{0,300}?\bport\s*[,}]/;

export function traitsOf(source: string): ModuleTraits {
  const text = withoutComments(source);
  return {
    exports: EXPORTS.test(text),
    listens: LISTENS.test(text) && !ONLY_WHEN_STARTED.test(text),
    fixedPort: asksForPort(text) ? undefined : fixedPort(text),
    localOnly: /\bfastify\b/i.test(text) && !/0\.0\.0\.0|\bHOST\b|['"]::['"]/.test(text),
  };
}

/** Of the server itself: a database's port, which the text may name as well, is another thing. */
function fixedPort(text: string): number | undefined {
  const given = GIVEN_AS_PORT.test(text) ? 'port' : (GIVEN_PORT.exec(text)?.[1] ?? '');
  const named = new RegExp(
    String.raw`\b(?:const|let|var)\s+${given.replaceAll('$', '[$]')}\s*(?::\s*number\s*)?=\s*(\d{2,5})\s*(?:[;,\n]|$)`,
  );
  const port = Number(/^\d/.test(given) ? given : named.exec(text)?.[1]);
  return port > 0 && port <= 65_535 ? port : undefined;
}

function asksForPort(text: string): boolean {
  return /['"`]PORT['"`]/.test(text) || (/\benv\b/.test(text) && /\bPORT\b/.test(text));
}

/** In one pass, whatever the text is: it is a stranger's, and the node reads it. */
function withoutComments(source: string): string {
  const kept: string[] = [];
  let at = 0;
  for (let open = source.indexOf('/*'); open >= 0; open = source.indexOf('/*', at)) {
    const close = source.indexOf('*/', open + 2);
    if (close < 0) break;
    kept.push(source.slice(at, open));
    at = close + 2;
  }
  kept.push(source.slice(at));
  return kept.join(' ').replace(/(^|[\s;{}])\/\/.*$/gm, '$1');
}
