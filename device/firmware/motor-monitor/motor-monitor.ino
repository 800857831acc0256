/*
 * motor-monitor: tells edgeloop, 200 times a second, how a small motor shakes, how warm it is and what state it
 * is in. One line per 5 ms:
 *
 *     rmsX,rmsY,rmsZ,temperature,state          0.312,0.588,1.147,24.31,unbalanced
 *
 * rmsX, rmsY, rmsZ   root mean square of each axis over the 5 ms, in g; z carries gravity when the board lies flat
 * temperature        degrees Celsius
 * state              off, running or unbalanced, as set by the switch: the label that edgeloop learns to predict
 *
 * Board: Arduino Uno or Nano (ATmega328P, 5 V), 115200 baud. Plain Arduino, no libraries.
 *
 *     ADXL335 (three-axis accelerometer, +-3 g, on the motor's housing, z along the shaft)
 *       VCC -> 3V3      GND -> GND      X -> A0      Y -> A1      Z -> A2
 *       Its outputs are ratios of its supply, so the supply is the converter's reference as well:
 *       AREF -> 3V3     (and the sketch must say EXTERNAL before the first reading, or 3V3 and 5 V meet at AREF)
 *       Most breakouts carry 0.1 uF at each output, which stops at 50 Hz. The hum of the drive is far above it:
 *       use 4.7 nF (1 kHz; the sensor itself ends z at 550 Hz), or edgeloop cannot tell off from running at once.
 *
 *     TMP36 (thermometer, touching the housing)
 *       VS -> 3V3       GND -> GND      VOUT -> A3
 *
 *     Rotary switch with three positions, or two toggle switches, to GND (pull-ups are inside the board)
 *       pin 2 to GND: running           pin 3 to GND: unbalanced           neither: off
 *       Stick a bit of tape or a clip on one side of the rotor before you choose unbalanced.
 *
 *     Motor: small 3 V to 6 V motor with its own supply, through a logic-level N-channel MOSFET
 *       pin 5 -> 100 ohm -> gate (10 kohm from gate to GND)      source -> GND      drain -> motor -> supply
 *       A diode across the motor, its cathode at the supply. Join the grounds.
 *       Pin 5 switches at 977 Hz (pin 9 would do so at 490 Hz): this is the hum.
 */

const uint8_t PIN_X = A0;
const uint8_t PIN_Y = A1;
const uint8_t PIN_Z = A2;
const uint8_t PIN_TEMPERATURE = A3;
const uint8_t PIN_RUNNING = 2;
const uint8_t PIN_UNBALANCED = 3;
const uint8_t PIN_DRIVE = 5;

const uint8_t DRIVE_DUTY = 160;  // of 255; choose for about 50 turns per second

const unsigned long LINE_US = 5000;

const float SUPPLY_V = 3.3;
const int COUNTS = 1024;  // of the 10-bit converter over the supply

// The sensor gives half its supply at 0 g and a tenth of its supply per g, whatever the supply. Lay each axis
// level and correct its zero, if the board and yours differ by more than a few counts.
const int ZERO_X = COUNTS / 2;
const int ZERO_Y = COUNTS / 2;
const int ZERO_Z = COUNTS / 2;
const float COUNTS_PER_G = COUNTS / 10.0;

// The thermometer gives 500 mV at 0 degrees and 10 mV per degree. One count is a third of a degree, so the
// reading is smoothed over about 64 lines.
const float TEMPERATURE_ZERO_V = 0.5;
const float TEMPERATURE_V_PER_C = 0.01;
const float TEMPERATURE_SMOOTHING = 1.0 / 64;

unsigned long lineStartUs;
float temperatureC;

const char *readState() {
  if (digitalRead(PIN_UNBALANCED) == LOW) return "unbalanced";
  if (digitalRead(PIN_RUNNING) == LOW) return "running";
  return "off";
}

unsigned long squared(long counts) {
  return counts * counts;
}

float rmsG(unsigned long squares, unsigned int samples) {
  return sqrt((float)squares / samples) / COUNTS_PER_G;
}

float readTemperatureC() {
  const float volts = analogRead(PIN_TEMPERATURE) * SUPPLY_V / COUNTS;
  return (volts - TEMPERATURE_ZERO_V) / TEMPERATURE_V_PER_C;
}

void setup() {
  analogReference(EXTERNAL);
  pinMode(PIN_RUNNING, INPUT_PULLUP);
  pinMode(PIN_UNBALANCED, INPUT_PULLUP);
  pinMode(PIN_DRIVE, OUTPUT);
  Serial.begin(115200);
  readTemperatureC();  // the first reading after a change of reference is not to be trusted
  temperatureC = readTemperatureC();
  lineStartUs = micros();
}

void loop() {
  // The switch is read once, and the drive set, before the first sample: a state begins with a line.
  const char *state = readState();
  if (state[0] == 'o') analogWrite(PIN_DRIVE, 0);
  else analogWrite(PIN_DRIVE, DRIVE_DUTY);

  // An int holds a reading, but the square of 512 counts needs a long. Three readings take 0.34 ms, so a line
  // rests on about a dozen samples of each axis. Differences of micros() are right even when it wraps (70 min).
  unsigned long squaresX = 0;
  unsigned long squaresY = 0;
  unsigned long squaresZ = 0;
  unsigned int samples = 0;
  do {
    squaresX += squared(analogRead(PIN_X) - ZERO_X);
    squaresY += squared(analogRead(PIN_Y) - ZERO_Y);
    squaresZ += squared(analogRead(PIN_Z) - ZERO_Z);
    samples++;
  } while (micros() - lineStartUs < LINE_US);
  lineStartUs += LINE_US;

  temperatureC += (readTemperatureC() - temperatureC) * TEMPERATURE_SMOOTHING;

  // At most 37 bytes: 3.2 ms at 115200 baud, and less than the 64 bytes that Serial sends in the background.
  Serial.print(rmsG(squaresX, samples), 3);
  Serial.print(',');
  Serial.print(rmsG(squaresY, samples), 3);
  Serial.print(',');
  Serial.print(rmsG(squaresZ, samples), 3);
  Serial.print(',');
  Serial.print(temperatureC, 2);
  Serial.print(',');
  Serial.println(state);
}
