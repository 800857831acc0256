/** From what was heard to the decoder that fits: text by its dialect, frames by their own description. */
import type { InputFormat } from './decoder.ts';
import type { Session } from './frame-session.ts';
import { FrameDecoder } from './frames.ts';
import { Labels } from './labels.ts';
import { type Recognition, type Sample, recognise } from './recognise.ts';

/** Frames are described every five seconds. */
export const DESCRIBED_WITHIN_MS = 6000;

/** What the frames' class is called, which is in no column. */
const FRAME_LABEL = 'label';

const CLASSES_MAX = 255;

export interface RecognisedFormat {
  readonly recognition: Recognition;
  /** undefined: it cannot be told, or frames were heard without their description. */
  readonly format: InputFormat | undefined;
}

export function recogniseFormat(sample: Sample): RecognisedFormat {
  const recognition = recognise(sample);
  if (recognition.kind !== 'frames') return { recognition, format: recognition.format };
  const session = sessionIn(sample);
  if (session === undefined) return { recognition, format: undefined };
  const columns = [...session.columns.map(({ name }) => name), FRAME_LABEL];
  const because = [...recognition.because, describeSession(session)];
  return {
    recognition: { ...recognition, because },
    format: { format: 'frames', columns, label: FRAME_LABEL, separator: 'any', pattern: '' },
  };
}

function describeSession({ columns, classes, rateHz, hasTime }: Session): string {
  const names = columns.map(({ name, unit }) => (unit === '' ? name : `${name} in ${unit}`)).join(', ');
  const rate = rateHz > 0 ? `${rateHz} rows per second` : 'at no fixed rate';
  const clock = hasTime ? ", timed by the board's clock" : '';
  return `the board describes them: ${names}; classes ${classes.join(', ') || 'none'}; ${rate}${clock}`;
}

function sessionIn({ bytes }: Sample): Session | undefined {
  const decoder = new FrameDecoder(new Labels([], CLASSES_MAX), { onRow: () => {} });
  decoder.push(bytes, bytes.length, 0);
  return decoder.session;
}
