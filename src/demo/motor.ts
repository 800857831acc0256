import { mulberry32 } from '../engine/random.ts';

/**
 * A small motor with an accelerometer on its housing, simulated: what the virtual board measures. A line stands
 * for the 5 ms since the line before, so at full speed one window is a quarter of a turn:
 *
 *     y          The heavy side of an unbalanced rotor pulls the housing round with it: x = F·cos(angle) and
 *     |  F       y = F·sin(angle). In one quarter of a turn x takes less than half of F (RMS) and y most of it,
 *     | /        in the next it is the other way round. A bump on the bench is as strong, but moves mostly one
 *     |/ angle   axis. So x or y alone does not tell running from unbalanced, and neither does their sum: both
 *     o------x   must be up at once. With lines drawn at random, straight boundaries get 1.2 % of them wrong
 *                and sixteen hidden units 0.5 %.
 *
 * The drive hums along the shaft (z) from the moment it is on, whatever the speed, so that the first line of a
 * state can already be told. Everything random comes from the seed: the same seed gives the same lines.
 */

export const LINES_PER_SECOND = 200;

export const MOTOR_STATES = ['off', 'running', 'unbalanced'] as const;
export type MotorState = (typeof MOTOR_STATES)[number];

const SAMPLES_PER_LINE = 16; // 3200 samples/s, a usual rate of small accelerometers
const SAMPLE_S = 1 / (LINES_PER_SECOND * SAMPLES_PER_LINE);

const DWELL_S_MIN = 1;
const DWELL_S_MAX = 4;

/** Rotor: a coreless motor of 3000 rpm follows its drive within a few milliseconds, and stops as fast. */
const SPEED_RATED_HZ = 50;
const SPEED_TIME_CONSTANT_S = 0.002;
const SPEED_SPREAD = 0.03; //        wander under load, relative

/** Force of the rotating mass at rated speed, in g; it grows with the square of the speed. */
const IMBALANCE_BALANCED_G = 0.05; // no rotor is perfect
const IMBALANCE_UNBALANCED_G = 0.7;
const IMBALANCE_SPREAD = 0.2; //     wander as the mounting gives and takes, relative

/** Drive: its pulses shake the shaft along z and the housing a little; the bearing adds noise on all axes. */
const HUM_HZ = 600;
const HUM_Z_G = 0.8;
const HUM_XY_G = 0.05;
const HUM_SPREAD = 0.05; //          wander, relative
const BEARING_G = 0.03;

/** Bumps: something pushes the bench along x or along y now and then, in any state, and that rings out. */
const BUMPS_PER_S = 6;
const BUMP_G_MAX = 1.5;
const BUMP_ELSEWHERE = 0.3; //       part of it felt on the two other axes
const BUMP_HZ = 120;
const BUMP_TIME_CONSTANT_S = 0.008;

/** Accelerometer: a bias for each axis (the board never lies quite level; z carries gravity), white noise. */
const BIAS_X_G = 0.015;
const BIAS_Y_G = -0.02;
const BIAS_Z_G = 1;
const NOISE_G = 0.012;

/** Heat: slow and first order, toward a warm motor when driven and toward the room when off. */
const ROOM_C = 22;
const DRIVEN_RISE_C = 15;
const HEAT_TIME_CONSTANT_S = 120;
const THERMOMETER_NOISE_C = 0.15;

/** How fast speed, imbalance and hum wander about their usual values. */
const WANDER_TIME_CONSTANT_S = 0.1;

const TURN = 2 * Math.PI;
const SPEED_FOLLOWS = 1 - Math.exp(-SAMPLE_S / SPEED_TIME_CONSTANT_S); // part of the way in one sample
const BUMP_KEEPS = Math.exp(-SAMPLE_S / BUMP_TIME_CONSTANT_S);
const KEEP = Math.exp(-1 / (LINES_PER_SECOND * WANDER_TIME_CONSTANT_S)); // of the wander, from line to line
const RENEW = Math.sqrt(1 - KEEP * KEEP);

export class Motor {
  /** Two generators, so that the course of the states does not depend on how often the physics draws. */
  readonly #schedule: () => number;
  readonly #noise: () => number;

  #state: MotorState = 'off';
  #linesLeft: number;

  #speedHz = 0;
  #rotorTurns = 0; // angle of the rotor's heavy side, in turns [0, 1)
  #humTurns = 0; //  phase of the drive's pulses, in turns [0, 1)
  #bumpTurns = 0; // phase of the ringing, in turns [0, 1)
  #bumpG = 0; //     its amplitude, dying away
  #bumpAlongX = true; // otherwise along y
  #temperatureC = ROOM_C;

  // Wander about 0 with standard deviation 1; scaled by the spreads above.
  #speedWander = 0;
  #imbalanceWander = 0;
  #humWander = 0;

  /** @param seed any integer; the same seed gives the same lines */
  constructor(seed: number) {
    this.#schedule = mulberry32(seed);
    this.#noise = mulberry32(~seed);
    this.#linesLeft = this.#dwellLines();
  }

