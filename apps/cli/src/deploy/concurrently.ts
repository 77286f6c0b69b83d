/** Does the work of each item, at most `limit` at once and none after the signal; results stand in the items' order. */
export async function concurrently<Item, Result>(
  items: readonly Item[],
  { limit, signal }: { limit: number; signal?: AbortSignal | undefined },
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const waiting = items.entries();
  const results = new Map<number, Result>();
  const worker = async () => {
    for (const [i, item] of waiting) {
      if (signal?.aborted) return;
      results.set(i, await work(item));
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result);
}
