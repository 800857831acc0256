/*
 * The most that one core does in 128-bit vectors: independent chains of a multiplication and an addition, all in
 * registers. Prints billions of floating-point operations per second, SLICES times.
 *
 *   peak SLICE_US SLICES
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Enough to hide the latency of both, few enough for 16 registers with the two factors. */
#define CHAINS 12
#define LANES 4

typedef float Vector __attribute__((vector_size(16)));

#if defined(__x86_64__)
#define IN_REGISTER "+x"
#else
#define IN_REGISTER "+w"
#endif

static double nowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

/* Is computed in a register, and one round is not merged with the next. */
#define STEP(value) \
  value = value * factor + summand; \
  __asm__ volatile("" : IN_REGISTER(value))

static volatile float sink;

static double timeNs(long rounds, Vector factor, Vector summand) {
  Vector a = summand, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5;
  Vector g = a + 6, h = a + 7, i = a + 8, j = a + 9, k = a + 10, l = a + 11;
  double before = nowNs();
  for (long round = 0; round < rounds; round++) {
    STEP(a);
    STEP(b);
    STEP(c);
    STEP(d);
    STEP(e);
    STEP(f);
    STEP(g);
    STEP(h);
    STEP(i);
    STEP(j);
    STEP(k);
    STEP(l);
  }
  double after = nowNs();
  Vector sum = a + b + c + d + e + f + g + h + i + j + k + l;
  sink = sum[0];
  return after - before;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  double sliceNs = atof(argv[1]) * 1000;
  float shrink = 0.999f, grow = 0.001f * (float)argc;
  Vector factor = {shrink, shrink, shrink, shrink}, summand = {grow, grow, grow, grow};
  long rounds = 1000;
  while (timeNs(rounds, factor, summand) < sliceNs) rounds *= 2;
  for (int slice = atoi(argv[2]); slice > 0; slice--) {
    printf("%.3f\n", 2.0 * CHAINS * LANES * (double)rounds / timeNs(rounds, factor, summand));
  }
  return 0;
}
