/**
 * One sensor, one model, live: the serial port feeds the ring, the learner takes it from there, and the weights
 * are saved every now and then and at the end.
 */
import { rename } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { EdgeloopError } from '../errors.ts';
import type { Model, ModelConfig } from '../learn/model.ts';
import { type ModelReport, reportModel } from '../learn/report.ts';
import { LearningSession, type SessionMemory } from '../learn/session.ts';
import type { LearnTaskResult } from '../learn/task.ts';
import { Labels } from '../serial/labels.ts';
import { valueColumns } from '../serial/dialects.ts';
import { type Decoder, type InputFormat, openDecoder } from '../serial/decoder.ts';
import { DurableLink, type LinkCounts } from '../serial/durable-link.ts';
import type { Answer } from '../stream/answers.ts';
import { type ModelIdentity, loadModel, saveModel } from '../store/weights.ts';
import { ANSWER_KIND } from '../serial/answer-frame.ts';
import { inputNames } from '../stream/inputs.ts';
import { modelConfigOf } from './model-config.ts';
import { handlersOf } from './control-commands.ts';
import { ControlSocket } from './control-socket.ts';
import { RunningModel } from './running-model.ts';
import { Replies, type ReplyCounts } from './replies.ts';

/** How often the learner's answers are looked for: the latency added on their way out. */
const ANSWERS_EVERY_MS = 10;

/** Rows dropped by reason: by the decoder, or refused by a full ring. */
export type Drops = Readonly<Record<string, number>> & { readonly ringFull: number };

/** What the model has done since it began, earlier runs included where the weight file brought them back. */
export interface Status extends ModelReport {
  readonly dropped: Drops;
  readonly link: LinkStatus;
  /** Lines or frames sent back to the board, and lost since it did not take them. */
  readonly replies: ReplyCounts;
  /** Predictions nobody took in time; only counted where they are asked for. */
  readonly answersLost: number;
}

export interface LinkStatus extends LinkCounts {
  /** The open device; null while it is away. */
  readonly path: string | null;
  /** How often the board began anew, as its clock or its sequence numbers tell. */
  readonly boardRestarts: number;
}

/** A prediction as standard output shows it; what does not belong to the task is missing. */
export interface NamedAnswer {
  readonly sequence: number;
  readonly class?: string | null;
  readonly probability?: number;
  /** The row's own label, null if it had none. */
  readonly label?: string | null;
  /** Predicted numbers by column; of a forecast as many rows ahead as the config says. */
  readonly values?: Readonly<Record<string, number | null>>;
  /** Of a detector; null while it learns. */
  readonly score?: number | null;
  readonly alarm?: boolean;
}

export interface Summary extends Status {
  readonly run: LearnTaskResult;
  /** The weight file. */
  readonly weights: string;
}

export interface TrainerOptions {
  /** Absolute path of the weight file. */
  readonly weights: string;
  /** Begin with new weights; an existing file is kept as `<file>.old`. */
  readonly fresh: boolean;
}

export interface TrainerEvents {
  /** What brought the run to its end, other than `stop`. */
  onEnd(error: Error): void;
  /** Something to tell the user; the run goes on. */
  onNotice(text: string): void;
  /** The answer to each row, if somebody wants them. */
  onAnswer?: (answer: NamedAnswer) => void;
  /** The words of `edgeloop status`. */
  describe?: (status: Status) => string;
  /** While this says no, answers wait; those that find no room are counted as lost. */
  answersWanted?: () => boolean;
}

export class LiveTrainer {
  readonly memory: SessionMemory;
  readonly model: ModelConfig;
  /** Samples learned that are behind what this run started with. */
  readonly learnedBefore: number;
  readonly #session: LearningSession;
  readonly #labels: Labels;
  readonly #decoder: Decoder;
  readonly #config: Config;
  readonly #identity: ModelIdentity;
  readonly #weights: string;
  #link: DurableLink | undefined;
  #control: ControlSocket | undefined;
  readonly #replies: Replies;
  #saving: NodeJS.Timeout | undefined;
  #answering: NodeJS.Timeout | undefined;
  #onEnd: TrainerEvents['onEnd'] = () => {};
  #onAnswer: TrainerEvents['onAnswer'];
  #answersWanted: () => boolean = () => true;
  readonly #repliesWanted: boolean;
  #ended = false;

