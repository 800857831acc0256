/*
 * simulator IMAGE: runs an image for the ATmega328P at 16 MHz, in real time, its serial port on a pseudo-terminal
 * whose path is printed first. Ends with the process; it takes no orders.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/parts/uart_pty.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#define FREQUENCY 16000000ULL

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* uart_pty_connect() leaves a link of a fixed name, which nobody here needs. */
#define LINK "/tmp/simavr-uart0"

int main(int argc, char **argv) {
  static elf_firmware_t image;
  static uart_pty_t port;
  if (argc != 2 || elf_read_firmware(argv[1], &image) != 0) return 2;
  avr_t *avr = avr_make_mcu_by_name("atmega328p");
  if (avr == NULL || avr_init(avr) != 0) return 3;
  image.frequency = FREQUENCY;
  avr_load_firmware(avr, &image);
  uart_pty_init(avr, &port);
  uart_pty_connect(&port, '0');
  unlink(LINK);
  printf("%s\n", port.pty.slavename);
  fflush(stdout);
  const uint64_t start_ns = now_ns();
  for (;;) {
    const uint64_t until = avr->cycle + FREQUENCY / 1000;
    while (avr->cycle < until) {
      const int state = avr_run(avr);
      if (state == cpu_Done || state == cpu_Crashed) return 4;
    }
    const uint64_t due_ns = start_ns + avr->cycle * 1000 / (FREQUENCY / 1000000);
    const uint64_t now = now_ns();
    if (due_ns > now) nanosleep(&(struct timespec){0, (long)(due_ns - now)}, NULL);
  }
}
