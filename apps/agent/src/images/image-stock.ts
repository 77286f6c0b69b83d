import type { RegistryLogin } from '@kiln/registry/login';

/** An image as the engine lists it. */
export interface StockedImage {
  id: string;
  tags: readonly string[];
  /** `repository@sha256:…` */
  digests: readonly string[];
}

/** Requests to the engine for the removal of images. Every request ends within a bound. */
export interface ImageStock {
  /** The images that this node holds. */
  held(): Promise<StockedImage[]>;
  /** Ids of the images of all containers on the engine, whoever owns them. */
  used(): Promise<ReadonlySet<string>>;
  /** Removes one name, and the image with its last name. `in use` where a container uses it now. */
  remove(reference: string): Promise<'removed' | 'in use'>;
  /** Whether the registry has the image now. */
  isElsewhere(reference: string, login: RegistryLogin | undefined): Promise<boolean>;
}
