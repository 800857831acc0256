"""A push button says which class the rows belong to. Each press goes one further: none, idle, wave, circle, and none
again. While there is none, edgeloop predicts and does not learn.

Copy edgeloop.py to the board, and this file as main.py. Raspberry Pi Pico:

    a sensor -> GP26 and GP27
    push button from GP15 to GND (the pull-up is inside the board)

The LED is on while there is a label.
"""

import sys
from time import sleep_us, ticks_add, ticks_diff, ticks_us

from machine import ADC, Pin

from edgeloop import Edgeloop

VOLTS_PER_COUNT = 3.3 / 65535
LABELS = [None, "idle", "wave", "circle"]

ROWS_PER_SECOND = 100
ROW_US = 1_000_000 // ROWS_PER_SECOND
BOUNCE_ROWS = 3  # a contact is at rest after 30 ms

inputs = [ADC(Pin(26)), ADC(Pin(27))]
button = Pin(15, Pin.IN, Pin.PULL_UP)
led = Pin("LED", Pin.OUT)
board = Edgeloop(
    sys.stdout.buffer.write,
    columns=[("a0", "V"), ("a1", "V")],
    classes=LABELS[1:],
    rate_hz=ROWS_PER_SECOND,
    label_in_band=True,
)

place = 0
was_pressed = False
rows_at_rest = 0
due = ticks_us()
while True:
    pressed = button.value() == 0
    rows_at_rest = rows_at_rest + 1 if pressed != was_pressed else 0
    if rows_at_rest == BOUNCE_ROWS:
        rows_at_rest = 0
        was_pressed = pressed
        if pressed:
            place = (place + 1) % len(LABELS)
            board.label(LABELS[place])
            led.value(place > 0)
    board.send([pin.read_u16() * VOLTS_PER_COUNT for pin in inputs])
    due = ticks_add(due, ROW_US)
    sleep_us(max(0, ticks_diff(due, ticks_us())))
