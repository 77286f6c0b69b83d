import type { BuildArgs } from '@kiln/contract/api/build-args';
import { dockerfileRefusal, instructionsOf, readsOneWay } from './dockerfile-text.js';

const MAX_VALUE_CHARS = 8192;

/** Images from which a Dockerfile builds or copies, without its own stages. @throws KilnError for a name that can be read in two ways */
export function imagesOf(dockerfile: string, args: BuildArgs): string[] {
  if (!readsOneWay(dockerfile)) throw dockerfileRefusal('"# escape=" must be its first line', 'put it there, or leave it out');
  // Engines differ on whether a line continues that ends with two escape characters.
  return [...new Set([...imagesAs(dockerfile, args, false), ...imagesAs(dockerfile, args, true)])];
}

/** The same for the ONBUILD triggers of an image. */
export function imagesOfTriggers(triggers: readonly string[]): string[] {
  return imagesOf(['FROM scratch', ...triggers].join('\n'), {});
}

function imagesAs(dockerfile: string, args: BuildArgs, doubledEnds: boolean): string[] {
  const variables = new Map<string, string>();
  const images: string[] = [];
  /** Stages above the current one, which is no source of its own. */
  const stages = new Set<string>();
  let stage: string | undefined;
  let begun = false;
  const add = (image: string) => {
    if (image !== 'scratch' && !stages.has(image.toLowerCase())) images.push(image);
  };
  for (const { keyword, rest } of instructionsOf(dockerfile, { doubledEnds })) {
    if (keyword === 'ARG' && !begun) for (const [name, value] of declared(rest, variables)) variables.set(name, args[name] ?? value);
    if (keyword === 'FROM') {
      begun = true;
      if (stage !== undefined) stages.add(stage.toLowerCase());
      const [image = '', , name] = rest.replace(/^(--\S+\s+)*/, '').split(/\s+/);
      add(expanded(image, variables));
      stage = name;
    }
    const [, source] = /^(?:ONBUILD\s+)*COPY\s+(?:--\S+\s+)*--from=(\S+)/i.exec(`${keyword} ${rest}`) ?? [];
    // A number means a stage.
    if (source !== undefined && !/^\d+$/.test(source)) add(expanded(source, new Map()));
  }
  return images;
}

/** Names and values of `ARG A=1 B="2"`; a value may use the names before it. */
function declared(rest: string, before: ReadonlyMap<string, string>): [string, string][] {
  const variables = new Map(before);
  return [...rest.matchAll(/(?:^|\s)(\w+)(?:=("[^"]*"|'[^']*'|\S*))?/g)].map(([, name = '', text = '']) => {
    const value = /["'\\]/.test(text.slice(1, -1)) ? text : text.replace(/^(["'])(.*)\1$/, '$2');
    variables.set(name, /[\\"']/.test(value) ? value : expand(value, variables));
    return [name, variables.get(name) ?? ''];
  });
}

function expanded(word: string, variables: ReadonlyMap<string, string>): string {
  const image = expand(word, variables);
  if (image !== '' && !/[$"'\\`]/.test(image)) return image;
  const fix = 'write the name out, or with variables that an ARG above the first FROM declares, as $NAME';
  throw dockerfileRefusal(`${word} names no image`, fix);
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
  // Variables that use variables can double their length at each step.
  if (expanded.length <= MAX_VALUE_CHARS) return expanded;
  const why = `a value is longer than ${MAX_VALUE_CHARS} characters when its variables are put in`;
  throw dockerfileRefusal(why, 'write the name of the image out');
}
