"""Sends rows of sensor values to edgeloop from MicroPython (or Python), and takes its answers: one file, copy it to the
board.

    board = Edgeloop(sys.stdout.buffer.write, columns=[("ax", "g"), ("ay", "g")], classes=["still", "shaken"],
                     rate_hz=100)
    board.label("shaken")       when the label changes; None for no label
    board.send((0.012, -0.003)) 100 times a second; None or nan is a missing value

The format chooses what goes over the wire:

    FRAMES     binary, with checksum, sequence number and description: FORMAT.md, "Frames"
    CSV        0.012,-0.003,shaken         after one line with the names
    PLOTTER    ax:0.012,ay:-0.003,label:shaken

What edgeloop answers (output.frame = true in its config), byte by byte or in pieces:

    answers = Answers()
    for sequence, kind, index, value in answers.take(data):
        if kind == CLASS: ...       index of the class, its probability

With frames, print nothing else on the same port; what must be printed ends with a zero byte.
"""

import struct

try:
    from time import ticks_us, ticks_diff
except ImportError:  # Python on a computer
    from time import monotonic_ns

    def ticks_us():
        return monotonic_ns() // 1000

    def ticks_diff(end, start):
        return end - start


FRAMES = 0
CSV = 1
PLOTTER = 2

NO_LABEL = 0xFF
MISSING = -32768
REPEAT_US = 5_000_000
NAME_BYTES_MAX = 31
UNIT_BYTES_MAX = 15
FRAME_BYTES_MAX = 4072  # before stuffing

_SESSION = 0x11  # version 1 and type
_ROW = 0x12
_LABEL = 0x13
_TIME = 1
_LABEL_IN_BAND = 2
_INT16 = 4

_ANSWER = 0x14
_ANSWER_BYTES = 15

# Kinds of an answer; pass over others.
CLASS = 1  # index: of the class, 255 if the board does not name it; value: its probability
NUMBER = 2  # index: of the predicted column; value: the number predicted
ANOMALY = 3  # index: 1 for an anomaly, else 0; value: its score

_CRC_TABLE = (
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
)  # fmt: skip


