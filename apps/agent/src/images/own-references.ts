import { splitPrefix } from '@kiln/registry/reference';

/**
 * Under this name a node holds the images that it built or pulled. It tells ours from foreign ones, outlives the agent, and keeps
 * an image that several nodes of one engine use until the last of them lets go: an engine removes an image with its last name.
 */
const HOLDERS = 'kiln-held';

export function holdName(node: string): string {
  return `${HOLDERS}/${node}`;
}

/** The tag below that name: the image's id, as much of it as fits. */
export function holdTag(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 32);
}

/** What the builder names an image; nobody names one so by hand. */
const BUILT = /^kiln\/[a-z][a-z0-9-]*:[0-9a-f]{32}$/;

/** Made by Kiln, on this node or another of the same engine. */
export function isOurs(tags: readonly string[]): boolean {
  return tags.some((tag) => BUILT.test(tag) || tag.startsWith(`${HOLDERS}/`));
}

interface Named {
  tags: readonly string[];
  /** `repository@sha256:…` */
  digests: readonly string[];
}

/**
 * The names to take away, in order, so that the image goes unless somebody else has a name for it: the hold last, so that what was
 * begun is taken up again.
 */
export function ownReferences({ tags, digests }: Named, node: string, prefix: string | undefined): string[] {
  const hold = tags.filter((tag) => tag.startsWith(`${holdName(node)}:`));
  const others = tags.filter((tag) => tag.startsWith(`${HOLDERS}/`) && !hold.includes(tag));
  if (others.length > 0) return hold;
  const named = tags.filter((tag) => BUILT.test(tag) || isPushed(tag, prefix));
  const foreign = tags.some((tag) => !named.includes(tag) && !hold.includes(tag));
  return [...named, ...(foreign ? [] : digests), ...hold];
}

/** References of this image in the registry of this cluster, by digest, with the function that each belongs to. */
export function pushedReferences(digests: readonly string[], prefix: string): { reference: string; functionName: string }[] {
  const before = normalized(prefix);
  return digests.flatMap((reference) => {
    const [repository = ''] = reference.split('@');
    const functionName = repository.slice(before.length);
    return repository.startsWith(before) && /^[a-z][a-z0-9-]*$/.test(functionName) ? [{ reference, functionName }] : [];
  });
}

function isPushed(tag: string, prefix: string | undefined): boolean {
  return (
    prefix !== undefined &&
    tag.startsWith(normalized(prefix)) &&
    /^[a-z][a-z0-9-]*:[0-9a-f]{32}$/.test(tag.slice(normalized(prefix).length))
  );
}

/** As an engine lists repositories below it. */
function normalized(prefix: string): string {
  const { registry, path } = splitPrefix(prefix);
  const host = registry === 'docker.io' ? '' : `${registry}/`;
  return path === '' ? host : `${host}${path}/`;
}
