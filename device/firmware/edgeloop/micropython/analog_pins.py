"""Three analog inputs go to edgeloop, 200 times a second, in volts, as frames over the board's USB port.

Copy edgeloop.py to the board, and this file as main.py. Raspberry Pi Pico: GP26, GP27 and GP28 take 0 V to 3.3 V.
"""

import sys
from time import sleep_us, ticks_add, ticks_diff, ticks_us

from machine import ADC, Pin

from edgeloop import Edgeloop

VOLTS_PER_COUNT = 3.3 / 65535

ROWS_PER_SECOND = 200
ROW_US = 1_000_000 // ROWS_PER_SECOND

inputs = [ADC(Pin(26)), ADC(Pin(27)), ADC(Pin(28))]
board = Edgeloop(
    sys.stdout.buffer.write, columns=[("a0", "V"), ("a1", "V"), ("a2", "V")], rate_hz=ROWS_PER_SECOND
)

due = ticks_us()
while True:
    board.send([pin.read_u16() * VOLTS_PER_COUNT for pin in inputs])
    due = ticks_add(due, ROW_US)
    sleep_us(max(0, ticks_diff(due, ticks_us())))
