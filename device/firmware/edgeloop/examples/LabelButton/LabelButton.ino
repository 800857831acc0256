/*
 * LabelButton: a push button says which class the rows belong to. Each press goes one further: none, idle, wave,
 * circle, and none again. While there is none, edgeloop predicts and does not learn.
 *
 * Any Arduino at 115200 baud:
 *
 *     a sensor -> A0 and A1
 *     push button from pin 2 to GND (the pull-up is inside the board)
 *
 * The built-in LED blinks as often as the class's place in the list; it is dark while there is no label.
 */
#include <edgeloop.h>

const uint8_t PIN_BUTTON = 2;

const unsigned int ROWS_PER_SECOND = 100;
const unsigned long ROW_US = 1000000UL / ROWS_PER_SECOND;
const uint8_t BOUNCE_ROWS = 3;  // a contact is at rest after 30 ms
const uint8_t BLINK_ROWS = 20;

const edgeloop_column COLUMNS[] = {{"a0", "V", 5.0f / 1024}, {"a1", "V", 5.0f / 1024}};
const char *const CLASSES[] = {"idle", "wave", "circle"};
const uint8_t CLASS_COUNT = 3;
const edgeloop_session SESSION = {
    ROWS_PER_SECOND, COLUMNS, 2, CLASSES, CLASS_COUNT,
    EDGELOOP_FRAMES,  // or EDGELOOP_CSV, EDGELOOP_PLOTTER
    EDGELOOP_INT16 | EDGELOOP_LABEL_IN_BAND,
    3,  // decimals of lines
};

Edgeloop board;
unsigned long rowStartUs;
uint8_t label = EDGELOOP_NO_LABEL;
uint8_t rowsAtRest = 0;
bool wasPressed = false;
uint8_t blinkRow = 0;

void nextLabel() {
  if (label == EDGELOOP_NO_LABEL) label = 0;
  else if (label + 1 < CLASS_COUNT) label += 1;
  else label = EDGELOOP_NO_LABEL;
  board.label(label);
  blinkRow = 0;
}

void readButton() {
  const bool pressed = digitalRead(PIN_BUTTON) == LOW;
  if (pressed == wasPressed) {
    rowsAtRest = 0;
    return;
  }
  if (++rowsAtRest < BOUNCE_ROWS) return;
  rowsAtRest = 0;
  wasPressed = pressed;
  if (pressed) nextLabel();
}

void blink() {
  const uint8_t blinks = label == EDGELOOP_NO_LABEL ? 0 : label + 1;
  const uint8_t phase = blinkRow / BLINK_ROWS;  // on, off, on, off ... and a pause
  digitalWrite(LED_BUILTIN, phase < 2 * blinks && phase % 2 == 0 ? HIGH : LOW);
  if (++blinkRow == (2 * CLASS_COUNT + 2) * BLINK_ROWS) blinkRow = 0;
}

void setup() {
  pinMode(PIN_BUTTON, INPUT_PULLUP);
  pinMode(LED_BUILTIN, OUTPUT);
  Serial.begin(115200);
  board.begin(Serial, SESSION);
  rowStartUs = micros();
}

void loop() {
  // Differences of micros() are right even when it wraps (71 min).
  if (micros() - rowStartUs < ROW_US) return;
  rowStartUs += ROW_US;

  readButton();
  blink();
  const int16_t counts[] = {(int16_t)analogRead(A0), (int16_t)analogRead(A1)};
  board.send(counts);
}
