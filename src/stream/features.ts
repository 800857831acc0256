/** What an input can be made of: features of one column over the window. */

export type FeatureKind = 'newest' | 'raw';

/** One group of inputs: a feature of one column of the row. */
export interface FeatureSpec {
  readonly column: number;
  readonly kind: FeatureKind;
}

/** Inputs that a feature gives. @param windowRows W */
export function inputsOf({ kind }: FeatureSpec, windowRows: number): number {
  return kind === 'raw' ? windowRows : 1;
}
