/** True for the id of an image in an engine, which no registry has. */
export function isImageId(image: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}$/.test(image);
}

/** The registry of a reference; undefined for the engine's default registry and for ids. */
export function registryOf(image: string): string | undefined {
  const first = image.includes('/') ? image.slice(0, image.indexOf('/')) : '';
  return first.includes('.') || first.includes(':') || first === 'localhost' ? first : undefined;
}

/** The region of an ECR registry, `<account>.dkr.ecr.<region>.amazonaws.com`; undefined for others. */
export function ecrRegion(registry: string): string | undefined {
  return /^\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(registry)?.[1];
}

export interface PinnedReference {
  registry: string;
  /** The path in the registry, without the host. */
  repository: string;
  digest: string;
}

/** Splits `host/path@sha256:…`; undefined for a reference without a digest or a registry. */
export function pinnedReference(image: string): PinnedReference | undefined {
  const registry = registryOf(image);
  const at = image.indexOf('@');
  const digest = image.slice(at + 1);
  if (registry === undefined || at === -1 || !/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined;
  const repository = image.slice(registry.length + 1, at).replace(/:[^:/]+$/, '');
  return { registry, repository, digest };
}

/** Splits `KILN_REGISTRY` into a host and a path; every repository starts with the path. */
export function splitPrefix(prefix: string): { registry: string; path: string } {
  const [registry = '', ...path] = prefix.replace(/\/+$/, '').split('/');
  return { registry, path: path.join('/') };
}
