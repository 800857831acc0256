/*
 * edgeloop.h: sends rows of sensor values to edgeloop, from any board, and takes its answers. One header, C99 or C++11, no heap, no
 * library but the C headers below. On an Arduino: class Edgeloop at the end of this file, and the examples.
 *
 *     static const edgeloop_column columns[] = {{"ax", "g", 0.001f}, {"ay", "g", 0.001f}};
 *     static const char *const classes[] = {"still", "shaken"};
 *     static const edgeloop_session session = {
 *         100, columns, 2, classes, 2, EDGELOOP_FRAMES, EDGELOOP_INT16 | EDGELOOP_LABEL_IN_BAND, 3};
 *
 *     edgeloop board;
 *     edgeloop_begin(&board, &session, send_byte, now_us());      once; false if the session breaks a limit
 *     edgeloop_label(&board, 1);                                   when the label changes
 *     edgeloop_send_i16(&board, counts, now_us());                 100 times a second
 *
 * The session and all it points to must stay where they are. Its format chooses what goes over the wire:
 *
 *     EDGELOOP_FRAMES    binary, with checksum, sequence number and description: FORMAT.md, "Frames"
 *     EDGELOOP_CSV       0.012,-0.003,shaken         after one line with the names
 *     EDGELOOP_PLOTTER   ax:0.012,ay:-0.003,label:shaken
 *
 * With frames, print nothing else on the same port; what must be printed ends with a zero byte.
 *
 * What edgeloop answers (output.frame = true in its config) is taken in byte by byte, with 17 bytes of RAM:
 *
 *     static edgeloop_receiver receiver;
 *     edgeloop_answer answer;
 *     if (edgeloop_receive(&receiver, byte, &answer) && answer.kind == EDGELOOP_CLASS) ...    answer.index, answer.value
 *
 * RAM: EDGELOOP_BLOCK_BYTES and about 30 bytes. Bytes of a row on the wire: 13, the values, 1 for a label in band,
 * 4 for time.
 */
#ifndef EDGELOOP_H
#define EDGELOOP_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVR__)
#include <avr/pgmspace.h>
#endif

/* The longest run of bytes without a zero that can be sent, at most 254. A session needs 48, a row all its bytes:
 * up to 16 and the values. begin() says if it is too small. */
#ifndef EDGELOOP_BLOCK_BYTES
#if defined(__AVR__)
#define EDGELOOP_BLOCK_BYTES 64
#else
#define EDGELOOP_BLOCK_BYTES 254
#endif
#endif

#if EDGELOOP_BLOCK_BYTES < 48 || EDGELOOP_BLOCK_BYTES > 254
#error "EDGELOOP_BLOCK_BYTES: expected 48 to 254"
#endif

/* How often the session is described again, for those who listen later. */
#ifndef EDGELOOP_REPEAT_US
#define EDGELOOP_REPEAT_US 5000000UL
#endif

#define EDGELOOP_NAME_BYTES_MAX 31
#define EDGELOOP_UNIT_BYTES_MAX 15
/* What edgeloop takes is 4096 stuffed; this leaves room for the stuffing. */
#define EDGELOOP_FRAME_BYTES_MAX 4072

#define EDGELOOP_NO_LABEL 0xff
/* The int16 that stands for a missing value; a float says it with NAN. */
#define EDGELOOP_MISSING INT16_MIN

/* Flags of a session. */
#define EDGELOOP_TIME 1          /* rows carry the board's clock */
#define EDGELOOP_LABEL_IN_BAND 2 /* rows carry their label; otherwise a change of label is a frame of its own */
#define EDGELOOP_INT16 4         /* values are counts, times the column's scale; otherwise float */

typedef enum { EDGELOOP_FRAMES, EDGELOOP_CSV, EDGELOOP_PLOTTER } edgeloop_format;

typedef struct {
  const char *name; /* 1 to 31 bytes; each once */
  const char *unit; /* 0 to 15 bytes */
  float scale;      /* value of one count; not looked at where values are float */
} edgeloop_column;

typedef struct {
  float rate_hz; /* rows per second, 0 if they come at no fixed rate */
  const edgeloop_column *columns;
  uint8_t column_count; /* 1 to 255 */
  const char *const *classes; /* names of 1 to 31 bytes; each once */
  uint8_t class_count; /* 0 to 255 */
  edgeloop_format format;
  uint8_t flags;
  uint8_t decimals; /* of lines, 0 to 7 */
} edgeloop_session;

