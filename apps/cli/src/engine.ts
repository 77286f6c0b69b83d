import type { connectEngine } from '@kiln/engine/connect-engine';

const TIMEOUT_MS = 10_000;
const NODE_LABEL = 'kiln.node';

type EngineClient = ReturnType<typeof connectEngine>;

type Labelled = { Id: string; Labels?: Record<string, string> | null };

/** A client of the Docker engine, loaded with its first use: most commands need none. @throws Error for an address of another kind */
export async function openEngine(host: string): Promise<EngineClient> {
  const { connectEngine } = await import('@kiln/engine/connect-engine');
  return connectEngine(host, { timeoutMs: TIMEOUT_MS });
}

/** Removes the containers, then the networks, whose `kiln.node` is one of these ids: what a killed agent left. Returns the counts. */
export async function sweep(engine: EngineClient, nodeIds: readonly string[]): Promise<{ containers: number; networks: number }> {
  const filters = { label: [NODE_LABEL] };
  const isOurs = ({ Labels }: Labelled) => nodeIds.includes(Labels?.[NODE_LABEL] ?? '');
  const swept = { containers: 0, networks: 0 };
  const containers: Labelled[] = await engine.listContainers({ all: true, filters });
  for (const { Id } of containers.filter(isOurs)) {
    swept.containers += await removed(engine.getContainer(Id).remove({ force: true, v: true }));
  }
  const networks: Labelled[] = await engine.listNetworks({ filters });
  for (const { Id } of networks.filter(isOurs)) swept.networks += await removed(engine.getNetwork(Id).remove());
  return swept;
}

/** 0 where the engine has removed it already, or does so now. */
async function removed(removal: Promise<unknown>): Promise<number> {
  try {
    await removal;
    return 1;
  } catch (error) {
    const { statusCode } = error as { statusCode?: number };
    if (statusCode === 404 || statusCode === 409) return 0;
    throw error;
  }
}