  /**
   * @returns the next 5 ms as the sketch prints them: `rmsX,rmsY,rmsZ,temperature,state` and a line end. RMS in g
   *   with three decimals, degrees Celsius with two. A state begins on the boundary of a line.
   */
  nextLine(): string {
    if (this.#linesLeft === 0) this.#changeState();
    this.#linesLeft--;
    this.#wander();
    const [rmsX, rmsY, rmsZ] = this.#measure();
    const temperature = this.#warm() + THERMOMETER_NOISE_C * this.#gaussian();
    return `${rmsX.toFixed(3)},${rmsY.toFixed(3)},${rmsZ.toFixed(3)},${temperature.toFixed(2)},${this.#state}\r\n`;
  }

  #dwellLines(): number {
    const shortest = DWELL_S_MIN * LINES_PER_SECOND;
    const longest = DWELL_S_MAX * LINES_PER_SECOND;
    return shortest + Math.floor(this.#schedule() * (longest - shortest + 1));
  }

  #changeState(): void {
    const others = MOTOR_STATES.filter((state) => state !== this.#state);
    this.#state = others[Math.floor(this.#schedule() * others.length)];
    this.#linesLeft = this.#dwellLines();
  }

  #wander(): void {
    this.#speedWander = KEEP * this.#speedWander + RENEW * this.#gaussian();
    this.#imbalanceWander = KEEP * this.#imbalanceWander + RENEW * this.#gaussian();
    this.#humWander = KEEP * this.#humWander + RENEW * this.#gaussian();
  }

  /** One window of the accelerometer: RMS of x, y and z, in g. */
  #measure(): [number, number, number] {
    const driven = this.#state !== 'off';
    const speedHz = driven ? SPEED_RATED_HZ * (1 + SPEED_SPREAD * this.#speedWander) : 0;
    const heavySide = this.#state === 'unbalanced' ? IMBALANCE_UNBALANCED_G : IMBALANCE_BALANCED_G;
    const imbalance = heavySide * (1 + IMBALANCE_SPREAD * this.#imbalanceWander);
    const hum = driven ? 1 + HUM_SPREAD * this.#humWander : 0;
    const noise = driven ? Math.hypot(NOISE_G, BEARING_G) : NOISE_G;
    let squaresX = 0;
    let squaresY = 0;
    let squaresZ = 0;
    for (let sample = 0; sample < SAMPLES_PER_LINE; sample++) {
      this.#advance(speedHz);
      const force = imbalance * (this.#speedHz / SPEED_RATED_HZ) ** 2;
      const shake = hum * Math.sin(TURN * this.#humTurns);
      const bump = this.#bumpG * Math.sin(TURN * this.#bumpTurns);
      const bumpX = this.#bumpAlongX ? bump : BUMP_ELSEWHERE * bump;
      const bumpY = this.#bumpAlongX ? BUMP_ELSEWHERE * bump : bump;
      const pullX = force * Math.cos(TURN * this.#rotorTurns);
      const pullY = force * Math.sin(TURN * this.#rotorTurns);
      const x = BIAS_X_G + pullX + bumpX + HUM_XY_G * shake + noise * this.#gaussian();
      const y = BIAS_Y_G + pullY + bumpY + HUM_XY_G * shake + noise * this.#gaussian();
      const z = BIAS_Z_G + BUMP_ELSEWHERE * bump + HUM_Z_G * shake + noise * this.#gaussian();
      squaresX += x * x;
      squaresY += y * y;
      squaresZ += z * z;
    }
    return [
      Math.sqrt(squaresX / SAMPLES_PER_LINE),
      Math.sqrt(squaresY / SAMPLES_PER_LINE),
      Math.sqrt(squaresZ / SAMPLES_PER_LINE),
    ];
  }

  /** One sample period of rotor, drive and bench. */
  #advance(targetSpeedHz: number): void {
    this.#speedHz += (targetSpeedHz - this.#speedHz) * SPEED_FOLLOWS;
    this.#rotorTurns = (this.#rotorTurns + this.#speedHz * SAMPLE_S) % 1;
    this.#humTurns = (this.#humTurns + HUM_HZ * SAMPLE_S) % 1;
    this.#bumpTurns = (this.#bumpTurns + BUMP_HZ * SAMPLE_S) % 1;
    this.#bumpG *= BUMP_KEEPS;
    if (this.#noise() < BUMPS_PER_S * SAMPLE_S) {
      this.#bumpG = BUMP_G_MAX * this.#noise();
      this.#bumpAlongX = this.#noise() < 0.5;
    }
  }

  /** One line's worth of heating or cooling; the temperature of the housing, in degrees Celsius. */
  #warm(): number {
    const target = this.#state === 'off' ? ROOM_C : ROOM_C + DRIVEN_RISE_C;
    this.#temperatureC += (target - this.#temperatureC) / (HEAT_TIME_CONSTANT_S * LINES_PER_SECOND);
    return this.#temperatureC;
  }

  /** Standard normal, by Box and Muller. */
  #gaussian(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#noise()));
    return radius * Math.cos(TURN * this.#noise());
  }
}
