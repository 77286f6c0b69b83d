import { entryNames } from '@kiln/contract/config/entry-names';
import { mainOf, moduleOf, NODE_IMAGE, readManifest } from '../node/manifest.js';
import { type NodeInstall, nodeInstall } from '../node/node-install.js';
import { isPageScript } from '../node/page-script.js';
import { bundled, bundleStep, FETCH_ESBUILD, TYPESCRIPT, TYPESCRIPT_NAMES } from '../node/typescript.js';
import type { BuildPlan, Detector } from './detector.js';

/** A module with exported functions, served by the runner. */
export const runnerDetector: Detector = {
  async looksFor({ entry }, folder) {
    if (entry !== undefined) return `the module ${entry} (entry in kiln.json)`;
    const main = await mainOf(folder);
    const named = main === undefined ? 'main in package.json' : `${main} (main in package.json)`;
    return `a module: ${[named, ...entryNames(undefined), ...TYPESCRIPT_NAMES].join(', ')}`;
  },
  async detect(folder, { entry, handler }) {
    const manifest = await readManifest(folder);
    const found = (await moduleOf(folder, entry)) ?? (entry === undefined ? TYPESCRIPT_NAMES.find((name) => folder.has(name)) : undefined);
    if (found === undefined) return undefined;
    if (entry === undefined && handler === undefined && (await isPageScript(folder, found))) return undefined;
    const install = await nodeInstall(folder, manifest);
    const isTypescript = TYPESCRIPT.test(found);
    const built = isTypescript ? await bundled(folder, found) : found;
    return {
      kind: 'runner',
      baseImages: [NODE_IMAGE],
      entry: built,
      module: found,
      notes: [`found the module ${found}${isTypescript ? `: bundling it as ${built}` : ''}`, ...install.notes],
      dockerfile: ({ preparedImage }) =>
        isTypescript ? typescriptFile(preparedImage, install, found, built) : dockerfile(preparedImage, install),
    } satisfies BuildPlan;
  },
};

function dockerfile(runnerImage: string, install: NodeInstall): string[] {
  const steps = install.steps(false);
  const lines = steps.length === 1 ? steps : ['USER root', ...steps, 'USER 65532:65532'];
  return [`FROM ${runnerImage}`, ...lines];
}

function typescriptFile(runnerImage: string, install: NodeInstall, source: string, target: string): string[] {
  return [
    `FROM ${runnerImage} AS build`,
    'USER root',
    FETCH_ESBUILD,
    ...install.steps(false),
    bundleStep(source, target),
    `FROM ${runnerImage}`,
    'COPY --from=build /app /app',
  ];
}
