/* FANN, the C library of that name: incremental training, one step per sample, float32. Batch 1 only. */
#include <fann.h>
#include "harness.h"

static struct fann *network;

static void prepare(void) {
  network = fann_create_standard(3, D, H, K);
  if (network == NULL) exit(1);
  fann_set_activation_function_hidden(network, FANN_SIGMOID);
  fann_set_activation_function_output(network, FANN_SIGMOID);
  /* Its sigmoid is 1/(1 + e^(−2·steepness·x)). */
  fann_set_activation_steepness_hidden(network, 0.5f);
  fann_set_activation_steepness_output(network, 0.5f);
  fann_set_training_algorithm(network, FANN_TRAIN_INCREMENTAL);
  fann_set_train_error_function(network, FANN_ERRORFUNC_LINEAR);
  fann_set_learning_rate(network, rate);
  fann_set_learning_momentum(network, 0);
  /* Of each unit the weights of its inputs in order and then its bias. fann_set_weight would search for each. */
  fann_type *weight = network->weights;
  for (int h = 0; h < H; h++) {
    for (int d = 0; d < D; d++) *weight++ = initial1[(size_t)h * D + d];
    *weight++ = initialBias1[h];
  }
  for (int k = 0; k < K; k++) {
    for (int h = 0; h < H; h++) *weight++ = initial2[k * H + h];
    *weight++ = initialBias2[k];
  }
}

static void train(int batch) {
  if (batch != 1) exit(2);
  for (int sample = 0; sample < N; sample++) {
    fann_train(network, samples + (size_t)sample * D, targets + sample * K);
  }
}

static void infer(void) {
  for (int sample = 0; sample < N; sample++) {
    memcpy(predictions + sample * K, fann_run(network, samples + (size_t)sample * D), K * sizeof(float));
  }
}
