import { pinnedReference } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import type { StockedImage } from './image-stock.js';
import { pushedReferences } from './own-references.js';

export interface CleanerParts {
  /** `KILN_REGISTRY`: nothing outside of it is ever removed. */
  prefix: string;
  registries: Registries;
  /** Only where nobody else could be pushing the same image again: at the function's home, while nothing of it is built. */
  mayRemove(functionName: string): boolean;
  onLine(line: string): void;
  onTrouble(message: string): void;
}

/** Removes the manifests of removed versions from the cluster's own registry, where it allows that. */
export class RegistryCleaner {
  private refused = false;

  constructor(private readonly parts: CleanerParts) {}

  /** What a version still needs, by digest, stays. Never rejects: what is left over costs room in the registry and nothing else. */
  async clean({ digests }: StockedImage, isNeeded: (digest: string) => boolean): Promise<void> {
    const { prefix, registries, mayRemove, onLine, onTrouble } = this.parts;
    for (const { reference, functionName } of pushedReferences(digests, prefix)) {
      const pinned = pinnedReference(reference);
      if (this.refused || pinned === undefined || isNeeded(pinned.digest) || !mayRemove(functionName)) continue;
      try {
        const removal = await registries.remove(pinned);
        if (removal === 'removed') onLine(`removed ${reference} from its registry`);
        if (removal !== 'refused') continue;
        this.refused = true;
        onLine(`${pinned.registry} does not let images be removed: those of removed versions stay there`);
      } catch (error) {
        onTrouble(`${reference} could not be removed from its registry: ${(error as Error).message}`);
      }
    }
  }
}
