import { pinnedReference } from '@kiln/registry/reference';
import type { Registries } from '@kiln/registry/registries';
import type { StockedImage } from './image-stock.js';
import { pushedReferences } from './own-references.js';

export interface CleanerParts {
  /** `KILN_REGISTRY`: the cleaner removes nothing outside of it. */
  prefix: string;
  registries: Registries;
  /** True where nobody else can be pushing the same image: at the function's home, while no build of it runs. */
  mayRemove(functionName: string): boolean;
  onLine(line: string, keys?: object): void;
  onTrouble(message: string, keys?: object): void;
}

/** Removes the manifests of removed versions from the cluster's own registry, where the registry allows that. */
export class RegistryCleaner {
  private refused = false;

  constructor(private readonly parts: CleanerParts) {}

  /** Keeps a digest that a version still needs. Never rejects: an image that is left only costs room in the registry. */
  async clean({ digests }: StockedImage, isNeeded: (digest: string) => boolean): Promise<void> {
    const { prefix, registries, mayRemove, onLine, onTrouble } = this.parts;
    for (const { reference, functionName } of pushedReferences(digests, prefix)) {
      const pinned = pinnedReference(reference);
      if (this.refused || pinned === undefined || isNeeded(pinned.digest) || !mayRemove(functionName)) continue;
      try {
        const removal = await registries.remove(pinned);
        if (removal === 'removed') onLine('image removed from its registry', { image: reference });
        if (removal !== 'refused') continue;
        this.refused = true;
        onLine('registry refuses to remove images, those of removed versions stay in it', { registry: pinned.registry });
      } catch (error) {
        onTrouble('image removal from its registry failed', { image: reference, error: (error as Error).message });
      }
    }
  }
}
