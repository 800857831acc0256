/* What one writes in C and leaves to the compiler: plain loops that it may reorder and vectorise as it likes. */
#include <math.h>
#include "harness.h"

static float *weights1, *bias1, *weights2, *bias2;     /* [H x D], [H], [K x H], [K] */
static float *hidden, *outputs, *delta1, *delta2;      /* [H], [K], [H], [K] */
static float *grad1, *gradBias1, *grad2, *gradBias2;   /* as the parameters: sums over a batch */

static void prepare(void) {
  weights1 = initial1;
  bias1 = initialBias1;
  weights2 = initial2;
  bias2 = initialBias2;
  hidden = allocate(H);
  outputs = allocate(K);
  delta1 = allocate(H);
  delta2 = allocate(K);
  grad1 = allocate((size_t)H * D);
  gradBias1 = allocate(H);
  grad2 = allocate((size_t)K * H);
  gradBias2 = allocate(K);
}

/* to = sigmoid(weights · from + bias) */
static void layer(const float *restrict weights, const float *restrict bias, const float *restrict from,
                  float *restrict to, int rows, int columns) {
  for (int row = 0; row < rows; row++) {
    float sum = bias[row];
    for (int i = 0; i < columns; i++) sum += weights[row * columns + i] * from[i];
    to[row] = sum;
  }
  /* A loop of its own, so that the exponentials are vectorised. */
  for (int row = 0; row < rows; row++) to[row] = 1 / (1 + expf(-to[row]));
}

static void deltas(const float *restrict target) {
  for (int k = 0; k < K; k++) delta2[k] = (outputs[k] - target[k]) * outputs[k] * (1 - outputs[k]);
  for (int h = 0; h < H; h++) delta1[h] = 0;
  for (int k = 0; k < K; k++) {
    for (int h = 0; h < H; h++) delta1[h] += weights2[k * H + h] * delta2[k];
  }
  for (int h = 0; h < H; h++) delta1[h] *= hidden[h] * (1 - hidden[h]);
}

/* to += scale · delta · fromᵀ, and the same for the bias */
static void addOuter(float *restrict to, float *restrict toBias, float scale, const float *restrict delta,
                     const float *restrict from, int rows, int columns) {
  for (int row = 0; row < rows; row++) {
    float step = scale * delta[row];
    for (int i = 0; i < columns; i++) to[row * columns + i] += step * from[i];
    toBias[row] += step;
  }
}

static void forward(const float *x) {
  layer(weights1, bias1, x, hidden, H, D);
  layer(weights2, bias2, hidden, outputs, K, H);
}

static void trainSingly(void) {
  for (int sample = 0; sample < N; sample++) {
    const float *x = samples + (size_t)sample * D;
    forward(x);
    deltas(targets + sample * K);
    addOuter(weights2, bias2, -rate, delta2, hidden, K, H);
    addOuter(weights1, bias1, -rate, delta1, x, H, D);
  }
}

/* parameters -= scale · gradient, and the gradient is empty again */
static void descend(float *restrict parameters, float *restrict gradient, float scale, int count) {
  for (int i = 0; i < count; i++) {
    parameters[i] -= scale * gradient[i];
    gradient[i] = 0;
  }
}

static void trainBatch(int first, int batch) {
  for (int sample = first; sample < first + batch; sample++) {
    const float *x = samples + (size_t)sample * D;
    forward(x);
    deltas(targets + sample * K);
    addOuter(grad2, gradBias2, 1, delta2, hidden, K, H);
    addOuter(grad1, gradBias1, 1, delta1, x, H, D);
  }
  float scale = rate / batch;
  descend(weights1, grad1, scale, H * D);
  descend(bias1, gradBias1, scale, H);
  descend(weights2, grad2, scale, K * H);
  descend(bias2, gradBias2, scale, K);
}

static void train(int batch) {
  if (batch == 1) {
    trainSingly();
    return;
  }
  for (int first = 0; first < N; first += batch) trainBatch(first, batch);
}

static void infer(void) {
  for (int sample = 0; sample < N; sample++) {
    forward(samples + (size_t)sample * D);
    memcpy(predictions + sample * K, outputs, K * sizeof(float));
  }
}