  private constructor(
    config: Config,
    weights: string,
    session: LearningSession,
    identity: ModelIdentity,
    classes: readonly string[],
    learnedBefore: number,
  ) {
    this.#session = session;
    this.#identity = identity;
    this.#weights = weights;
    this.memory = session.memory;
    this.model = identity.config;
    this.#config = config;
    this.learnedBefore = learnedBefore;
    this.#labels = labelsOf(config, classes, weights);
    this.#repliesWanted = Replies.wanted(config.output);
    this.#replies = new Replies(config.output, {
      kind: REPLY_KIND[config.task.kind],
      names: this.#labels.names,
      boardClassOf: (index) => this.#decoder.boardClassOf(index),
      write: (bytes) => this.#link?.write(bytes) ?? false,
    });
    this.#decoder = openDecoder(formatOf(config), this.#labels, {
      onRow: (row, datum, times) => session.ring.pushRow(row, datum, times[0]),
      onGap: (lost) => session.ring.markGap(lost),
      onOtherStream: (error) => this.#end(error),
    });
  }

  /**
   * Loads the weights, opens the port and starts the learner.
   * @throws EdgeloopError when the weight file does not fit or the port cannot be opened
   */
  static async start(config: Config, options: TrainerOptions, events: TrainerEvents): Promise<LiveTrainer> {
    const identity = identityOf(config);
    const answering = events.onAnswer !== undefined || Replies.wanted(config.output);
    const session = new LearningSession(identity.config, config.stream.ringRows, answering);
    try {
      if (options.fresh) await setAside(options.weights);
      const loaded = await loadModel(options.weights, identity, session.model);
      const { classes = [], learned = 0 } = loaded ?? {};
      // What comes now does not follow what came before.
      if (loaded?.isWhole) session.ring.markGap();
      const trainer = new LiveTrainer(config, options.weights, session, identity, classes, learned);
      await trainer.#begin(config, events);
      return trainer;
    } catch (error) {
      await session.stop();
      throw error;
    }
  }

  /** Scores and counters as of now, from a snapshot between two rows. */
  async status(): Promise<Status> {
    return this.#read(await this.#session.snapshot());
  }

  /**
   * Stops reading, lets the learner take what was read, saves.
   * @returns the summary, also when saving failed: then with the error
   */
  async stop(): Promise<Summary & { saveError?: Error }> {
    this.#ended = true;
    clearInterval(this.#saving);
    clearInterval(this.#answering);
    await this.#control?.close();
    await this.#link?.close();
    const task = await this.#session.stop();
    if (task === undefined) throw new Error('the learner was never started');
    this.#takeAnswers();
    const { model } = this.#session;
    const summary = { ...this.#read(model), run: task, weights: this.#weights };
    return this.#save(model).then(
      () => summary,
      (saveError: Error) => ({ ...summary, saveError }),
    );
  }

  async #begin(config: Config, events: TrainerEvents): Promise<void> {
    this.#onEnd = events.onEnd;
    const end = (error: Error): void => this.#end(error);
    this.#link = await DurableLink.open(config.serial, {
      onBytes: (bytes, count) => this.#take(bytes, count),
      onOpen: (path, again) => {
        if (again) this.#interrupted();
        if (again) events.onNotice(`${path} is open again; learning goes on.`);
      },
      onChoice: (text) => events.onNotice(text),
      onAway: (error) => events.onNotice(`${error.message} Waiting for it.`),
      onEnd: end,
    });
    this.#session.start().catch(end);
    this.#control = await this.#openControl(config, events);
    const save = async (): Promise<void> => {
      const model = await this.#session.snapshot();
      // A full disk must not end what is being learned: say so and try again at the next interval.
      await this.#save(model).catch((error: Error) => events.onNotice(`Not saved: ${error.message}`));
    };
    this.#onAnswer = events.onAnswer;
    this.#answersWanted = events.answersWanted ?? this.#answersWanted;
    if (this.#session.answers) this.#answering = setInterval(() => this.#takeAnswers(), ANSWERS_EVERY_MS);
    this.#saving = setInterval(() => void save().catch(end), config.store.saveEverySeconds * 1000);
  }

  /** Other programs may set labels, freeze and ask; where there is no place for a socket the run goes on without. */
  async #openControl(config: Config, events: TrainerEvents): Promise<ControlSocket | undefined> {
    const handlers = handlersOf(new RunningModel(this, this.#session, this.#labels, events.describe));
    const options = { model: config.control.name, handlers, topics: [] };
    const onFault = (error: Error): void => events.onNotice(`A command failed: ${error.message}`);
    return ControlSocket.open({ ...options, onFault }).catch((error: Error) => {
      events.onNotice(`No control socket: ${error.message}`);
      return undefined;
    });
  }

  #end(error: Error): void {
    if (!this.#ended) this.#onEnd(error);
    this.#ended = true;
  }

  /** The port was away: what comes now may begin in mid-line and does not follow what was before. */
  #interrupted(): void {
    this.#decoder.restart();
    this.#replies.restart();
    this.#session.ring.markGap();
  }

  /** Hands every answer to the listener, and the newest to the board. */
  #takeAnswers(): void {
    if (!this.#answersWanted()) return;
    let newest: Answer | undefined;
    for (const answer of this.#session.answers?.take() ?? []) {
      newest = answer;
      this.#onAnswer?.(this.#nameAnswer(answer));
    }
    if (newest !== undefined && this.#repliesWanted && !this.#ended)
      this.#replies.take(newest, performance.now());
  }

  #take(bytes: Uint8Array, count: number): void {
    this.#decoder.push(bytes, count, Math.floor(performance.now() * 1000));
    this.#session.ring.publish();
  }

  #nameAnswer({ sequence, prediction, label, numbers }: Answer): NamedAnswer {
    const { names } = this.#labels;
    const { kind, targets } = this.#config.task;
    if (kind === 'classify') {
      const answered = { class: names[prediction] ?? null, probability: numbers[0] };
      return { sequence, ...answered, label: names[label] ?? null };
    }
    if (kind === 'anomaly') return { sequence, score: known(numbers[0]), alarm: prediction === 1 };
    return { sequence, values: Object.fromEntries(targets.map((name, k) => [name, known(numbers[k])])) };
  }

  #save(model: Model): Promise<void> {
    return saveModel(this.#weights, this.#identity, model, this.#labels.names);
  }

  #read(model: Model): Status {
    return {
      ...reportModel(model, this.#identity.columnNames, this.#config.input.rowsPerSecond || 1),
      dropped: { ...this.#decoder.dropped, ringFull: this.#session.ring.refused },
      replies: this.#replies.counts,
      answersLost: this.#session.answers?.lost ?? 0,
      link: {
        path: this.#link?.path ?? null,
        boardRestarts: this.#decoder.boardRestarts,
        ...this.#link!.counts,
      },
    };
  }
}

