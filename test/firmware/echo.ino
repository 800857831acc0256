/* Sends what it is answered as a row each: the sequence number's halves, kind, index, value. */
#include <edgeloop.h>

const edgeloop_column COLUMNS[] = {{"low", "", 1}, {"high", "", 1}, {"kind", "", 1}, {"index", "", 1}, {"value", "", 1}};
const edgeloop_session SESSION = {0, COLUMNS, 5, NULL, 0, EDGELOOP_FRAMES, 0, 3};

Edgeloop board;
EdgeloopAnswers answers;

void setup() {
  Serial.begin(500000);
  board.begin(Serial, SESSION);
}

void loop() {
  edgeloop_answer answer;
  if (!answers.read(Serial, answer)) return;
  const float row[] = {(float)(answer.sequence & 0xffff), (float)(answer.sequence >> 16), (float)answer.kind,
                       (float)answer.index, answer.value};
  board.send(row);
}
