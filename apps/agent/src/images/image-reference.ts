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