typedef struct {
  const edgeloop_session *session;
  void (*write)(uint8_t byte);
  void (*write_to)(void *context, uint8_t byte); /* in its place, if not NULL */
  void *context;
  uint32_t sequence; /* of the next row or label frame */
  uint32_t described_us;
  uint32_t crc;
  uint16_t tag;
  uint8_t label;
  uint8_t block_bytes;
  uint8_t block[EDGELOOP_BLOCK_BYTES];
} edgeloop;

/* ---- from here to "For sketches" the library talks to itself, then come the functions to call ---- */

static inline void edgeloop_write(edgeloop *board, uint8_t byte) {
  if (board->write_to != NULL) board->write_to(board->context, byte);
  else board->write(byte);
}

/* CRC-32, four bits at a time: a table of 64 bytes, in flash where that is apart from RAM. */
static inline uint32_t edgeloop_crc_entry(uint8_t index) {
#if defined(__AVR__)
  static const uint32_t entries[16] PROGMEM = {
#else
  static const uint32_t entries[16] = {
#endif
      0x00000000UL, 0x1db71064UL, 0x3b6e20c8UL, 0x26d930acUL, 0x76dc4190UL, 0x6b6b51f4UL, 0x4db26158UL, 0x5005713cUL,
      0xedb88320UL, 0xf00f9344UL, 0xd6d6a3e8UL, 0xcb61b38cUL, 0x9b64c2b0UL, 0x86d3d2d4UL, 0xa00ae278UL, 0xbdbdf21cUL};
#if defined(__AVR__)
  return pgm_read_dword(&entries[index]);
#else
  return entries[index];
#endif
}

static inline uint32_t edgeloop_crc_step(uint32_t crc, uint8_t byte) {
  crc ^= byte;
  crc = (crc >> 4) ^ edgeloop_crc_entry((uint8_t)(crc & 15));
  return (crc >> 4) ^ edgeloop_crc_entry((uint8_t)(crc & 15));
}

/* Sends the piece in the block behind its code byte. */
static inline void edgeloop_end_piece(edgeloop *board) {
  edgeloop_write(board, (uint8_t)(board->block_bytes + 1));
  for (uint8_t i = 0; i < board->block_bytes; i++) edgeloop_write(board, board->block[i]);
  board->block_bytes = 0;
}

static inline void edgeloop_stuff(edgeloop *board, uint8_t byte) {
  if (board->block_bytes == EDGELOOP_BLOCK_BYTES) edgeloop_end_piece(board); /* happens at 254 only: see begin */
  if (byte == 0) edgeloop_end_piece(board);
  else board->block[board->block_bytes++] = byte;
}

static inline void edgeloop_put_u8(edgeloop *board, uint8_t byte) {
  board->crc = edgeloop_crc_step(board->crc, byte);
  edgeloop_stuff(board, byte);
}

static inline void edgeloop_put_u16(edgeloop *board, uint16_t value) {
  edgeloop_put_u8(board, (uint8_t)(value & 0xff));
  edgeloop_put_u8(board, (uint8_t)(value >> 8));
}

static inline void edgeloop_put_u32(edgeloop *board, uint32_t value) {
  edgeloop_put_u16(board, (uint16_t)(value & 0xffff));
  edgeloop_put_u16(board, (uint16_t)(value >> 16));
}

static inline void edgeloop_put_f32(edgeloop *board, float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  edgeloop_put_u32(board, bits);
}

static inline void edgeloop_put_text(edgeloop *board, const char *text) {
  if (text != NULL) {
    while (*text != 0) edgeloop_put_u8(board, (uint8_t)*text++);
  }
  edgeloop_put_u8(board, 0);
}

static inline void edgeloop_begin_frame(edgeloop *board, uint8_t type) {
  board->crc = 0xffffffffUL;
  board->block_bytes = 0;
  edgeloop_put_u8(board, (uint8_t)(0x10 | type)); /* version 1 */
}

/* Head of a row or label frame. */
static inline void edgeloop_begin_numbered(edgeloop *board, uint8_t type) {
  edgeloop_begin_frame(board, type);
  edgeloop_put_u16(board, board->tag);
  edgeloop_put_u32(board, board->sequence++);
}

static inline void edgeloop_end_frame(edgeloop *board) {
  uint32_t crc = ~board->crc;
  for (uint8_t i = 0; i < 4; i++, crc >>= 8) edgeloop_stuff(board, (uint8_t)(crc & 0xff));
  edgeloop_end_piece(board);
  edgeloop_write(board, 0);
}

static inline void edgeloop_put_description(edgeloop *board) {
  const edgeloop_session *session = board->session;
  edgeloop_put_u8(board, session->flags);
  edgeloop_put_u8(board, session->column_count);
  edgeloop_put_u8(board, session->class_count);
  edgeloop_put_f32(board, session->rate_hz);
  for (uint8_t i = 0; i < session->column_count; i++) {
    const edgeloop_column *column = &session->columns[i];
    edgeloop_put_f32(board, (session->flags & EDGELOOP_INT16) ? column->scale : 1.0f);
    edgeloop_put_text(board, column->name);
    edgeloop_put_text(board, column->unit);
  }
  for (uint8_t i = 0; i < session->class_count; i++) edgeloop_put_text(board, session->classes[i]);
}

static inline void edgeloop_ignore(void *context, uint8_t byte) {
  (void)context;
  (void)byte;
}

/* The tag is of the description alone: it is written once to nobody. */
static inline uint16_t edgeloop_find_tag(edgeloop *board) {
  void (*write_to)(void *, uint8_t) = board->write_to;
  board->write_to = edgeloop_ignore;
  board->block_bytes = 0;
  board->crc = 0xffffffffUL;
  edgeloop_put_description(board);
  board->write_to = write_to;
  return (uint16_t)(~board->crc & 0xffff);
}

static inline bool edgeloop_text_fits(const char *text, size_t bytes_min, size_t bytes_max) {
  const size_t bytes = text == NULL ? 0 : strlen(text);
  return bytes >= bytes_min && bytes <= bytes_max;
}

/* Columns and classes have a name each, and none twice. */
static inline bool edgeloop_names_fit(const edgeloop_session *session) {
  for (uint8_t i = 0; i < session->column_count; i++) {
    const edgeloop_column *column = &session->columns[i];
    if (!edgeloop_text_fits(column->name, 1, EDGELOOP_NAME_BYTES_MAX)) return false;
    if (!edgeloop_text_fits(column->unit, 0, EDGELOOP_UNIT_BYTES_MAX)) return false;
    for (uint8_t j = 0; j < i; j++) {
      if (strcmp(column->name, session->columns[j].name) == 0) return false;
    }
  }
  for (uint8_t i = 0; i < session->class_count; i++) {
    if (!edgeloop_text_fits(session->classes[i], 1, EDGELOOP_NAME_BYTES_MAX)) return false;
    for (uint8_t j = 0; j < i; j++) {
      if (strcmp(session->classes[i], session->classes[j]) == 0) return false;
    }
  }
  return true;
}

/* Bytes of the session frame before it is stuffed. */
static inline uint32_t edgeloop_session_bytes(const edgeloop_session *session) {
  uint32_t bytes = 17;
  for (uint8_t i = 0; i < session->column_count; i++) {
    const edgeloop_column *column = &session->columns[i];
    bytes += 6 + (uint32_t)strlen(column->name) + (column->unit == NULL ? 0 : (uint32_t)strlen(column->unit));
  }
  for (uint8_t i = 0; i < session->class_count; i++) bytes += 1 + (uint32_t)strlen(session->classes[i]);
  return bytes;
}

static inline uint16_t edgeloop_row_bytes(const edgeloop_session *session) {
  uint16_t bytes = (uint16_t)(11 + session->column_count * ((session->flags & EDGELOOP_INT16) ? 2 : 4));
  if (session->flags & EDGELOOP_TIME) bytes = (uint16_t)(bytes + 4);
  if (session->flags & EDGELOOP_LABEL_IN_BAND) bytes = (uint16_t)(bytes + 1);
  return bytes;
}

static inline bool edgeloop_session_fits(const edgeloop_session *session) {
  if (session->column_count == 0 || session->flags > 7 || session->decimals > 7) return false;
  if (!(session->rate_hz >= 0) || isinf(session->rate_hz) || !edgeloop_names_fit(session)) return false;
  for (uint8_t i = 0; (session->flags & EDGELOOP_INT16) && i < session->column_count; i++) {
    const float scale = session->columns[i].scale;
    if (scale == 0 || isnan(scale) || isinf(scale * 32768.0f)) return false;
  }
  if (session->format != EDGELOOP_FRAMES) return true;
  if (edgeloop_session_bytes(session) > EDGELOOP_FRAME_BYTES_MAX) return false;
  return EDGELOOP_BLOCK_BYTES == 254 || edgeloop_row_bytes(session) <= EDGELOOP_BLOCK_BYTES;
}

static inline void edgeloop_print(edgeloop *board, const char *text) {
  while (*text != 0) edgeloop_write(board, (uint8_t)*text++);
}

/* At least `digits` digits. */
static inline void edgeloop_print_u32(edgeloop *board, uint32_t value, uint8_t digits) {
  char text[11];
  uint8_t at = 10;
  text[at] = 0;
  do {
    text[--at] = (char)('0' + value % 10);
    value /= 10;
    if (digits > 0) digits--;
  } while (value > 0 || digits > 0);
  edgeloop_print(board, &text[at]);
}

/* Small boards have no printf for floats. A magnitude of 4e9 or more is printed as 4.1234567e9. */
static inline void edgeloop_print_float(edgeloop *board, float value, uint8_t decimals) {
  uint32_t unit = 1;
  uint8_t exponent = 0;
  if (isnan(value)) {
    edgeloop_print(board, "nan");
    return;
  }
  if (value < 0) {
    edgeloop_write(board, '-');
    value = -value;
  }
  if (isinf(value)) {
    edgeloop_print(board, "inf");
    return;
  }
  if (value >= 4e9f) {
    for (decimals = 7; value >= 10; exponent++) value /= 10;
  }
  for (uint8_t i = 0; i < decimals; i++) unit *= 10;
  uint32_t whole = (uint32_t)value;
  uint32_t part = (uint32_t)((value - (float)whole) * (float)unit + 0.5f);
  if (part >= unit) {
    whole += 1;
    part = 0;
  }
  edgeloop_print_u32(board, whole, 1);
  if (decimals > 0) {
    edgeloop_write(board, '.');
    edgeloop_print_u32(board, part, decimals);
  }
  if (exponent > 0) {
    edgeloop_write(board, 'e');
    edgeloop_print_u32(board, exponent, 1);
  }
}

static inline void edgeloop_print_cell(edgeloop *board, uint8_t column, float value) {
  if (column > 0) edgeloop_write(board, ',');
  if (board->session->format == EDGELOOP_PLOTTER) {
    edgeloop_print(board, board->session->columns[column].name);
    edgeloop_write(board, ':');
  }
  edgeloop_print_float(board, value, board->session->decimals);
}

/* Ends a line with the class's name, if there are classes; its cell is empty where there is no label. */
static inline void edgeloop_end_line(edgeloop *board) {
  if (board->session->class_count > 0) {
    edgeloop_print(board, board->session->format == EDGELOOP_PLOTTER ? ",label:" : ",");
    if (board->label != EDGELOOP_NO_LABEL) edgeloop_print(board, board->session->classes[board->label]);
  }
  edgeloop_print(board, "\r\n");
}

static inline void edgeloop_print_header(edgeloop *board) {
  edgeloop_print(board, "\r\n"); /* ends whatever was torn */
  if (board->session->format != EDGELOOP_CSV) return;
  for (uint8_t i = 0; i < board->session->column_count; i++) {
    if (i > 0) edgeloop_write(board, ',');
    edgeloop_print(board, board->session->columns[i].name);
  }
  edgeloop_print(board, board->session->class_count > 0 ? ",label\r\n" : "\r\n");
}

/* Says again what the rows mean. The library does so by itself at the start and every EDGELOOP_REPEAT_US. */
static inline void edgeloop_describe(edgeloop *board, uint32_t now_us) {
  const bool in_band = (board->session->flags & EDGELOOP_LABEL_IN_BAND) != 0;
  board->described_us = now_us;
  if (board->session->format != EDGELOOP_FRAMES) return;
  edgeloop_begin_frame(board, 1);
  edgeloop_put_u32(board, board->sequence);
  edgeloop_put_u8(board, in_band ? EDGELOOP_NO_LABEL : board->label);
  edgeloop_put_description(board);
  edgeloop_end_frame(board);
}

static inline void edgeloop_begin_row(edgeloop *board, uint32_t now_us) {
  if (now_us - board->described_us >= EDGELOOP_REPEAT_US) edgeloop_describe(board, now_us);
  edgeloop_begin_numbered(board, 2);
  if (board->session->flags & EDGELOOP_TIME) edgeloop_put_u32(board, now_us);
  if (board->session->flags & EDGELOOP_LABEL_IN_BAND) edgeloop_put_u8(board, board->label);
}

/* ---- For sketches ---- */

/* Starts with the output in board->write or board->write_to: see the two functions below. */
static inline bool edgeloop_start(edgeloop *board, const edgeloop_session *session, uint32_t now_us) {
  board->session = session;
  board->sequence = 0;
  board->label = EDGELOOP_NO_LABEL;
  board->block_bytes = 0;
  if (!edgeloop_session_fits(session)) return false;
  if (session->format == EDGELOOP_FRAMES) {
    board->tag = edgeloop_find_tag(board);
    edgeloop_write(board, 0); /* ends whatever was torn */
  } else {
    edgeloop_print_header(board);
  }
  edgeloop_describe(board, now_us);
  return true;
}

/* Returns false, and sends nothing, if the session breaks a limit above. now_us: microseconds, may wrap. */
static inline bool edgeloop_begin(edgeloop *board, const edgeloop_session *session, void (*write)(uint8_t),
                                  uint32_t now_us) {
  board->write = write;
  board->write_to = NULL;
  board->context = NULL;
  return edgeloop_start(board, session, now_us);
}

/* The same with an output that needs to know where to. */
static inline bool edgeloop_begin_to(edgeloop *board, const edgeloop_session *session,
                                     void (*write_to)(void *, uint8_t), void *context, uint32_t now_us) {
  board->write = NULL;
  board->write_to = write_to;
  board->context = context;
  return edgeloop_start(board, session, now_us);
}

/* The class of the rows from now on: an index into the session's classes, or EDGELOOP_NO_LABEL. */
static inline void edgeloop_label(edgeloop *board, uint8_t label) {
  const edgeloop_session *session = board->session;
  if (label >= session->class_count) label = EDGELOOP_NO_LABEL;
  if (label == board->label) return;
  board->label = label;
  if (session->format != EDGELOOP_FRAMES || (session->flags & EDGELOOP_LABEL_IN_BAND)) return;
  edgeloop_begin_numbered(board, 3);
  edgeloop_put_u8(board, label);
  edgeloop_end_frame(board);
}

/* Sends a row of values, for sessions without EDGELOOP_INT16. values: [column_count] */
static inline void edgeloop_send_f32(edgeloop *board, const float *values, uint32_t now_us) {
  const edgeloop_session *session = board->session;
  if (session->format == EDGELOOP_FRAMES) {
    edgeloop_begin_row(board, now_us);
    for (uint8_t i = 0; i < session->column_count; i++) edgeloop_put_f32(board, values[i]);
    edgeloop_end_frame(board);
  } else {
    for (uint8_t i = 0; i < session->column_count; i++) edgeloop_print_cell(board, i, values[i]);
    edgeloop_end_line(board);
  }
}

/* Sends a row of counts, for sessions with EDGELOOP_INT16. counts: [column_count] */
static inline void edgeloop_send_i16(edgeloop *board, const int16_t *counts, uint32_t now_us) {
  const edgeloop_session *session = board->session;
  if (session->format == EDGELOOP_FRAMES) {
    edgeloop_begin_row(board, now_us);
    for (uint8_t i = 0; i < session->column_count; i++) edgeloop_put_u16(board, (uint16_t)counts[i]);
    edgeloop_end_frame(board);
  } else {
    for (uint8_t i = 0; i < session->column_count; i++) {
      const bool missing = counts[i] == EDGELOOP_MISSING;
      edgeloop_print_cell(board, i, missing ? NAN : (float)counts[i] * session->columns[i].scale);
    }
    edgeloop_end_line(board);
  }
}

/* ---- Answers of edgeloop ---- */

/* Kinds of an answer; pass over others. */
#define EDGELOOP_CLASS 1   /* index: of the class, 255 if the session does not name it; value: its probability */
#define EDGELOOP_NUMBER 2  /* index: of the predicted column; value: the number predicted */
#define EDGELOOP_ANOMALY 3 /* index: 1 for an anomaly, else 0; value: its score */

typedef struct {
  uint32_t sequence; /* higher for later rows, wraps */
  uint8_t kind;
  uint8_t index;
  float value;
} edgeloop_answer;

#define EDGELOOP_ANSWER_BYTES 15
#define EDGELOOP_ANSWER_TYPE 0x14 /* version 1 and type */

/* All zero before the first byte. */
typedef struct {
  uint8_t bytes[EDGELOOP_ANSWER_BYTES + 1]; /* stuffed */
  uint8_t count;                            /* one more than fits: the frame is too long */
} edgeloop_receiver;

static inline uint32_t edgeloop_get_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Undoes the stuffing in place: a code byte becomes the zero that it stands for. Returns false for what is no answer. */
static inline bool edgeloop_unstuff(edgeloop_receiver *receiver) {
  uint8_t at = 0;
  if (receiver->count != EDGELOOP_ANSWER_BYTES + 1) return false;
  while (at < receiver->count) {
    const uint8_t code = receiver->bytes[at];
    receiver->bytes[at] = 0;
    if (code > receiver->count - at) return false;
    at = (uint8_t)(at + code);
  }
  return true;
}

/* Takes the next byte from edgeloop. Returns true when it ends an answer that is whole and undamaged. */
static inline bool edgeloop_receive(edgeloop_receiver *receiver, uint8_t byte, edgeloop_answer *answer) {
  const uint8_t *frame = &receiver->bytes[1];
  uint32_t crc = 0xffffffffUL;
  uint32_t bits;
  if (byte != 0) {
    if (receiver->count < EDGELOOP_ANSWER_BYTES + 1) receiver->bytes[receiver->count] = byte;
    if (receiver->count < EDGELOOP_ANSWER_BYTES + 2) receiver->count++;
    return false;
  }
  const bool whole = edgeloop_unstuff(receiver);
  receiver->count = 0;
  if (!whole) return false;
  for (uint8_t i = 0; i < EDGELOOP_ANSWER_BYTES - 4; i++) crc = edgeloop_crc_step(crc, frame[i]);
  if (~crc != edgeloop_get_u32(&frame[EDGELOOP_ANSWER_BYTES - 4]) || frame[0] != EDGELOOP_ANSWER_TYPE) return false;
  answer->sequence = edgeloop_get_u32(&frame[1]);
  answer->kind = frame[5];
  answer->index = frame[6];
  bits = edgeloop_get_u32(&frame[7]);
  memcpy(&answer->value, &bits, 4);
  return true;
}

#if defined(ARDUINO) && defined(__cplusplus)
#include <Arduino.h>

/* The same for sketches: the output is any Print or Stream (Serial, Serial1, a socket), the clock is micros(). */
class Edgeloop {
 public:
  /* Returns false, and sends nothing, if the session breaks a limit above. */
  bool begin(Print &port, const edgeloop_session &session) {
    return edgeloop_begin_to(&board, &session, writeTo, &port, micros());
  }
  void label(uint8_t label) { edgeloop_label(&board, label); }
  void send(const float *values) { edgeloop_send_f32(&board, values, micros()); }
  void send(const int16_t *counts) { edgeloop_send_i16(&board, counts, micros()); }

 private:
  static void writeTo(void *port, uint8_t byte) { static_cast<Print *>(port)->write(byte); }
  edgeloop board;
};

/* What edgeloop answers, from any Stream; read it in every loop(), before its buffer of 64 bytes is full. */
class EdgeloopAnswers {
 public:
  /* Returns true if an answer has come since: once for each, the oldest first. */
  bool read(Stream &port, edgeloop_answer &answer) {
    while (port.available() > 0) {
      if (edgeloop_receive(&receiver, (uint8_t)port.read(), &answer)) return true;
    }
    return false;
  }

 private:
  edgeloop_receiver receiver = {};
};
#endif

#endif
