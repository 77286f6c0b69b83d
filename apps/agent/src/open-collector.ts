import { existsSync } from 'node:fs';
import type { AgentConfig } from './config.js';
import { type CollectorParts, ImageCollector } from './images/collect-images.js';
import { diskUsed } from './images/disk.js';
import { RegistryCleaner } from './images/registry-cleaner.js';
import type { NodeParts } from './node-parts.js';

interface CollectorLinks extends Pick<CollectorParts, 'versions' | 'onLine' | 'onTrouble'> {
  /** True where nobody else can be pushing the same image. */
  mayRemove(functionName: string): boolean;
}

/** Composes the image collector from the configuration. */
export function openCollector(config: AgentConfig, node: NodeParts, links: CollectorLinks): ImageCollector {
  const { images, registries, pools, stock } = node;
  const { registry: prefix, registryDelete } = config;
  const { mayRemove, ...rest } = links;
  const root = visibleRoot(config, node, links);
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

/** The engine's data folder, where this process sees the same disk as the engine. */
function visibleRoot({ engineRoot, dockerHost }: AgentConfig, { engine }: NodeParts, { onTrouble }: CollectorLinks): string | undefined {
  const root = engineRoot ?? (dockerHost.startsWith('unix:') ? engine.info.root : undefined);
  if (root !== undefined && existsSync(root)) return root;
  const warning = `the engine's disk (${root ?? 'on another machine'}) can't be seen from here: images are not removed when it is full. KILN_ENGINE_ROOT can name a folder on it`;
  engine.info.warnings.push(warning);
  onTrouble(warning);
  return undefined;
}
