/* A board on a computer that is answered: bytes on standard input, "sequence kind index bits-of-the-value" per answer. */
#include <stdio.h>

#include "edgeloop.h"

int main(void) {
  static edgeloop_receiver receiver;
  edgeloop_answer answer;
  int byte;
  while ((byte = getchar()) != EOF) {
    if (!edgeloop_receive(&receiver, (uint8_t)byte, &answer)) continue;
    uint32_t bits;
    memcpy(&bits, &answer.value, 4);
    printf("%lu %u %u %lx\n", (unsigned long)answer.sequence, answer.kind, answer.index, (unsigned long)bits);
  }
  return 0;
}
