import type { EngineProgress } from '@kiln/engine/json-lines';

const MB = 1024 * 1024;
const MAX_LAYERS = 1000;

interface Layer {
  done: boolean;
  bytes: number;
  total: number;
}

/** Adds up the progress of all layers of a pull. */
export class PullProgress {
  private readonly layers = new Map<string, Layer>();

  add({ id, status, progressDetail }: EngineProgress): void {
    if (id === undefined || status === undefined || !/^[0-9a-f]{12}$/.test(id)) return;
    if (!this.layers.has(id) && this.layers.size >= MAX_LAYERS) return;
    const layer = this.layers.get(id) ?? { done: false, bytes: 0, total: 0 };
    if (status === 'Downloading') {
      layer.bytes = progressDetail?.current ?? layer.bytes;
      layer.total = progressDetail?.total ?? layer.total;
    }
    if (status === 'Download complete') layer.bytes = layer.total;
    if (status === 'Pull complete' || status === 'Already exists') layer.done = true;
    this.layers.set(id, layer);
  }

  get line(): string {
    const all = [...this.layers.values()];
    const sum = (of: (layer: Layer) => number) => Math.round(all.reduce((total, layer) => total + of(layer), 0) / MB);
    return `${all.filter(({ done }) => done).length} of ${all.length} layers, ${sum(({ bytes }) => bytes)} of ${sum(({ total }) => total)} MB`;
  }
}
