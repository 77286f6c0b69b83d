import type { ImageKind } from '@kiln/contract/kinds';
import type { RegistryLogin } from '@kiln/registry/login';

/** What is known of an image on this node. */
export interface LocalImage {
  /** Id in this engine. */
  id: string;
  kind: ImageKind;
  /** Reference by digest as a registry gave it; undefined for images that were never in one. */
  pinned: string | undefined;
  /** The engine does not say whether a registry has it: one that keeps images in containerd gives a digest to every image. */
  maybePinned: boolean;
  entrypoint: readonly string[];
  command: readonly string[];
  workingDirectory: string;
  volumes: readonly string[];
  /** Made by Kiln, or held by one of its nodes. */
  ours: boolean;
}

/** The engine, as far as images go. */
export interface ImageEngine {
  /** Undefined where this node has no such image. */
  find(image: string): Promise<LocalImage | undefined>;
  /**
   * Ends within a bound; `onProgress` gets a line from time to time.
   * @throws KilnError where the registry does not give it, or progress stops
   */
  pull(image: string, login: RegistryLogin | undefined, onProgress: (line: string) => void): Promise<void>;
  /** What a tag means in its registry at this moment, by digest. @throws KilnError `start_failed` */
  resolve(image: string, login: RegistryLogin | undefined): Promise<string>;
  /** Gives the image the name that says that this node holds it. @throws KilnError where the engine does not have it any more */
  hold(id: string): Promise<void>;
}
