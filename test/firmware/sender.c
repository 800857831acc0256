/*
 * A board on a computer: reads what to do from standard input, sends to standard output.
 *
 *     sender FORMAT FLAGS            of the session
 *     n 4294967290                   the next sequence number
 *     l 1                            the label from now on; 255 none
 *     r 1000 3f800000 ...            at 1000 us a row: bits of floats, or counts of int16 in hexadecimal
 */
#include <stdio.h>
#include <stdlib.h>

#include "edgeloop.h"

#define COLUMNS 3

static void send_byte(uint8_t byte) {
  putchar(byte);
}

int main(int argc, char **argv) {
  static const edgeloop_column columns[COLUMNS] = {{"ax", "g", 0.001f}, {"t", "\xc2\xb0" "C", 0.25f}, {"n", NULL, -3.0f}};
  static const char *const classes[] = {"off", "on"};
  static edgeloop_session session = {62.5f, columns, COLUMNS, classes, 2, EDGELOOP_FRAMES, 0, 3};
  static edgeloop board;
  char order;
  if (argc != 3) return 2;
  session.format = (edgeloop_format)atoi(argv[1]);
  session.flags = (uint8_t)atoi(argv[2]);
  if (!edgeloop_begin(&board, &session, send_byte, 0)) return 3;
  while (scanf(" %c", &order) == 1) {
    unsigned long number;
    if (scanf("%lu", &number) != 1) return 4;
    if (order == 'n') board.sequence = (uint32_t)number;
    if (order == 'l') edgeloop_label(&board, (uint8_t)number);
    if (order == 'r') {
      float values[COLUMNS];
      int16_t counts[COLUMNS];
      for (int i = 0; i < COLUMNS; i++) {
        unsigned int bits;
        if (scanf("%x", &bits) != 1) return 4;
        const uint32_t bits32 = bits;
        memcpy(&values[i], &bits32, 4);
        counts[i] = (int16_t)(uint16_t)bits;
      }
      if (session.flags & EDGELOOP_INT16) edgeloop_send_i16(&board, counts, (uint32_t)number);
      else edgeloop_send_f32(&board, values, (uint32_t)number);
    }
  }
  return 0;
}
