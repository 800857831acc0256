/**
 * Runs the conformance suite by itself and says how many bytes were compared.
 *
 *   node test/conformance/grid.ts [--pairwise] [--shapes 3] [--samples 60] [--json]
 *
 * Without --pairwise every combination of all factors, each with so many of the shapes: some minutes.
 */
import { arch } from 'node:process';
import { parseArgs } from 'node:util';
import { fullGrid, longRunHash, pairwiseGrid, runCases } from './kernels.ts';

const { values } = parseArgs({
  options: {
    pairwise: { type: 'boolean', default: false },
    shapes: { type: 'string', default: '3' },
    samples: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
});

const started = performance.now();
const outcome = runCases(
  values.pairwise ? pairwiseGrid() : fullGrid(Number(values.shapes)),
  Number(values.samples),
);
const report = {
  arch,
  ...outcome,
  hash: longRunHash('kernels'),
  hashOfReference: longRunHash('reference'),
  seconds: Math.round((performance.now() - started) / 1000),
};
if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
else {
  process.stdout.write(
    `${report.bytes} bytes compared in ${report.cases} cases, all equal (${arch}, ${report.seconds} s)\n` +
      `${report.learned} steps learned, ${report.skipped} skipped\n` +
      `long run: ${report.hash}\n`,
  );
}
process.exitCode = report.hash === report.hashOfReference ? 0 : 1;
