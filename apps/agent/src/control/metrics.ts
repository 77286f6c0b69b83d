import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { InstanceState } from '../pool/instance-state.js';
import type { Pools } from '../pool/pools.js';

/** The node's numbers as Prometheus text, read when asked for: no request pays for them. */
export class Metrics {
  private readonly registry = new Registry();

  constructor(pools: Pools) {
    collectDefaultMetrics({ register: this.registry });
    const { census, capacity } = pools;
    this.gauge('kiln_node_load', 'Busy instances; a lease counts 1/concurrency', () => pools.load);
    this.gauge('kiln_node_leases', 'Requests that run in an instance', () => pools.activeLeases);
    this.gauge('kiln_node_memory_promised_megabytes', 'Memory promised to instances', () => capacity.memoryPromised);
    this.gauge('kiln_node_memory_megabytes', 'Memory that may be promised to instances', () => capacity.total.memory);
    this.gauge('kiln_node_cpu_promised_cores', 'Cores promised to instances', () => capacity.cpuPromised);
    this.gauge('kiln_node_waiting', 'Requests that wait for a lease', () => [...pools.all()].reduce((sum, pool) => sum + pool.waiting, 0));
    this.byState('kiln_node_instances', 'Instances by state', census.now);
    this.byState('kiln_node_instances_entered_total', 'Instances that ever entered a state', census.ever);
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.registry], collect: () => gauge.set(read()) });
  }

  private byState(name: string, help: string, counts: Record<InstanceState, number>): void {
    const collect = () => {
      for (const [state, count] of Object.entries(counts)) gauge.set({ state }, count);
    };
    const gauge: Gauge = new Gauge({ name, help, labelNames: ['state'], registers: [this.registry], collect });
  }
}
