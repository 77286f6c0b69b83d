/** Runs `work` for each item, at most `limit` at once, and starts none after the signal. Results keep the order of the items. */
export async function concurrently<Item, Result>(
  items: readonly Item[],
  { limit, signal }: { limit: number; signal?: AbortSignal | undefined },
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const waiting = items.entries();
  const results: Result[] = [];
  const worker = async () => {
    for (const [i, item] of waiting) {
      if (signal?.aborted) return;
      results[i] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  // Items after the signal leave holes.
  return results.filter(() => true);
}
