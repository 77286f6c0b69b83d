import type { BuildArgs } from '@kiln/contract/api/build-args';
import { KilnError } from '@kiln/contract/errors';
import { instructionsOf, readsOneWay } from './dockerfile-text.js';

const MAX_VALUE_CHARS = 8192;

/**
 * Images that a Dockerfile builds on or copies from, by their names as build arguments make them; not its own stages.
 * @throws KilnError `bad_request` for a name that could be read in two ways
 */
export function imagesOf(dockerfile: string, args: BuildArgs): string[] {
  if (!readsOneWay(dockerfile)) throw refusal('"# escape=" must be its first line', 'put it there, or leave it out');
  // Engines differ in whether a line goes on that ends with two of them.
  return [...new Set([...imagesAs(dockerfile, args, false), ...imagesAs(dockerfile, args, true)])];
}

/** The same of what an image has its builders do. */
export function imagesOfTriggers(triggers: readonly string[]): string[] {
  return imagesOf(['FROM scratch', ...triggers].join('\n'), {});
}

function imagesAs(dockerfile: string, args: BuildArgs, doubledEnds: boolean): string[] {
  const variables = new Map<string, string>();
  const images: string[] = [];
  /** Those above; the one that has begun is no source of its own. */
  const stages = new Set<string>();
  let stage: string | undefined;
  let begun = false;
  const add = (image: string) => {
    if (image !== 'scratch' && !stages.has(image.toLowerCase())) images.push(image);
  };
  for (const { keyword, rest } of instructionsOf(dockerfile, doubledEnds)) {
    if (keyword === 'ARG' && !begun) for (const [name, value] of declared(rest, variables)) variables.set(name, args[name] ?? value);
    if (keyword === 'FROM') {
      begun = true;
      if (stage !== undefined) stages.add(stage.toLowerCase());
      const [image = '', , name] = rest.replace(/^(--\S+\s+)*/, '').split(/\s+/);
      add(expanded(image, variables));
      stage = name;
    }
    const [, source] = /^(?:ONBUILD\s+)*COPY\s+(?:--\S+\s+)*--from=(\S+)/i.exec(`${keyword} ${rest}`) ?? [];
    // A number is a stage's, or nothing.
    if (source !== undefined && !/^\d+$/.test(source)) add(expanded(source, new Map()));
  }
  return images;
}

/** Of `ARG A=1 B="2"`, one after the other: each may use those before it. */
function declared(rest: string, before: ReadonlyMap<string, string>): [string, string][] {
  const known = new Map(before);
  return [...rest.matchAll(/(?:^|\s)(\w+)(?:=("[^"]*"|'[^']*'|\S*))?/g)].map(([, name = '', text = '']) => {
    const value = /["'\\]/.test(text.slice(1, -1)) ? text : text.replace(/^(["'])(.*)\1$/, '$2');
    known.set(name, /[\\"']/.test(value) ? value : expand(value, known));
    return [name, known.get(name) ?? ''];
  });
}

function expanded(word: string, variables: ReadonlyMap<string, string>): string {
  const image = expand(word, variables);
  if (image !== '' && !/[$"'\\`]/.test(image)) return image;
  throw refusal(`${word} names no image`, 'write the name out, or with variables that an ARG above the first FROM declares, as $NAME');
}

function expand(word: string, variables: ReadonlyMap<string, string>): string {
  const expanded = word.replace(
    /\$(?:(\w+)|\{(\w+)(?::([-+])([^${}]*))?\})/g,
    (_all, plain?: string, braced?: string, how?: string, other = '') => {
      const value = variables.get(plain ?? braced ?? '') ?? '';
      if (how === '-') return value === '' ? other : value;
      return how === '+' ? (value === '' ? '' : other) : value;
    },
  );
  // Variables made of variables can double at each step.
  if (expanded.length <= MAX_VALUE_CHARS) return expanded;
  throw refusal(`a value is longer than ${MAX_VALUE_CHARS} characters when its variables are put in`, 'write the name of the image out');
}

function refusal(why: string, fix: string): KilnError {
  return new KilnError('bad_request', `Dockerfile: ${why}`, { fix });
}
