/** A running model as the control socket sees it: each command becomes a record among the rows, and says which. */
import { EdgeloopError } from '../errors.ts';
import { MODEL_COUNT, type Model, frozenOf, lastSequence, standingLabel } from '../learn/model.ts';
import type { LearningSession } from '../learn/session.ts';
import { LABEL_REFUSED, type Labels } from '../serial/labels.ts';
import { FREEZE, NO_LABEL, RECORD } from '../stream/ring.ts';
import type { ControlledModel, Freezable, LabelUndone, ModelStatus, TookEffect } from './control-commands.ts';
import type { LiveTrainer, Status } from './trainer.ts';

const WHAT: Readonly<Record<Freezable, number>> = {
  all: FREEZE.network + FREEZE.scaler + FREEZE.winner,
  network: FREEZE.network,
  scaler: FREEZE.scaler,
  winner: FREEZE.winner,
};

const encoder = new TextEncoder();

/** A span of rows that one label was set for. */
interface Span {
  readonly label: string;
  readonly from: number;
  to: number | undefined;
}

export class RunningModel implements ControlledModel {
  readonly #trainer: LiveTrainer;
  readonly #session: LearningSession;
  readonly #labels: Labels;
  readonly #describe: (status: Status) => string;
  /** The span that was labelled last, which may be taken back. */
  #span: Span | undefined;

  constructor(
    trainer: LiveTrainer,
    session: LearningSession,
    labels: Labels,
    describe: (status: Status) => string = () => '',
  ) {
    this.#trainer = trainer;
    this.#session = session;
    this.#labels = labels;
    this.#describe = describe;
  }

  async label(name: string | null): Promise<TookEffect> {
    const label = name === null ? NO_LABEL : this.#classOf(name);
    const took = this.#put(RECORD.label, label);
    if (this.#span !== undefined) this.#span.to ??= took.sequence;
    if (name !== null) this.#span = { label: name, from: took.sequence, to: undefined };
    return took;
  }

  async undoLabel(): Promise<LabelUndone> {
    const span = this.#span;
    if (span === undefined)
      throw refused('label --undo: expected a label that was set in this run, got none.');
    this.#span = undefined;
    const { sequence } = this.#put(RECORD.undo, NO_LABEL);
    if (span.to === undefined) this.#put(RECORD.label, NO_LABEL);
    return { sequence, label: span.label, from: span.from, to: span.to ?? sequence };
  }

  async freeze(what: Freezable): Promise<TookEffect> {
    const model = await this.#session.snapshot();
    return this.#put(RECORD.freeze, frozenOf(model) | WHAT[what]);
  }

  async unfreeze(): Promise<TookEffect> {
    return this.#put(RECORD.freeze, 0);
  }

  async relearn(): Promise<TookEffect> {
    const model = await this.#session.snapshot();
    if (model.learner.kind !== 'anomaly') {
      throw refused(
        'relearn: expected an anomaly detector, got a model that learns all the time. Nothing to do.',
      );
    }
    return this.#put(RECORD.relearn, 0);
  }

  async status(): Promise<ModelStatus> {
    const model = await this.#session.snapshot();
    const sequence = lastSequence(model);
    const more = { frozen: this.#frozenNames(model), label: this.#standing(model) };
    const status = await this.#trainer.status();
    return { sequence, words: this.#describe(status), document: { ...status, ...more } };
  }

  #frozenNames(model: Model): string[] {
    const frozen = frozenOf(model);
    return (['network', 'scaler', 'winner'] as const).filter((name) => frozen & WHAT[name]);
  }

  #standing(model: Model): string | null {
    return model.counts[MODEL_COUNT.labelsSet] > 0
      ? (this.#labels.names[standingLabel(model)] ?? null)
      : null;
  }

  #classOf(name: string): number {
    const bytes = encoder.encode(name);
    const label = this.#labels.classOf(bytes, 0, bytes.length);
    if (label !== LABEL_REFUSED) return label;
    const known = this.#labels.names.join(', ');
    throw refused(
      `label: expected one of the classes ${known}, got "${name}", and there is no room for another.`,
    );
  }

  #put(kind: number, datum: number): TookEffect {
    const { ring } = this.#session;
    const sequence = ring.pushDatum(kind, datum, Math.floor(performance.now() * 1000));
    if (sequence < 0) throw refused('the learner is behind by a whole ring of rows. Try again in a moment.');
    ring.publish();
    return { sequence };
  }
}

function refused(sentence: string): EdgeloopError {
  return new EdgeloopError('ELOOP_CONTROL', sentence);
}
