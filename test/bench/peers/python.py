"""
numpy and torch on the task of task.ts (encodeTask), gradients written out by hand, one thread.

    python.py numpy|torch TASK train|infer BATCH CHECK_PASSES SLICE_US SLICES

prints the fingerprint of the predictions after CHECK_PASSES passes (of the untrained network when it infers), then
SLICES times the nanoseconds that a sample took. --probe prints instead the library's version and the BLAS
that it has loaded, on which its speed rests.
"""

import os
import struct
import sys
import time

# Read by the libraries when they are loaded.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"


def read_task(path, numpy):
    with open(path, "rb") as file:
        sizes = struct.unpack("<4i", file.read(16))
        (rate,) = struct.unpack("<f", file.read(4))
        values = numpy.frombuffer(file.read(), dtype="<f4")
    inputs, hidden, outputs, samples = sizes
    parts = []
    for shape in [
        (hidden, inputs),
        (hidden,),
        (outputs, hidden),
        (outputs,),
        (samples, inputs),
        (samples, outputs),
    ]:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        parts.append(values[:count].reshape(shape).copy())
        values = values[count:]
    return rate, parts


class NumpyNetwork:
    def __init__(self, numpy, rate, parts, batch):
        self.numpy, self.rate, self.batch = numpy, numpy.float32(rate), batch
        self.weights1, self.bias1, self.weights2, self.bias2, inputs, targets = parts
        self.batches = [
            (inputs[i : i + batch], targets[i : i + batch]) for i in range(0, len(inputs), batch)
        ]

    def sigmoid(self, x):
        return 1 / (1 + self.numpy.exp(-x))

    def forward(self, x):
        hidden = self.sigmoid(x @ self.weights1.T + self.bias1)
        return hidden, self.sigmoid(hidden @ self.weights2.T + self.bias2)

    def train(self):
        step = self.numpy.float32(self.rate / self.batch)
        for x, target in self.batches:
            hidden, y = self.forward(x)
            delta2 = (y - target) * y * (1 - y)
            delta1 = (delta2 @ self.weights2) * hidden * (1 - hidden)
            self.weights2 -= step * (delta2.T @ hidden)
            self.bias2 -= step * delta2.sum(0)
            self.weights1 -= step * (delta1.T @ x)
            self.bias1 -= step * delta1.sum(0)

    def infer(self):
        return self.numpy.concatenate([self.forward(x)[1] for x, _ in self.batches])


class TorchNetwork:
    def __init__(self, torch, rate, parts, batch):
        self.torch, self.rate, self.batch = torch, rate, batch
        tensors = [torch.from_numpy(part) for part in parts]
        self.weights1, self.bias1, self.weights2, self.bias2, inputs, targets = tensors
        self.batches = list(zip(inputs.split(batch), targets.split(batch)))

    def forward(self, x):
        hidden = self.torch.sigmoid(self.torch.addmm(self.bias1, x, self.weights1.T))
        return hidden, self.torch.sigmoid(self.torch.addmm(self.bias2, hidden, self.weights2.T))

    def train(self):
        step = self.rate / self.batch
        for x, target in self.batches:
            hidden, y = self.forward(x)
            delta2 = (y - target) * y * (1 - y)
            delta1 = (delta2 @ self.weights2) * hidden * (1 - hidden)
            self.weights2.addmm_(delta2.T, hidden, alpha=-step)
            self.bias2.sub_(delta2.sum(0), alpha=step)
            self.weights1.addmm_(delta1.T, x, alpha=-step)
            self.bias1.sub_(delta1.sum(0), alpha=step)

    def infer(self):
        return self.torch.cat([self.forward(x)[1] for x, _ in self.batches]).numpy()


def make_network(library, task, batch):
    import numpy

    rate, parts = read_task(task, numpy)
    if library == "numpy":
        return NumpyNetwork(numpy, rate, parts, batch)
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    return TorchNetwork(torch, rate, parts, batch)


def time_ns(run, passes):
    before = time.perf_counter_ns()
    for _ in range(passes):
        run()
    return time.perf_counter_ns() - before


def main(library, task, what, batch, check_passes, slice_us, slices):
    network = make_network(library, task, int(batch))
    if what == "train":
        time_ns(network.train, int(check_passes))
    predictions = network.infer()
    samples = len(predictions)
    flat = predictions.ravel().tolist()
    print(repr(sum(value * (1 + i % 7) for i, value in enumerate(flat))))
    run = network.train if what == "train" else network.infer
    passes = 1
    while time_ns(run, passes) < float(slice_us) * 1000:
        passes *= 2
    for _ in range(int(slices)):
        print(time_ns(run, passes) / (passes * samples))


def probe(library):
    version = __import__(library).__version__
    __import__("numpy").ones((2, 2)) @ __import__("numpy").ones((2, 2))
    with open("/proc/self/maps") as maps:
        loaded = {os.path.basename(line.split()[-1]) for line in maps if "/" in line}
    blas = sorted(name for name in loaded if "blas" in name)
    print(version, "with", " ".join(blas) or "no BLAS of its own")


if sys.argv[1] == "--probe":
    probe(sys.argv[2])
else:
    main(*sys.argv[1:])
