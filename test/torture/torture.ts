/**
 * Kills, power cuts and what the store costs.
 *
 *     npm run torture -- [--kills 500] [--cuts 1000] [--seconds 60] [--seed N] [--json]
 *
 * Ends with status 1 if anything acknowledged was lost, or a state is not that of an uninterrupted run.
 */
import { parseArgs } from 'node:util';
import { measureCosts } from './measures.ts';
import { runKills } from './kills.ts';
import { PROMISED_MS, runPowerCuts } from './power-cuts.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    cuts: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

say(`seed ${seed}`);
const kills = await runKills(Number(values.kills), seed, (count) => {
  if (count % 50 === 0) say(`${count} kills`);
});
say(`${kills.kills} kills over ${kills.records} records, ${kills.duringStart} of them during a start`);
const cuts = await runPowerCuts(Number(values.cuts), seed);
say(
  `${cuts.powerCuts} power cuts over ${cuts.records} records, at most ${cuts.lostMsMax} ms lost with ${PROMISED_MS} ms promised`,
);
const costs = await measureCosts(Number(values.seconds), seed);
for (const problem of [...kills.problems, ...cuts.problems]) say(problem);

const result = {
  seed,
  kills: kills.kills,
  powerCuts: cuts.powerCuts,
  identical: kills.identical && cuts.different === 0,
  lostAcknowledged: kills.lostAcknowledged + cuts.lostAcknowledged,
  learnedTwice: kills.learnedTwice,
  ...costs,
};
if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else
  for (const [name, value] of Object.entries(result)) process.stdout.write(`${name.padEnd(22)} ${value}\n`);
const sound = result.identical && result.lostAcknowledged === 0 && result.learnedTwice === 0;
process.exitCode = sound ? 0 : 1;
