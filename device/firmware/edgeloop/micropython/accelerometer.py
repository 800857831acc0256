"""An MPU-6050 sends its three axes to edgeloop, 100 times a second, as frames over the board's USB port.

Copy edgeloop.py to the board, and this file as main.py. Raspberry Pi Pico:

    VCC -> 3V3      GND -> GND      SDA -> GP4      SCL -> GP5

A reading that fails is sent as missing values.
"""

import struct
import sys
from time import sleep_us, ticks_add, ticks_diff, ticks_us

from machine import I2C, Pin

from edgeloop import MISSING, Edgeloop

SENSOR = 0x68
REGISTER_POWER = 0x6B
REGISTER_AXES = 0x3B  # six bytes: x, y, z, high byte first
G_PER_COUNT = 1 / 16384

ROWS_PER_SECOND = 100
ROW_US = 1_000_000 // ROWS_PER_SECOND

bus = I2C(0, sda=Pin(4), scl=Pin(5), freq=400_000)
bus.writeto_mem(SENSOR, REGISTER_POWER, b"\0")  # it sleeps until told otherwise

board = Edgeloop(
    sys.stdout.buffer.write,
    columns=[("ax", "g", G_PER_COUNT), ("ay", "g", G_PER_COUNT), ("az", "g", G_PER_COUNT)],
    rate_hz=ROWS_PER_SECOND,
    int16=True,
    time=True,
)


def read_axes():
    try:
        counts = struct.unpack(">hhh", bus.readfrom_mem(SENSOR, REGISTER_AXES, 6))
    except OSError:
        return (MISSING, MISSING, MISSING)
    return [max(count, MISSING + 1) for count in counts]  # full scale is not a missing value


due = ticks_us()
while True:
    board.send(read_axes())
    due = ticks_add(due, ROW_US)
    sleep_us(max(0, ticks_diff(due, ticks_us())))
