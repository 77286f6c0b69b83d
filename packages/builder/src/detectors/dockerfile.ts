import type { BuildPlan, Detector } from '../detect.js';
import type { SourceFolder } from '../source-folder.js';

const NAME = 'Dockerfile';

/** A folder with a Dockerfile is built as it is. */
export const dockerfileDetector: Detector = {
  looksFor: () => `a ${NAME}`,
  async detect(folder: SourceFolder): Promise<BuildPlan | undefined> {
    if (!folder.has(NAME)) return undefined;
    return { kind: 'http', baseImages: baseImages(await folder.readText(NAME)), notes: [`found a ${NAME}`] };
  },
};

/** Images named by FROM lines; not stages of the same file, nor names made from build arguments. */
export function baseImages(dockerfile: string): string[] {
  const stages = new Set<string>();
  const images = new Set<string>();
  for (const line of dockerfile.split('\n')) {
    const [, image, stage] = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$/i.exec(line) ?? [];
    if (image === undefined) continue;
    if (image !== 'scratch' && !image.includes('$') && !stages.has(image.toLowerCase())) images.add(image);
    if (stage !== undefined) stages.add(stage.toLowerCase());
  }
  return [...images];
}
