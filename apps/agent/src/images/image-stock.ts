import type { RegistryLogin } from '@kiln/registry/login';

/** An image as the engine lists it. */
export interface StockedImage {
  id: string;
  tags: readonly string[];
  /** `repository@sha256:…` */
  digests: readonly string[];
}

/** The engine, as far as getting rid of images goes. Every call ends within a bound. */
export interface ImageStock {
  /** Those that this node holds. */
  held(): Promise<StockedImage[]>;
  /** Ids of the images that any container on the engine is made of, whoever owns it. */
  used(): Promise<ReadonlySet<string>>;
  /** Takes one name away, and the image with its last name. `in use` where a container came in between. */
  remove(reference: string): Promise<'removed' | 'in use'>;
  /** Whether the registry has it at this moment. */
  isElsewhere(reference: string, login: RegistryLogin | undefined): Promise<boolean>;
}
