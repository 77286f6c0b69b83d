/** Traits of a module, read from its text; the module does not run. */
export interface ModuleTraits {
  /** It exports something, such as a handler or an app. */
  exports: boolean;
  /** It opens a port whenever it is loaded. */
  listens: boolean;
  /** The port, where it is a number in the text and the module reads no PORT variable. */
  fixedPort: number | undefined;
  /** It listens on localhost only: nobody reaches it from outside the container. */
  localOnly: boolean;
  /** It asks for what only Node has. */
  needsNode: boolean;
}

const EXPORTS = /\bmodule\.exports\b|\bexports\.\w+\s*=|^[ \t]*export\s+(default|const|let|var|async|function|class)|^[ \t]*export\s*[{*]/m;
/** Packages and Node's own modules, the variables of a CommonJS module, the process. */
const NEEDS_NODE =
  /\brequire\s*\(\s*['"`]|\b(?:from|import)\s*(?:\(\s*)?['"`](?![./]|https?:)|\bexports\b|\b__(?:dirname|filename)\b|\bprocess\s*\.\s*(?:argv|env|exit|on|std)/;
const LISTENS = /\.listen\s*\(|\bserve\s*\(/;
/** Code that listens only where the module is started, not where it is imported. */
const ONLY_WHEN_STARTED = /\brequire\.main\s*={2,3}\s*module|\bmodule\s*={2,3}\s*require\.main|\bimport\.meta\.main\b/;
/** The argument of `listen` or `serve`: a number, or the name of a variable. */
const GIVEN_PORT = /(?:\.listen|\bserve)\s*\(\s*(?:\{[^}]{0,300}?\bport\s*:\s*)?(\d{2,5}\b|[A-Za-z_$][\w$]*)/;
const GIVEN_AS_PORT = /(?:\.listen|\bserve)\s*\(\s*\{[^}]{0,300}?\bport\s*[,}]/;

export function traitsOf(source: string): ModuleTraits {
  const text = withoutComments(source);
  return {
    exports: EXPORTS.test(text),
    listens: LISTENS.test(text) && !ONLY_WHEN_STARTED.test(text),
    fixedPort: asksForPort(text) ? undefined : fixedPort(text),
    localOnly: /\bfastify\b/i.test(text) && !/0\.0\.0\.0|\bHOST\b|['"]::['"]/.test(text),
    needsNode: NEEDS_NODE.test(text),
  };
}

/** The port of the server itself; the text may also name another port, such as a database's. */
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

/** One pass over the text, because it is untrusted and may be built to cost time. */
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
