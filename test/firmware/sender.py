"""The same board as sender.c, with the module for MicroPython: sender.py FORMAT FLAGS"""

import struct
import sys

import edgeloop

form, flags = int(sys.argv[1]), int(sys.argv[2])
int16 = bool(flags & 4)
classes = ["off", "on"]
now_us = 0
board = edgeloop.Edgeloop(
    sys.stdout.buffer.write,
    columns=[("ax", "g", 0.001), ("t", "\u00b0C", 0.25), ("n", "", -3.0)],
    classes=classes,
    rate_hz=62.5,
    form=form,
    int16=int16,
    time=bool(flags & 1),
    label_in_band=bool(flags & 2),
    decimals=3,
    time_us=lambda: now_us,
)
for line in sys.stdin:
    order, number, *cells = line.split()
    if order == "n":
        board.sequence = int(number)
    elif order == "l":
        board.label(classes[int(number)] if int(number) < 2 else None)
    else:
        now_us = int(number)
        form_of_cell = ("<H", "<h") if int16 else ("<I", "<f")
        board.send([struct.unpack(form_of_cell[1], struct.pack(form_of_cell[0], int(cell, 16)))[0] for cell in cells])
