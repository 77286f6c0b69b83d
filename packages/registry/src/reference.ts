/** An image's id in an engine: there is nowhere to get it from. */
export function isImageId(image: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}$/.test(image);
}

/** The registry of a reference; undefined for the engine's default one and for ids. */
export function registryOf(image: string): string | undefined {
  const first = image.includes('/') ? image.slice(0, image.indexOf('/')) : '';
  return first.includes('.') || first.includes(':') || first === 'localhost' ? first : undefined;
}

/** ECR's registries: `<account>.dkr.ecr.<region>.amazonaws.com`, or undefined. */
export function ecrRegion(registry: string): string | undefined {
  return /^\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(registry)?.[1];
}

export interface PinnedReference {
  registry: string;
  /** Path in the registry, without its host. */
  repository: string;
  digest: string;
}

/** `host/path@sha256:…` taken apart; undefined for whatever is not pinned or names no registry. */
export function pinnedReference(image: string): PinnedReference | undefined {
  const registry = registryOf(image);
  const at = image.indexOf('@');
  const digest = image.slice(at + 1);
  if (registry === undefined || at === -1 || !/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined;
  const repository = image.slice(registry.length + 1, at).replace(/:[^:/]+$/, '');
  return { registry, repository, digest };
}

/** What `KILN_REGISTRY` says: a host, and the path that goes before every repository. */
export function splitPrefix(prefix: string): { registry: string; path: string } {
  const [registry = '', ...path] = prefix.replace(/\/+$/, '').split('/');
  return { registry, path: path.join('/') };
}
