/** As Flask looks for them. */
export const FACTORY_NAMES: readonly string[] = ['create_app', 'make_app'];

const MAX_CHARS = 4096;

export interface Factory {
  name: string;
  /** Can be called without arguments. */
  fits: boolean;
}

/** The factory that a module defines. An async one gives a coroutine, and no server can call that. */
export function factoryIn(source: string): Factory | undefined {
  for (const name of FACTORY_NAMES) {
    const found = new RegExp(`^def[ \\t]+${name}[ \\t]*\\(`, 'm').exec(source);
    if (found === null) continue;
    const start = found.index + found[0].length;
    const parameters = parametersIn(source.slice(start, start + MAX_CHARS));
    return { name, fits: parameters?.every(isOptional) ?? false };
  }
  return undefined;
}

/** The parameters up to the bracket that closes the list; undefined where none does. */
function parametersIn(text: string): string[] | undefined {
  const parameters = [''];
  let depth = 0;
  for (const [token] of text.matchAll(/#[^\n]*|"[^"\n]*"|'[^'\n]*'|[\s\S]/g)) {
    if (token.startsWith('#')) continue;
    if (token === ')' && depth === 0) return parameters.map((each) => each.trim()).filter((each) => each !== '');
    if ('([{'.includes(token)) depth += 1;
    if (')]}'.includes(token)) depth -= 1;
    if (token === ',' && depth === 0) parameters.push('');
    // What stands in brackets is of a type or a default, and says nothing here.
    else if (depth === 0) parameters[parameters.length - 1] += token;
  }
  return undefined;
}

function isOptional(parameter: string): boolean {
  return parameter.startsWith('*') || parameter === '/' || parameter.includes('=');
}
