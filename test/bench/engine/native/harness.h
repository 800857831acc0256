/*
 * What the native contenders have in common: the task as the bench wrote it, the clock, the report. A contender
 * defines prepare, train and infer, and nothing else.
 *
 *   program TASK train|infer BATCH CHECK_PASSES SLICE_US SLICES
 *
 * prints the fingerprint of its predictions after CHECK_PASSES passes over the samples (of the untrained network
 * when it infers), then SLICES times the nanoseconds that a sample took. A slice takes at least SLICE_US.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Shapes as everywhere: D inputs, H hidden units, K outputs, N samples. Matrices are row-major. */
static int D, H, K, N;
static float rate;
static float *initial1, *initialBias1; /* [H x D], [H] */
static float *initial2, *initialBias2; /* [K x H], [K] */
static float *samples, *targets;       /* [N x D], [N x K] */
static float *predictions;             /* [N x K] */

/* Makes the network of the initial parameters. */
static void prepare(void);
/* Learns from all samples once, one step to every `batch` of them. */
static void train(int batch);
/* Fills predictions. */
static void infer(void);

static void *allocate(size_t floats) {
  void *memory = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
  if (memory == NULL) exit(1);
  memset(memory, 0, (floats * sizeof(float) + 63) / 64 * 64);
  return memory;
}

static float *readFloats(FILE *file, size_t count) {
  float *values = allocate(count);
  if (fread(values, sizeof(float), count, file) != count) exit(1);
  return values;
}

static void readTask(const char *path) {
  FILE *file = fopen(path, "rb");
  int32_t sizes[4];
  if (file == NULL || fread(sizes, sizeof(int32_t), 4, file) != 4) exit(1);
  D = sizes[0];
  H = sizes[1];
  K = sizes[2];
  N = sizes[3];
  if (fread(&rate, sizeof(float), 1, file) != 1) exit(1);
  initial1 = readFloats(file, (size_t)H * D);
  initialBias1 = readFloats(file, H);
  initial2 = readFloats(file, (size_t)K * H);
  initialBias2 = readFloats(file, K);
  samples = readFloats(file, (size_t)N * D);
  targets = readFloats(file, (size_t)N * K);
  predictions = allocate((size_t)N * K);
  fclose(file);
}

static double nowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static double timeNs(int training, int batch, long passes) {
  double before = nowNs();
  for (long pass = 0; pass < passes; pass++) {
    if (training) train(batch);
    else infer();
    __asm__ volatile("" ::: "memory"); /* every pass is done */
  }
  return nowNs() - before;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  readTask(argv[1]);
  int training = strcmp(argv[2], "train") == 0;
  int batch = atoi(argv[3]);
  double sliceNs = atof(argv[5]) * 1000;
  prepare();
  if (training) timeNs(1, batch, atol(argv[4]));
  infer();
  double fingerprint = 0;
  for (int i = 0; i < N * K; i++) fingerprint += (double)predictions[i] * (1 + i % 7);
  printf("%.9g\n", fingerprint);
  long passes = 1;
  while (timeNs(training, batch, passes) < sliceNs) passes *= 2;
  for (int slice = atoi(argv[6]); slice > 0; slice--) {
    printf("%.4f\n", timeNs(training, batch, passes) / ((double)passes * N));
  }
  return 0;
}
