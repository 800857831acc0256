/** What tests of frames share: a decoder that writes down all it says. */
import { FrameDecoder } from '../../src/serial/frames.ts';
import type { Session } from '../../src/serial/frame-session.ts';
import { Labels } from '../../src/serial/labels.ts';

export interface Heard {
  decoder: FrameDecoder;
  rows: { values: number[]; label: number; timeUs: number }[];
  sessions: Session[];
  gaps: number[];
  names: string[];
}

export function listen(classesMax = 8, accept: (session: Session) => boolean = () => true): Heard {
  const labels = new Labels([], classesMax);
  const heard = { rows: [], sessions: [], gaps: [], names: labels.names } as unknown as Heard;
  heard.decoder = new FrameDecoder(labels, {
    onRow: (values, label, [timeUs]) => heard.rows.push({ values: [...values], label, timeUs }),
    onSession: (session) => {
      heard.sessions.push(session);
      return accept(session);
    },
    onGap: (lost) => heard.gaps.push(lost),
  });
  return heard;
}

export function push(heard: Heard, bytes: Uint8Array, chunk = Infinity, timeUs = 0): Heard {
  for (let at = 0; at < bytes.length; at += chunk) {
    const piece = bytes.subarray(at, at + chunk);
    heard.decoder.push(piece, piece.length, timeUs);
  }
  return heard;
}

/** Every byte that the decoder says it has seen. */
export function bytesCounted({ decoder }: Heard): number {
  return Object.values<number>({ ...decoder.bytes }).reduce(
    (sum, count) => sum + count,
    decoder.pendingBytes,
  );
}

export function drops({ decoder }: Heard): Record<string, number> {
  return Object.fromEntries(Object.entries(decoder.dropped).filter(([, count]) => count > 0));
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
