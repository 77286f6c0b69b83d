import { KilnError } from '@kiln/contract/errors';
import { jsonWords } from '../dockerfile/dockerfile-text.js';
import type { SourceFolder } from '../source/source-folder.js';
import type { BuildPlan, Detector } from './detector.js';

const NAME = 'Dockerfile';

/** A folder with a Dockerfile is built as it is. */
export const dockerfileDetector: Detector = {
  looksFor: () => `a ${NAME}`,
  async detect(folder: SourceFolder): Promise<BuildPlan | undefined> {
    if (!folder.has(NAME)) return undefined;
    const text = await folder.readText(NAME);
    const [remote] = remoteSources(text);
    if (remote !== undefined) {
      throw new KilnError('bad_request', `${NAME}: ADD ${remote}: the engine itself would fetch it, from wherever the machine can reach`, {
        fix: 'fetch it in a RUN step, or begin a path made from variables with ./',
      });
    }
    return { kind: 'http', baseImages: [], notes: [`found a ${NAME}`] };
  },
};

/** Sources of ADD that are, or by a variable could become, an address: those the engine fetches outside every rule for steps. */
export function remoteSources(dockerfile: string): string[] {
  // Which character continues a line is for the file's first lines to say: read both ways, no comment can hide an instruction.
  const lines = ['\\\\', '`'].flatMap((continues) => instructions(dockerfile, continues));
  const found = lines.flatMap((line) => {
    const [, args] = /^(?:ONBUILD\s+)*ADD\s+(.*)$/is.exec(line) ?? [];
    return args === undefined ? [] : wordsOf(args).filter((word) => !/^\.?\//.test(word) && /:\/\/|\$/.test(word));
  });
  return [...new Set(found)];
}

/** Without comments, each on one line. */
function instructions(dockerfile: string, continues: string): string[] {
  return (
    dockerfile
      // Space to the engine's reader, and not to ours.
      .replace(/^\uFEFF|\u0085/g, ' ')
      .split(/\r?\n/)
      .filter((line) => !/^\s*#/.test(line))
      .join('\n')
      .replace(new RegExp(`${continues}[ \\t]*\\n`, 'g'), '')
      .split('\n')
      .map((line) => line.trim())
  );
}

/** A list in JSON, or words as a shell has them; quotes mean nothing to what a word becomes. */
function wordsOf(args: string): string[] {
  const [, rest = ''] = /^(?:--\S+\s+)*(.*)$/s.exec(args) ?? [];
  return (jsonWords(rest) ?? rest.split(/\s+/)).map((word) => word.replace(/["'\\`]/g, '')).filter((word) => word !== '');
}
