/**
 * What the network answers, as a frame to the board: FORMAT.md, "Answer", has the layout. One length for every kind, so
 * that a board with little memory can take it apart in place.
 */
import { FRAME_TYPE, FRAME_VERSION } from './frames.ts';
import { frame } from './frame-encoder.ts';

/** What the index and the value of an answer mean. A board passes over kinds that it does not know. */
export const ANSWER_KIND = {
  /** The class, and its probability from 0 to 1. */
  class: 1,
  /** Which of the predicted columns, and the number predicted for it. */
  number: 2,
  /** 1 for an anomaly, else 0; and the score. */
  anomaly: 3,
} as const;

export type AnswerKind = (typeof ANSWER_KIND)[keyof typeof ANSWER_KIND];

const BODY_BYTES = 11;

const view = new DataView(new ArrayBuffer(BODY_BYTES));

/**
 * @param sequence of the row's record; only its low 32 bits are sent
 * @param index    0 to 255
 * @param value    rounded to float32
 * @returns the frame as it is sent, its zero included
 */
export function encodeAnswer(kind: AnswerKind, sequence: number, index: number, value: number): Uint8Array {
  view.setUint8(0, (FRAME_VERSION << 4) | FRAME_TYPE.answer);
  view.setUint32(1, sequence % 2 ** 32, true);
  view.setUint8(5, kind);
  view.setUint8(6, index);
  view.setFloat32(7, value, true);
  return frame([...new Uint8Array(view.buffer)]);
}
