/*
 * The same by hand with 128-bit vectors (gcc's vector types: SSE on x86, NEON on ARM) and separate multiplications
 * and additions: panels of 16 hidden units, and one pass over weights1 that learns a sample and applies the weights
 * to the next. Batch 1 only.
 *
 *   weights1 [P][D][16]    weights2 [K][P·16]    P = ceil(H/16)
 */
#include "harness.h"

#define PANEL 16

typedef float Vector __attribute__((vector_size(16)));
typedef int32_t Integers __attribute__((vector_size(16)));

static int P;
static float *weights1, *bias1, *weights2, *bias2;
static float *hidden, *mask, *delta2, *step2; /* mask: 1 for units that exist, 0 for the others */

static void prepare(void) {
  P = (H + PANEL - 1) / PANEL;
  weights1 = allocate((size_t)P * D * PANEL);
  bias1 = allocate(P * PANEL);
  weights2 = allocate((size_t)K * P * PANEL);
  bias2 = initialBias2;
  hidden = allocate(P * PANEL);
  mask = allocate(P * PANEL);
  delta2 = allocate(K);
  step2 = allocate(K);
  for (int h = 0; h < H; h++) {
    float *panel = weights1 + (size_t)(h / PANEL) * D * PANEL + h % PANEL;
    for (int d = 0; d < D; d++) panel[d * PANEL] = initial1[(size_t)h * D + d];
    for (int k = 0; k < K; k++) weights2[k * P * PANEL + h] = initial2[k * H + h];
    bias1[h] = initialBias1[h];
    mask[h] = 1;
  }
}

static inline Vector splat(float value) {
  return (Vector){value, value, value, value};
}

static inline Vector load(const float *at) {
  return *(const Vector *)at;
}

static inline void store(float *at, Vector values) {
  *(Vector *)at = values;
}

/* Lane by lane; the condition is all ones or zero. */
static inline Vector choose(Integers condition, Vector yes, Vector no) {
  return (Vector)((condition & (Integers)yes) | (~condition & (Integers)no));
}

/* 1 / (1 + 2^(−x·log2 e)): the fraction by a polynomial of degree 5, the whole part in the exponent. */
static inline Vector sigmoid(Vector x) {
  const Vector rounder = splat(12582912.0f + 127.0f);
  Vector y = x * splat(-1.44269504f);
  y = choose(y < splat(-126), splat(-126), y);
  y = choose(y > splat(126), splat(126), y);
  Vector rounded = y + rounder;
  Vector f = y - (rounded - rounder);
  Vector f2 = f * f;
  Vector low = 1 + splat(0.693147182f) * f;
  Vector middle = splat(0.240226492f) + splat(0.0555036068f) * f;
  Vector high = splat(0.009618246f) + splat(0.00133907457f) * f + splat(0.000154035253f) * f2;
  Vector power = (Vector)((Integers)rounded << 23);
  return 1 / (1 + (low + f2 * middle + f2 * f2 * high) * power);
}

static inline void activatePanel(int first, Vector z0, Vector z1, Vector z2, Vector z3) {
  store(hidden + first, sigmoid(z0) * load(mask + first));
  store(hidden + first + 4, sigmoid(z1) * load(mask + first + 4));
  store(hidden + first + 8, sigmoid(z2) * load(mask + first + 8));
  store(hidden + first + 12, sigmoid(z3) * load(mask + first + 12));
}

static void forwardHidden(const float *x) {
  for (int panel = 0; panel < P; panel++) {
    const float *w = weights1 + (size_t)panel * D * PANEL;
    int first = panel * PANEL;
    Vector z0 = load(bias1 + first), z1 = load(bias1 + first + 4);
    Vector z2 = load(bias1 + first + 8), z3 = load(bias1 + first + 12);
    for (int d = 0; d < D; d++, w += PANEL) {
      Vector value = splat(x[d]);
      z0 += load(w) * value;
      z1 += load(w + 4) * value;
      z2 += load(w + 8) * value;
      z3 += load(w + 12) * value;
    }
    activatePanel(first, z0, z1, z2, z3);
  }
}

/* The sums of the lanes of four vectors, as one vector. */
static inline Vector lanesAdded(Vector a, Vector b, Vector c, Vector d) {
  Vector ab = __builtin_shuffle(a, b, (Integers){0, 2, 4, 6}) + __builtin_shuffle(a, b, (Integers){1, 3, 5, 7});
  Vector cd = __builtin_shuffle(c, d, (Integers){0, 2, 4, 6}) + __builtin_shuffle(c, d, (Integers){1, 3, 5, 7});
  return __builtin_shuffle(ab, cd, (Integers){0, 2, 4, 6}) + __builtin_shuffle(ab, cd, (Integers){1, 3, 5, 7});
}

