"""The same board as receiver.c, with the module for MicroPython."""

import struct
import sys

import edgeloop

answers = edgeloop.Answers()
while True:
    data = sys.stdin.buffer.read(7)
    if not data:
        break
    for sequence, kind, index, value in answers.take(data):
        print(sequence, kind, index, "%x" % struct.unpack("<I", struct.pack("<f", value))[0])
