import type { Pools } from '@kiln/instances/pool/pools';
import type { StoreTrouble } from '@kiln/state/store/trouble';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ImageCollector } from '../../images/collect-images.js';

/** The node's numbers as Prometheus text, read when asked for: no request pays for them. */
export class NodeMetrics {
  private readonly registry = new Registry();

  /** @param collector there once the agent has started */
  constructor(
    pools: Pools,
    collector: () => Pick<ImageCollector, 'measured' | 'removed'> | undefined,
    storeTrouble: () => StoreTrouble['kind'] | undefined,
  ) {
    collectDefaultMetrics({ register: this.registry });
    this.gauge('kiln_node_store_writable', 'Whether the store takes writes', () => Number(storeTrouble() !== 'refuses-writes'));
    this.gauge('kiln_node_store_whole', 'Whether the store has lost nothing that was known', () => Number(storeTrouble() !== 'lost'));
    const { census, capacity } = pools;
    this.gauge('kiln_node_load', 'Busy instances; a lease counts 1/concurrency', () => pools.load);
    this.gauge('kiln_node_leases', 'Requests that run in an instance', () => pools.activeLeases);
    this.gauge('kiln_node_memory_promised_megabytes', 'Memory promised to instances', () => capacity.memoryPromised);
    this.gauge('kiln_node_memory_megabytes', 'Memory that may be promised to instances', () => capacity.total.memory);
    this.gauge('kiln_node_cpu_promised_cores', 'Cores of instances that start or work', () => pools.cpuInUse());
    this.gauge('kiln_node_waiting', 'Requests that wait for a lease', () => [...pools.all()].reduce((sum, pool) => sum + pool.waiting, 0));
    this.byLabel('kiln_node_instances', 'Instances by state', 'state', () => census.now);
    this.byLabel('kiln_node_instances_entered_total', 'Instances that ever entered a state', 'state', () => census.ever);
    const measured = () => collector()?.measured ?? {};
    this.gauge(
      'kiln_node_image_disk_used_ratio',
      "Used share of the engine's disk; NaN where it can't be seen",
      () => measured().used ?? Number.NaN,
    );
    this.gauge('kiln_node_images', 'Images that the node holds; NaN before the first pass', () => measured().held ?? Number.NaN);
    this.byLabel('kiln_node_images_removed_total', 'Images that were removed, by why', 'why', () => collector()?.removed ?? {});
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.registry], collect: () => gauge.set(read()) });
  }

  private byLabel(name: string, help: string, label: string, counts: () => Readonly<Record<string, number>>): void {
    const collect = () => {
      for (const [value, count] of Object.entries(counts())) gauge.set({ [label]: value }, count);
    };
    const gauge: Gauge = new Gauge({ name, help, labelNames: [label], registers: [this.registry], collect });
  }
}