def _crc32_by_table(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        crc = (crc >> 4) ^ _CRC_TABLE[crc & 15]
        crc = (crc >> 4) ^ _CRC_TABLE[crc & 15]
    return crc ^ 0xFFFFFFFF


try:
    from binascii import crc32 as _crc32
except ImportError:  # small builds of MicroPython are without
    _crc32 = _crc32_by_table


def _text(text, bytes_min, bytes_max):
    encoded = text.encode()
    if not bytes_min <= len(encoded) <= bytes_max or any(byte < 0x20 or byte == 0x7F for byte in encoded):
        raise ValueError("%r: expected %d to %d bytes of printable text" % (text, bytes_min, bytes_max))
    return encoded + b"\0"


class Edgeloop:
    def __init__(
        self,
        write,
        columns,
        classes=(),
        rate_hz=0,
        form=FRAMES,
        int16=False,
        time=False,
        label_in_band=False,
        decimals=4,
        time_us=None,
    ):
        """write: takes bytes, for example sys.stdout.buffer.write or UART.write.
        columns: (name, unit), or with int16 (name, unit, scale): rows are counts then, a value is count x scale.
        rate_hz: rows per second, 0 if they come at no fixed rate.
        time: rows carry the board's clock. label_in_band: rows carry their label; otherwise a change of label is a
        frame of its own. decimals: of lines. time_us: a clock in microseconds instead of the board's, for tests.
        Raises ValueError if a limit is broken."""
        self._write = write
        self._columns = columns
        self._classes = classes
        self._form = form
        self._int16 = int16
        self._time = time
        self._label_in_band = label_in_band
        self._clock = time_us
        self._number = "%%.%df" % decimals
        self._label = NO_LABEL
        self.sequence = 0  # of the next row or label frame
        self._ticks = ticks_us()
        self._now_us = 0
        self._description = self._describe_columns(rate_hz)
        if len(self._description) > FRAME_BYTES_MAX - 10:
            raise ValueError("%d bytes of names, units and classes are too many" % len(self._description))
        self._tag = _crc32(self._description) & 0xFFFF
        width = 2 if int16 else 4
        size = 7 + (4 if time else 0) + (1 if label_in_band else 0) + width * len(columns) + 4
        # A row is put together and stuffed in here: sending allocates no buffer.
        self._row = bytearray(size)
        self._stuffed = bytearray(size + size // 254 + 2)
        if form == FRAMES:
            write(b"\0")  # ends whatever was torn
        else:
            write(b"\r\n")
        if form == CSV:
            names = [column[0] for column in columns] + (["label"] if classes else [])
            write((",".join(names) + "\r\n").encode())
        self.describe()

    def describe(self):
        """Says again what the rows mean; send() does so by itself every REPEAT_US."""
        self._described_us = self._read_clock()
        if self._form != FRAMES:
            return
        label = NO_LABEL if self._label_in_band else self._label
        self._frame(struct.pack("<BIB", _SESSION, self.sequence, label) + self._description)

    def label(self, name):
        """The class of the rows from now on: one of the classes, or None."""
        label = NO_LABEL if name is None else self._classes.index(name)
        if label == self._label:
            return
        self._label = label
        if self._form == FRAMES and not self._label_in_band:
            self._frame(struct.pack("<BHIB", _LABEL, self._tag, self._take_number(), label))

    def send(self, values):
        """Sends one row; None is a missing value."""
        if len(values) != len(self._columns):
            raise ValueError("expected %d values, got %d" % (len(self._columns), len(values)))
        if self._form != FRAMES:
            self._write(self._line(values).encode())
            return
        now_us = self._read_clock()
        if (now_us - self._described_us) & 0xFFFFFFFF >= REPEAT_US:
            self.describe()
        row = self._row
        struct.pack_into("<BHI", row, 0, _ROW, self._tag, self._take_number())
        at = 7
        if self._time:
            struct.pack_into("<I", row, at, now_us)
            at += 4
        if self._label_in_band:
            row[at] = self._label
            at += 1
        for value in values:
            if self._int16:
                struct.pack_into("<h", row, at, MISSING if value is None else value)
                at += 2
            else:
                struct.pack_into("<f", row, at, float("nan") if value is None else value)
                at += 4
        struct.pack_into("<I", row, at, _crc32(memoryview(row)[:at]) & 0xFFFFFFFF)
        self._write(memoryview(self._stuffed)[: self._stuff(row, self._stuffed)])

    def _frame(self, body):
        data = body + struct.pack("<I", _crc32(body) & 0xFFFFFFFF)
        stuffed = bytearray(len(data) + len(data) // 254 + 2)
        self._write(memoryview(stuffed)[: self._stuff(data, stuffed)])

    def _stuff(self, data, out):
        """COBS and the zero that ends the frame; returns the number of bytes in out."""
        code_at = 0
        at = 1
        for byte in data:
            if at - code_at > 254:
                out[code_at] = 255
                code_at = at
                at += 1
            if byte == 0:
                out[code_at] = at - code_at
                code_at = at
            else:
                out[at] = byte
            at += 1
        out[code_at] = at - code_at
        out[at] = 0
        return at + 1

    def _take_number(self):
        number = self.sequence
        self.sequence = (number + 1) & 0xFFFFFFFF
        return number

    def _read_clock(self):
        """32 bits of microseconds; the ticks of MicroPython may wrap earlier."""
        if self._clock is not None:
            return self._clock() & 0xFFFFFFFF
        ticks = ticks_us()
        self._now_us = (self._now_us + ticks_diff(ticks, self._ticks)) & 0xFFFFFFFF
        self._ticks = ticks
        return self._now_us

    def _describe_columns(self, rate_hz):
        columns, classes = self._columns, self._classes
        if not 1 <= len(columns) <= 255 or len(classes) > 255:
            raise ValueError("expected 1 to 255 columns and up to 255 classes")
        if len({column[0] for column in columns}) < len(columns) or len(set(classes)) < len(classes):
            raise ValueError("expected each name once")
        flags = _INT16 if self._int16 else 0
        flags |= _TIME if self._time else 0
        flags |= _LABEL_IN_BAND if self._label_in_band else 0
        parts = [struct.pack("<BBBf", flags, len(columns), len(classes), rate_hz)]
        for column in columns:
            scale = column[2] if self._int16 else 1
            if scale == 0 or not abs(scale) < 1e34:
                raise ValueError("%r: expected a scale that is not 0 and below 1e34" % (column[0],))
            parts.append(struct.pack("<f", scale))
            parts.append(_text(column[0], 1, NAME_BYTES_MAX) + _text(column[1], 0, UNIT_BYTES_MAX))
        return b"".join(parts + [_text(name, 1, NAME_BYTES_MAX) for name in classes])

    def _line(self, values):
        cells = [self._cell(index, value) for index, value in enumerate(values)]
        if self._classes:
            name = "" if self._label == NO_LABEL else self._classes[self._label]
            cells.append("label:" + name if self._form == PLOTTER else name)
        return ",".join(cells) + "\r\n"

    def _cell(self, index, value):
        if value is None or (self._int16 and value == MISSING):
            text = "nan"
        else:
            text = self._number % (value * self._columns[index][2] if self._int16 else value)
        return self._columns[index][0] + ":" + text if self._form == PLOTTER else text


class Answers:
    def __init__(self):
        # A code byte before the frame, which is unstuffed in place.
        self._bytes = bytearray(_ANSWER_BYTES + 1)
        self._count = 0

    def take(self, data):
        """Takes the next bytes from edgeloop, any number of them. Returns the answers that are whole and undamaged, as
        (sequence, kind, index, value)."""
        answers = []
        for byte in data:
            if byte == 0:
                if self._unstuff():
                    answers.append(struct.unpack_from("<IBBf", self._bytes, 2))
                self._count = 0
            else:
                if self._count <= _ANSWER_BYTES:
                    self._bytes[self._count] = byte
                self._count += 1
        return answers

    def _unstuff(self):
        data = self._bytes
        if self._count != len(data):
            return False
        at = 0
        while at < len(data):
            code = data[at]
            data[at] = 0
            at += code
        frame = memoryview(data)[1:]
        crc = struct.unpack_from("<I", data, _ANSWER_BYTES - 3)[0]
        return at == len(data) and frame[0] == _ANSWER and _crc32(frame[:-4]) & 0xFFFFFFFF == crc
