/**
 * Counts what a thread allocates on its heap, exactly, and its garbage collections. `v8.GCProfiler` sees the
 * collections of a task that never yields (a PerformanceObserver does not), and says how much each one freed:
 *
 *     allocated = used at the end − used at the start + Σ (used before a collection − used after it)
 */
import { GCProfiler, getHeapStatistics } from 'node:v8';

export interface HeapUse {
  readonly allocatedBytes: number;
  readonly gcEvents: number;
}

export class HeapMeter {
  readonly #profiler = new GCProfiler();
  #usedAtStart = 0;

  start(): void {
    this.#profiler.start();
    this.#usedAtStart = getHeapStatistics().used_heap_size;
  }

  stop(): HeapUse {
    const usedAtEnd = getHeapStatistics().used_heap_size;
    const collections = this.#profiler.stop()?.statistics ?? [];
    let freed = 0;
    for (const { beforeGC, afterGC } of collections) {
      freed += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
    }
    return { allocatedBytes: usedAtEnd - this.#usedAtStart + freed, gcEvents: collections.length };
  }
}
