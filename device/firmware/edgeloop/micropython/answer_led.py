"""Two analog pins go to edgeloop, and what it answers switches the LED: on while it is sure that the class is "alarm".
Without an answer for two seconds (edgeloop is away) the LED is off.

Copy edgeloop.py to the board, and this file as main.py. Raspberry Pi Pico; in the config of edgeloop:

    [output]
    frame = true
    onChange = false
    everyMs = 100
"""

import sys
from time import sleep_us, ticks_add, ticks_diff, ticks_ms, ticks_us

import micropython
from machine import ADC, Pin
from select import POLLIN, poll

from edgeloop import CLASS, Answers, Edgeloop

VOLTS_PER_COUNT = 3.3 / 65535
CLASSES = ["calm", "alarm"]
SURE = 0.8

ROWS_PER_SECOND = 100
ROW_US = 1_000_000 // ROWS_PER_SECOND
ANSWER_MS_MAX = 2000

micropython.kbd_intr(-1)  # a byte 3 in an answer is no Ctrl-C
inputs = [ADC(Pin(26)), ADC(Pin(27))]
led = Pin("LED", Pin.OUT)
board = Edgeloop(
    sys.stdout.buffer.write,
    columns=[("a0", "V"), ("a1", "V")],
    classes=CLASSES,
    rate_hz=ROWS_PER_SECOND,
    label_in_band=True,
)
answers = Answers()
waiting = poll()
waiting.register(sys.stdin, POLLIN)

answered = ticks_ms()
due = ticks_us()
while True:
    while waiting.poll(0):
        for _, kind, index, value in answers.take(sys.stdin.buffer.read(1)):
            if kind == CLASS:
                led.value(CLASSES[index : index + 1] == ["alarm"] and value >= SURE)
                answered = ticks_ms()
    if ticks_diff(ticks_ms(), answered) > ANSWER_MS_MAX:
        led.value(0)
    board.send([pin.read_u16() * VOLTS_PER_COUNT for pin in inputs])
    due = ticks_add(due, ROW_US)
    sleep_us(max(0, ticks_diff(due, ticks_us())))
