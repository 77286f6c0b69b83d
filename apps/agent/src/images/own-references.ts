import { splitPrefix } from '@kiln/registry/reference';
import type { StockedImage } from './image-stock.js';

/**
 * A node tags the images that it built or pulled with this name. The tag marks them as Kiln's own, outlives the agent, and keeps an
 * image that several nodes of one engine use until the last of them removes its tag: an engine removes an image with its last name.
 */
const HOLDERS = 'kiln-held';

export function holdName(node: string): string {
  return `${HOLDERS}/${node}`;
}

/** The tag under that name: the start of the image's id. */
export function holdTag(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 32);
}

/** The builder's name for an image; nobody chooses such a name by hand. */
const BUILT = /^kiln\/[a-z][a-z0-9-]*:[0-9a-f]{32}$/;

/** Whether Kiln made the image, on this node or another one of the same engine. */
export function isOurs(tags: readonly string[]): boolean {
  return tags.some((tag) => BUILT.test(tag) || tag.startsWith(`${HOLDERS}/`));
}

/** The names to remove, in order; the image goes unless somebody else names it. The hold is last, so that a removal can go on later. */
export function ownReferences({ tags, digests }: Omit<StockedImage, 'id'>, node: string, prefix: string | undefined): string[] {
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

/** The prefix in the form in which an engine lists repositories. */
function normalized(prefix: string): string {
  const { registry, path } = splitPrefix(prefix);
  const host = registry === 'docker.io' ? '' : `${registry}/`;
  return path === '' ? host : `${host}${path}/`;
}
