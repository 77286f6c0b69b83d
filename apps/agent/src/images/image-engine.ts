import type { ImageKind } from '@kiln/contract/kinds';
import type { RegistryLogin } from '@kiln/registry/login';

/** The facts about an image on this node. */
export interface LocalImage {
  /** Id in this engine. */
  id: string;
  kind: ImageKind;
  /** Reference by digest in a registry; undefined for an image that was never in one. */
  pinned: string | undefined;
  /** The engine does not tell whether a registry has the image: with images in containerd, every image has a digest. */
  maybePinned: boolean;
  entrypoint: readonly string[];
  command: readonly string[];
  workingDirectory: string;
  /** The only TCP port that it exposes. */
  port?: number | undefined;
  /** Paths of its VOLUMEs. */
  volumes: readonly string[];
  /** Made by Kiln, or held by one of its nodes. */
  ours: boolean;
}

/** Requests to the engine about images. */
export interface ImageEngine {
  /** @returns undefined where this node does not have the image */
  find(image: string): Promise<LocalImage | undefined>;
  /** Pulls within a bound, telling its progress. @throws KilnError where the registry refuses, or the pull makes no progress */
  pull(image: string, login: RegistryLogin | undefined, onProgress: (line: string) => void): Promise<void>;
  /** The reference by digest to which a tag points in its registry now. @throws KilnError `start_failed` */
  resolve(image: string, login: RegistryLogin | undefined): Promise<string>;
  /** Tags the image as held by this node. @throws KilnError where the engine does not have it any more */
  hold(id: string): Promise<void>;
}
