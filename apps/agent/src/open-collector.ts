import { access } from 'node:fs/promises';
import type { AgentConfig } from './config.js';
import { type CollectorParts, ImageCollector } from './images/collect-images.js';
import { diskUsed } from './images/disk.js';
import { RegistryCleaner } from './images/registry-cleaner.js';
import type { NodeParts } from './node-parts.js';

interface Around extends Pick<CollectorParts, 'versions' | 'onLine' | 'onTrouble'> {
  /** Only where nobody else could be pushing the same image again. */
  mayRemove(functionName: string): boolean;
}

/** The collector of this node's engine, as the configuration wants it. */
export async function openCollector(config: AgentConfig, node: NodeParts, around: Around): Promise<ImageCollector> {
  const { images, registries, pools, stock } = node;
  const { registry: prefix, registryDelete } = config;
  const { mayRemove, ...rest } = around;
  const root = await visibleRoot(config, node, around);
  return new ImageCollector({
    ...rest,
    node: config.nodeId,
    prefix,
    stock,
    images,
    registries,
    cleaner: prefix === undefined || !registryDelete ? undefined : new RegistryCleaner({ prefix, registries, mayRemove, ...rest }),
    marks: config.imageMarks,
    graceMs: config.imageGrace,
    running: function* () {
      for (const { version } of pools.living) yield version.image;
    },
    used: root === undefined ? undefined : () => diskUsed(root),
  });
}

/** The engine's folder, where this process can see the same disk as the engine. */
async function visibleRoot(
  { engineRoot, dockerHost }: AgentConfig,
  { engine }: NodeParts,
  { onTrouble }: Around,
): Promise<string | undefined> {
  const root = engineRoot ?? (dockerHost.startsWith('unix:') ? engine.root : undefined);
  const seen =
    root !== undefined &&
    (await access(root).then(
      () => true,
      () => false,
    ));
  if (seen) return root;
  const warning = `the engine's disk (${root ?? 'on another machine'}) can't be seen from here: images are not removed when it is full. KILN_ENGINE_ROOT can name a folder on it`;
  engine.warnings.push(warning);
  onTrouble(warning);
  return undefined;
}
