/* Sends rows that a test can foretell: row n is n, -n and 7n in 16 bits, of class n / 100 % 2, at 1 kHz. */
#include <edgeloop.h>

const unsigned long ROW_US = 1000;

const edgeloop_column COLUMNS[] = {{"up", "", 1}, {"down", "", 1}, {"seven", "", 0.5f}};
const char *const CLASSES[] = {"even", "odd"};
const edgeloop_session SESSION = {1000, COLUMNS, 3, CLASSES, 2, EDGELOOP_FRAMES, EDGELOOP_INT16 | EDGELOOP_TIME, 3};

Edgeloop board;
unsigned long rowStartUs;
int16_t row = 0;

void setup() {
  Serial.begin(500000);
  board.begin(Serial, SESSION);
  rowStartUs = micros();
}

void loop() {
  if (micros() - rowStartUs < ROW_US) return;
  rowStartUs += ROW_US;
  board.label(row / 100 % 2);
  const int16_t values[] = {row, (int16_t)-row, (int16_t)(7 * row)};
  board.send(values);
  row = row == 4000 ? 0 : row + 1;
}
