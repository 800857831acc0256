/*
 * AnswerLed: two analog pins go to edgeloop, and what it answers switches the built-in LED: on while it is sure that the
 * class is "alarm". Without an answer for two seconds (edgeloop is away) the LED is off.
 *
 * Any Arduino at 115200 baud. In the config of edgeloop:
 *
 *     [output]
 *     frame = true
 *     onChange = false
 *     everyMs = 100
 */
#include <edgeloop.h>

const unsigned int ROWS_PER_SECOND = 100;
const unsigned long ROW_US = 1000000UL / ROWS_PER_SECOND;
const unsigned long ANSWER_MS_MAX = 2000;

const edgeloop_column COLUMNS[] = {{"a0", "V", 5.0f / 1024}, {"a1", "V", 5.0f / 1024}};
const char *const CLASSES[] = {"calm", "alarm"};
const uint8_t ALARM = 1;
const float SURE = 0.8f;
const edgeloop_session SESSION = {
    ROWS_PER_SECOND, COLUMNS, 2, CLASSES, 2, EDGELOOP_FRAMES, EDGELOOP_INT16 | EDGELOOP_LABEL_IN_BAND, 3,
};

Edgeloop board;
EdgeloopAnswers answers;
unsigned long rowStartUs;
unsigned long answeredMs = 0;

void takeAnswers() {
  edgeloop_answer answer;
  while (answers.read(Serial, answer)) {
    if (answer.kind != EDGELOOP_CLASS) continue;
    digitalWrite(LED_BUILTIN, answer.index == ALARM && answer.value >= SURE ? HIGH : LOW);
    answeredMs = millis();
  }
  if (millis() - answeredMs > ANSWER_MS_MAX) digitalWrite(LED_BUILTIN, LOW);
}

void setup() {
  pinMode(LED_BUILTIN, OUTPUT);
  Serial.begin(115200);
  board.begin(Serial, SESSION);
  rowStartUs = micros();
}

void loop() {
  takeAnswers();
  if (micros() - rowStartUs < ROW_US) return;
  rowStartUs += ROW_US;
  const int16_t counts[] = {(int16_t)analogRead(A0), (int16_t)analogRead(A1)};
  board.send(counts);
}
