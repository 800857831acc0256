/** `edgeloop trace`: the published run of the original Edge Computing Engine, computed again and printed. */
import { formatValue } from '../engine/matrix.ts';
import type { Matrix } from '../engine/matrix.ts';
import { publishedRun } from '../engine/published-run.ts';
import type { PublishedRun } from '../engine/published-run.ts';

const HEADINGS = {
  published: 'As published: the hidden delta is taken with weights2, as the original code multiplies.',
  bp2: 'BP2 as written: the hidden delta is taken with weights2ᵀ; only this differs.',
};

/**
 * Writes both tables, the output delta before each update with one epoch a line, or with `json` one line of JSON:
 * {"published": {"epochs", "outputDelta": [epochs][2], "weights1": [4]}, "bp2": the same}.
 * Either way the numbers have six significant digits, as they were published.
 */
export function trace(write: (text: string) => void, json: boolean): void {
  const runs = { published: publishedRun('W'), bp2: publishedRun('Wᵀ') };
  if (json) {
    const document = { published: summary(runs.published), bp2: summary(runs.bp2) };
    write(`${JSON.stringify(document)}\n`);
  } else {
    write(`${table(HEADINGS.published, runs.published)}\n${table(HEADINGS.bp2, runs.bp2)}`);
  }
}

function table(heading: string, run: PublishedRun): string {
  const lines = run.outputDeltas.map((delta, index) => `epoch ${index + 1}: ${digits(delta).join(' ')}`);
  return [heading, ...lines, `weights1: ${digits(run.weights1).join(', ')}`, ''].join('\n');
}

function summary(run: PublishedRun): { epochs: number; outputDelta: number[][]; weights1: number[] } {
  return {
    epochs: run.outputDeltas.length,
    outputDelta: run.outputDeltas.map((delta) => digits(delta).map(Number)),
    weights1: digits(run.weights1).map(Number),
  };
}

function digits(matrix: Matrix): string[] {
  return Array.from(matrix.data, formatValue);
}
