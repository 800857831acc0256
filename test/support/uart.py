"""A board behind a UART, on a pseudo-terminal: uart.py BAUD ROWS_PER_SECOND < rows

Prints the path of the tty, then sends the rows of standard input again and again. A pseudo-terminal does not care about
baud rates, so this does: what is sent is a wave of bits at the board's rate, and what arrives is what a receiver at the
tty's rate (asked before every row) makes of it. As the kernel does it with IGNPAR, a byte whose stop bit is missing is
dropped, and a break, all of whose bits are low, is a zero byte. Ends when standard output is closed or it is killed.
"""

import fcntl
import os
import pty
import struct
import sys
import termios
import time
import tty

TCGETS2 = 0x802C542A  # of x86 and arm
BITS = 10  # start, eight of data, stop
IDLE_BITS = 40


def rate_of(terminal):
    """Bits per second, also if it is not a usual rate."""
    return struct.unpack("<IIIIB19sII", fcntl.ioctl(terminal, TCGETS2, bytes(44)))[-1]


def wave_of(data):
    bits = []
    for byte in data:
        bits += [0] + [byte >> bit & 1 for bit in range(8)] + [1]
    return bits + [1] * IDLE_BITS


def receive(wave, ratio):
    """ratio: bits of the wave per bit of the receiver."""
    received = bytearray()
    at = 0.0
    while True:
        while int(at) < len(wave) and wave[int(at)] == 1:  # waits for the edge
            at = float(int(at) + 1)
        end = at + (BITS - 0.5) * ratio
        if end >= len(wave):
            return bytes(received)
        levels = [wave[int(at + (bit + 0.5) * ratio)] for bit in range(BITS)]
        if levels[0] == 1:  # a glitch, no start bit
            at += 0.5 * ratio
            continue
        if levels[-1] == 1 or not any(levels):
            received.append(sum(level << bit for bit, level in enumerate(levels[1:9])))
        at = end
        while int(at) < len(wave) and levels[-1] == 0 and wave[int(at)] == 0:  # a break: waits for its end
            at = float(int(at) + 1)


baud_rate, rows_per_second = int(sys.argv[1]), float(sys.argv[2])
sent = sys.stdin.buffer.read()
end = b"\0" if b"\0" in sent else b"\n"  # frames, or lines
rows = [row + end for row in sent.split(end)[:-1]]
board, line = pty.openpty()
tty.setraw(line)
os.set_blocking(board, False)
print(os.ttyname(line), flush=True)
start = time.monotonic()
row = 0
while True:
    due = start + row / rows_per_second
    time.sleep(max(0, due - time.monotonic()))
    heard = receive(wave_of(rows[row % len(rows)]), baud_rate / rate_of(line))
    try:
        os.write(board, heard)
    except BlockingIOError:
        pass  # nobody reads: lost, as on a wire
    row += 1
    if os.getppid() == 1:
        break
