import { dockerfileRefusal, instructionsOf, jsonWords } from '../dockerfile/dockerfile-text.js';
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
    if (remote === undefined) return { kind: 'http', baseImages: [], notes: [`found a ${NAME}`] };
    const why = `ADD ${remote}: the engine itself would fetch it, from wherever the machine can reach`;
    throw dockerfileRefusal(why, 'fetch it in a RUN step, or begin a path made from variables with ./');
  },
};

/** Sources of ADD that are, or with a variable could become, a URL: the engine fetches them itself, outside the rules for steps. */
export function remoteSources(dockerfile: string): string[] {
  // The file's first lines say which character continues a line. Read in every way, no comment can hide an instruction.
  const readings = ['\\', '`'].flatMap((escapeCharacter) => [true, false].map((doubledEnds) => ({ escapeCharacter, doubledEnds })));
  const found = readings
    .flatMap((reading) => instructionsOf(dockerfile, reading))
    .flatMap(({ keyword, rest }) => {
      const [, args] = /^(?:ONBUILD\s+)*ADD\s+(.*)$/is.exec(`${keyword} ${rest}`) ?? [];
      return args === undefined ? [] : wordsOf(args).filter((word) => !/^\.?\//.test(word) && /:\/\/|\$/.test(word));
    });
  return [...new Set(found)];
}

/** The words of a JSON list or of a line, without quotes. */
function wordsOf(args: string): string[] {
  const [, rest = ''] = /^(?:--\S+\s+)*(.*)$/s.exec(args) ?? [];
  return (jsonWords(rest) ?? rest.split(/\s+/)).map((word) => word.replace(/["'\\`]/g, '')).filter((word) => word !== '');
}
