/*
 * AnalogPins: four analog inputs go to edgeloop, 200 times a second, in volts, as frames.
 *
 * Any Arduino at 115200 baud; A0 to A3 take 0 V to the supply.
 */
#include <edgeloop.h>

const uint8_t PINS[] = {A0, A1, A2, A3};
const uint8_t PIN_COUNT = sizeof PINS;

const float SUPPLY_V = 5.0f;       // 3.3f on most boards that are not an Uno, a Nano or a Mega
const float COUNTS = 1024;         // of the converter over the supply; 4096 on an ESP32
const float VOLTS_PER_COUNT = SUPPLY_V / COUNTS;

const unsigned int ROWS_PER_SECOND = 200;
const unsigned long ROW_US = 1000000UL / ROWS_PER_SECOND;

const edgeloop_column COLUMNS[] = {
    {"a0", "V", VOLTS_PER_COUNT},
    {"a1", "V", VOLTS_PER_COUNT},
    {"a2", "V", VOLTS_PER_COUNT},
    {"a3", "V", VOLTS_PER_COUNT},
};
const edgeloop_session SESSION = {
    ROWS_PER_SECOND,  COLUMNS, PIN_COUNT,
    NULL,             0,  // no classes
    EDGELOOP_FRAMES,      // or EDGELOOP_CSV, EDGELOOP_PLOTTER
    EDGELOOP_INT16,
    3,  // decimals of lines
};

Edgeloop board;
unsigned long rowStartUs;

void setup() {
  Serial.begin(115200);
  board.begin(Serial, SESSION);
  rowStartUs = micros();
}

void loop() {
  // Differences of micros() are right even when it wraps (71 min).
  if (micros() - rowStartUs < ROW_US) return;
  rowStartUs += ROW_US;

  int16_t counts[PIN_COUNT];
  for (uint8_t i = 0; i < PIN_COUNT; i++) counts[i] = analogRead(PINS[i]);
  board.send(counts);
}