/** Once it is known what the board prints. */
function formatOf({ input }: Config): InputFormat {
  return { ...(input as InputFormat), label: input.label === '' ? undefined : input.label };
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/**
 * Class names: those learned so far, and if the config pins them no others.
 * @throws EdgeloopError ELOOP_SHAPE if something else was learned than the config says
 */
function labelsOf({ input, network }: Config, learned: readonly string[], weights: string): Labels {
  const { classes } = input;
  if (classes.length === 0) return new Labels(learned, network.classes);
  if (learned.some((name, index) => name !== classes[index])) {
    throw new EdgeloopError(
      'ELOOP_SHAPE',
      `${weights}: expected the classes ${classes.join(', ')} of input.classes in this order, got ${learned.join(', ')}. ` +
        'Start with --fresh, or set input.classes to what was learned.',
    );
  }
  return new Labels(classes, classes.length);
}

function identityOf(config: Config): ModelIdentity {
  const columnNames = valueColumns(config.input);
  const model = modelConfigOf(config);
  const inputs = model.kind === 'anomaly' ? columnNames : inputNames(model.inputs, columnNames);
  return { config: model, columnNames, inputNames: inputs };
}

const REPLY_KIND = {
  classify: ANSWER_KIND.class,
  regress: ANSWER_KIND.number,
  forecast: ANSWER_KIND.number,
  anomaly: ANSWER_KIND.anomaly,
} as const;

async function setAside(path: string): Promise<void> {
  await rename(path, `${path}.old`).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return;
    throw new EdgeloopError(
      'ELOOP_STORE',
      `${path}: cannot set the old weights aside (${cause.code}). See to its directory.`,
    );
  });
}