/* Four outputs at a time; what lies beyond the last one is computed again and not kept. */
static void forwardOutputs(float *y) {
  int stride = P * PANEL;
  for (int k = 0; k < K; k += 4) {
    const float *row0 = weights2 + (size_t)k * stride;
    const float *row1 = k + 1 < K ? row0 + stride : row0;
    const float *row2 = k + 2 < K ? row1 + stride : row0;
    const float *row3 = k + 3 < K ? row2 + stride : row0;
    Vector sum0 = splat(0), sum1 = sum0, sum2 = sum0, sum3 = sum0, bias = sum0;
    for (int h = 0; h < stride; h += 4) {
      Vector value = load(hidden + h);
      sum0 += load(row0 + h) * value;
      sum1 += load(row1 + h) * value;
      sum2 += load(row2 + h) * value;
      sum3 += load(row3 + h) * value;
    }
    int count = K - k < 4 ? K - k : 4;
    for (int i = 0; i < count; i++) bias[i] = bias2[k + i];
    Vector out = sigmoid(lanesAdded(sum0, sum1, sum2, sum3) + bias);
    for (int i = 0; i < count; i++) y[k + i] = out[i];
  }
}

static void outputDelta(const float *y, const float *target) {
  for (int k = 0; k < K; k++) {
    delta2[k] = (y[k] - target[k]) * (y[k] * (1 - y[k]));
    step2[k] = rate * delta2[k];
    bias2[k] -= step2[k];
  }
}

/* hidden delta and update of weights2 in one pass; then weights1 learns x and is applied to next. */
static void learnPanels(const float *x, const float *next) {
  int stride = P * PANEL;
  for (int first = 0; first < stride; first += PANEL) {
    Vector h0 = load(hidden + first), h1 = load(hidden + first + 4);
    Vector h2 = load(hidden + first + 8), h3 = load(hidden + first + 12);
    Vector s0 = splat(0), s1 = s0, s2 = s0, s3 = s0;
    float *v = weights2 + first;
    for (int k = 0; k < K; k++, v += stride) {
      Vector delta = splat(delta2[k]), step = splat(step2[k]);
      Vector v0 = load(v), v1 = load(v + 4), v2 = load(v + 8), v3 = load(v + 12);
      s0 += v0 * delta;
      s1 += v1 * delta;
      s2 += v2 * delta;
      s3 += v3 * delta;
      store(v, v0 - step * h0);
      store(v + 4, v1 - step * h1);
      store(v + 8, v2 - step * h2);
      store(v + 12, v3 - step * h3);
    }
    s0 *= rate * (h0 * (1 - h0));
    s1 *= rate * (h1 * (1 - h1));
    s2 *= rate * (h2 * (1 - h2));
    s3 *= rate * (h3 * (1 - h3));
    Vector z0 = load(bias1 + first) - s0, z1 = load(bias1 + first + 4) - s1;
    Vector z2 = load(bias1 + first + 8) - s2, z3 = load(bias1 + first + 12) - s3;
    store(bias1 + first, z0);
    store(bias1 + first + 4, z1);
    store(bias1 + first + 8, z2);
    store(bias1 + first + 12, z3);
    float *w = weights1 + (size_t)first * D;
    for (int d = 0; d < D; d++, w += PANEL) {
      Vector before = splat(x[d]), after = splat(next[d]);
      Vector w0 = load(w) - s0 * before, w1 = load(w + 4) - s1 * before;
      Vector w2 = load(w + 8) - s2 * before, w3 = load(w + 12) - s3 * before;
      store(w, w0);
      store(w + 4, w1);
      store(w + 8, w2);
      store(w + 12, w3);
      z0 += w0 * after;
      z1 += w1 * after;
      z2 += w2 * after;
      z3 += w3 * after;
    }
    activatePanel(first, z0, z1, z2, z3);
  }
}

static void train(int batch) {
  if (batch != 1) exit(2);
  forwardHidden(samples);
  for (int sample = 0; sample < N; sample++) {
    const float *x = samples + (size_t)sample * D;
    float *y = predictions + sample * K;
    forwardOutputs(y);
    outputDelta(y, targets + sample * K);
    learnPanels(x, sample + 1 < N ? x + D : x);
  }
}

static void infer(void) {
  for (int sample = 0; sample < N; sample++) {
    forwardHidden(samples + (size_t)sample * D);
    forwardOutputs(predictions + sample * K);
  }
}
